"""Customer data as it may be shown: phone, name, document number, address, each with part of it hidden (CI-5).

Pure text. Takes any text, shows no more of it than each function's first sentence says, and leaves what is masked already
as it is. Empty stays empty; full-width forms become plain ones; control, zero-width and direction marks are dropped.
"""

from __future__ import annotations

import re
import unicodedata

HIDDEN = "****"
"""Where the length is hidden too."""
_STAR = "*"

_SURNAMES = (
    "欧阳歐陽太史端木上官司马司馬东方東方独孤獨孤南宫南宮万俟闻人聞人夏侯诸葛諸葛尉迟尉遲公羊赫连赫連澹台"
    "澹臺皇甫宗政濮阳濮陽公冶太叔申屠公孙公孫慕容仲孙仲孫钟离鍾離长孙長孫宇文司徒鲜于鮮于司空闾丘子车亓官"
    "司寇巫马公西颛孙顓孫壤驷公良漆雕乐正樂正宰父谷梁穀梁拓跋夹谷轩辕軒轅令狐段干百里呼延东郭東郭南门羊舌"
    "微生公户公玉公仪梁丘公仲公上公门公山公坚左丘公伯西门西門公祖第五公乘贯丘公皙南荣东里东宫仲长子书子桑"
    "即墨达奚褚师叱干纳兰納蘭完颜完顏耶律淳于单于單于东乡贺兰賀蘭尔朱爾朱哥舒乌孙"
)
_COMPOUND_SURNAMES = frozenset(_SURNAMES[at : at + 2] for at in range(0, len(_SURNAMES), 2))
"""Surnames of two characters; a name of two characters is never taken for one of them alone."""
_NAME_DOTS = "·•‧・∙⋅."
_HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_IS_HAN = re.compile(f"[{_HAN}]")

_MASKED_PHONE = re.compile(r"(?:[0-9]{3})?\*{4}(?:[0-9]{4})?")
_CITIZEN_NUMBER = re.compile(r"[0-9*]{17}[0-9Xx*]")
_OLD_CITIZEN_NUMBER = re.compile(r"[0-9*]{15}")

_PROVINCES = "河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾"
_REGIONS = "内蒙古|广西|西藏|宁夏|新疆"
_CAPITALS = "北京|天津|上海|重庆"
_FULL_PROVINCE = (
    rf"(?:{_PROVINCES})省|(?:内蒙古|广西壮族|广西|西藏|宁夏回族|宁夏|新疆维吾尔|新疆)自治区|(?:香港|澳门)特别行政区"
    rf"|(?:{_CAPITALS})市(?:市辖区)?"
)
_SHORT_PROVINCE = f"{_PROVINCES}|{_REGIONS}|{_CAPITALS}"
_WORD = f"(?:(?![号栋幢室弄巷街组])[{_HAN}])"
_PLAIN = f"(?:(?![园苑庭邸]){_WORD})"
_TOWN = rf"(?!城市){_WORD}{{1,4}}?(?<![超夜菜股])市(?!场|部|花园|广场)"
_CITY = rf"(?:{_TOWN}|{_WORD}{{2,10}}?自治州|{_WORD}{{2,4}}?地区|(?:兴安|锡林郭勒|阿拉善)盟)"
_DISTRICT = (
    rf"(?:(?!{_WORD}{{2}}[东南西北]区){_PLAIN}{{1,3}}?(?<![小社园校厂院库景街])区"
    rf"|{_PLAIN}{{2,3}}?新区|神农架林区|六枝特区|{_WORD}{{2,4}}?矿区"
    rf"|{_WORD}{{1,3}}?县(?!城)|{_WORD}{{2,12}}?自治县|{_TOWN}|{_WORD}{{1,8}}?旗(?![街路小]))"
)
_SEPARATOR = r"[,、/;|\-_.]*"
_PLACE = re.compile(
    rf"(?:{_FULL_PROVINCE})(?:{_SEPARATOR}{_CITY})?(?:{_SEPARATOR}{_DISTRICT})?"
    rf"|(?:{_SHORT_PROVINCE}){_SEPARATOR}(?:{_CITY}(?:{_SEPARATOR}{_DISTRICT})?|{_DISTRICT})"
    rf"|{_CITY}(?:{_SEPARATOR}{_DISTRICT})?"
)


def mask_phone(text: str) -> str:
    """Shows the first three and last four digits of a number of eleven or more, the last four of eight to ten, else none.

    `138****5678`. Separators, letters and China's country code before a mobile number are dropped.
    """
    bare = _bare(text)
    if not bare or _MASKED_PHONE.fullmatch(bare):
        return bare
    digits = re.sub(r"[^0-9]", "", bare)
    digits = re.sub(r"^(?:00)?86(?=1[0-9]{10}$)", "", digits)
    if len(digits) >= 11:
        return digits[:3] + HIDDEN + digits[-4:]
    return HIDDEN + digits[-4:] if len(digits) >= 8 else HIDDEN


def mask_name(text: str) -> str:
    """Shows the surname of a Chinese name (one character, or two where it is compound), else the first character alone.

    `张*`, `欧阳**`, `买**·***`, `J*** *****`. A name of one character is hidden. Dots and spaces between parts stay.
    """
    plain = re.sub(r"\s+", " ", _plain(text)).strip()
    if _IS_HAN.match(plain):
        plain = plain.replace(" ", "")
    characters = sum(not _is_between(c) for c in plain)
    shown = min(2 if plain[:2] in _COMPOUND_SURNAMES else 1, characters - 1)
    masked = []
    for c in plain:
        if _is_between(c):
            masked.append(c)
        else:
            masked.append(c if shown > 0 else _STAR)
            shown -= 1
    return "".join(masked)


def mask_id_number(text: str) -> str:
    """Shows the first three and last four of a citizen's 18 characters, the first and last three of the old 15 digits, the
    first and last two of any other number of eight or more, and else nothing.

    Birth dates are hidden in all. Spaces and hyphens are dropped; the length stays.
    """
    bare = _bare(text).replace("-", "")
    if _CITIZEN_NUMBER.fullmatch(bare):
        return _ends(bare, 3, 4)
    if _OLD_CITIZEN_NUMBER.fullmatch(bare):
        return _ends(bare, 3, 3)
    return _ends(bare, 1, 2) if len(bare) >= 8 else _STAR * len(bare)


def mask_address(text: str) -> str:
    """Shows what the address begins with of province, city and district (省市区县旗), and nothing from the street on.

    `广东省深圳市南山区****`. At most three such words, each recognised by a list (provinces) or by its ending and length,
    in this order from the start of the text; where it begins with none, all is hidden. An estate straight after the city
    whose name has the form of a district (锦绣区) is taken for one.
    """
    bare = _bare(text)
    if not bare:
        return bare
    place = _PLACE.match(bare)
    shown = "" if place is None else place.group()
    return shown if shown == bare else shown + HIDDEN


def _plain(text: str) -> str:
    """Compatibility forms folded (full-width digits, letters, punctuation), marks that show nothing dropped."""
    folded = unicodedata.normalize("NFKC", text)
    kept = "".join(c if c.isspace() else "" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in folded)
    return unicodedata.normalize("NFKC", kept)


def _bare(text: str) -> str:
    """Plain, without spaces."""
    return unicodedata.normalize("NFKC", "".join(_plain(text).split()))


def _is_between(c: str) -> bool:
    return c == " " or c in _NAME_DOTS


def _ends(text: str, first: int, last: int) -> str:
    return text[:first] + _STAR * (len(text) - first - last) + text[-last:]
