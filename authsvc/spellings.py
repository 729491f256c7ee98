"""How people write a Chinese name in Latin letters, and a date, in passwords (ID-3). Pure; judges nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from itertools import islice, product

from pypinyin import Style, lazy_pinyin, pinyin

from authsvc.folding import folded

_READINGS_PER_CHARACTER = 6
_MAX_READINGS = 128
_NUMERALS = "〇一二三四五六七八九"
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


def is_chinese(text: str) -> bool:
    """Whether it has a Chinese character, so that pinyin spells it."""
    return any("\u3400" <= c <= "\u9fff" or "\U00020000" <= c <= "\U0003ffff" for c in text)


@lru_cache(maxsize=4096)
def _readings(character: str) -> tuple[str, ...]:
    """Every toneless reading of one character; ü is written v, u and yu."""
    heard = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore")
    syllables = dict.fromkeys(folded(syllable) for syllable in (heard[0] if heard else ()))
    return tuple(
        dict.fromkeys(
            syllable.replace("v", written)
            for syllable in islice(syllables, _READINGS_PER_CHARACTER)
            for written in ("v", "u", "yu")
        )
    )


def readings(text: str) -> Iterator[tuple[str, ...]]:
    """The syllables of a Chinese text, for each way to read it, the usual way first; bounded, so that no text costs much."""
    chinese = [c for c in text if is_chinese(c)]
    yield tuple(folded(syllable) for syllable in lazy_pinyin("".join(chinese), style=Style.NORMAL))
    yield from islice(product(*(_readings(c) or (c,) for c in chinese)), _MAX_READINGS)


def dates(day: date) -> frozenset[str]:
    """Spellings of a date of six characters and more, without separators: found anywhere."""
    year, short = f"{day:%Y}", f"{day:%y}"
    months, days = {str(day.month), f"{day:%m}"}, {str(day.day), f"{day:%d}"}
    numeric = {
        "".join(parts)
        for y, m, d in product((year, short), months, days)
        for parts in ((y, m, d), (d, m, y), (m, d, y), (y, d, m))
    }
    named = {
        "".join(parts)
        for y, m, d in product((year, short), _month_names(day), days)
        for parts in ((y, m, d), (d, m, y), (m, d, y))
    }
    chinese = {f"{m}月{d}日" for m, d in product(months, days)} | {f"{m}月{d}号" for m, d in product(months, days)}
    spoken = {f"{_spoken(day.month)}月{_spoken(day.day)}{end}" for end in "日号"}
    return frozenset(text for text in numeric | named | chinese if len(text) >= 6) | chinese | spoken | {f"{day:%Y%m}"}


def month_and_day(day: date) -> frozenset[str]:
    """The four digits of month and day, either way round: found anywhere, as digits."""
    return frozenset({f"{day:%m%d}", f"{day:%d%m}"})


def short_dates(day: date) -> frozenset[str]:
    """Spellings so short that they count only where no other digit touches them; parts are joined by one "-", or by nothing."""
    year, short = f"{day:%Y}", f"{day:%y}"
    months, days = {str(day.month), f"{day:%m}"}, {str(day.day), f"{day:%d}"}
    triples = {
        parts
        for y, m, d in product((year, short), months, days)
        for parts in ((y, m, d), (d, m, y), (m, d, y), (y, d, m))
    }
    named = {pair for m, d in product(_month_names(day), days) for pair in ((m, d), (d, m))}
    return frozenset(joint.join(parts) for parts in triples | named for joint in ("-", ""))


def _month_names(day: date) -> set[str]:
    full = _MONTHS[day.month - 1]
    return {full, full[:3]}


def _spoken(number: int) -> str:
    """1 to 31 in Chinese numerals."""
    tens, ones = divmod(number, 10)
    return ("" if tens == 0 else "十" if tens == 1 else _NUMERALS[tens] + "十") + (_NUMERALS[ones] if ones else "")
