"""Customer data leaves masked: what each function shows at most, and what a plan does to a message."""

from __future__ import annotations

import re
import unicodedata

import pytest
from google.protobuf import duration_pb2, field_mask_pb2, struct_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from infosec.api.auth.v1 import check_pb2, staff_pb2
from infosec.client.masking import (
    NOTHING_SHOWN,
    Kind,
    MaskedFields,
    apply,
    mask_address,
    mask_id_number,
    mask_name,
    mask_phone,
)
from infosec.errors import Internal, Misconfigured, PermissionDenied

pytestmark = pytest.mark.rule("CI-5")
ANYTHING = st.text() | st.text(alphabet="0123456789+-* ０１９Xx张三欧阳·.\u200b\u3000")
NUMBERS = st.from_regex(r"[0-9]{1,24}", fullmatch=True)
PARTS = (
    "广东省 广东 北京市 上海 内蒙古自治区 深圳市 南山区 浦东新区 延边朝鲜族自治州 阿里地区 新乡县 阳光小区 人民路 5号 201室 "
    "3栋 花园 东区 城市 市 区 县 旗 州 省 村 镇 红旗 街 , / 12 * ****"
)
PLACES = st.lists(st.sampled_from([*PARTS.split(), " "]), max_size=8).map("".join)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("13812345678", "138****5678"),
        ("138****5678", "138****5678"),
        ("+86 138-1234-5678", "138****5678"),
        ("008613812345678", "138****5678"),
        ("１３８１２３４５６７８", "138****5678"),
        (" 138 1234 5678\n", "138****5678"),
        ("0755-12345678", "075****5678"),
        ("12345678", "****5678"),
        ("10086", "****"),
        ("无", "****"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_phones(text: str, masked: str) -> None:
    assert mask_phone(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("张三", "张*"),
        ("张三丰", "张**"),
        ("张*", "张*"),
        ("张", "*"),
        ("张 三", "张*"),
        ("\u3000诸葛\u3000亮", "诸葛*"),
        ("欧阳娜娜", "欧阳**"),
        ("歐陽修", "歐陽*"),
        ("欧阳", "欧*"),
        ("欧阳·", "欧*·"),
        ("买买提·吐尔逊", "买**·***"),
        ("阿卜杜拉・买买提", "阿***・***"),
        ("John Smith", "J*** *****"),
        ("J", "*"),
        ("张\u200b三", "张*"),
        ("𠮷田太郎", "𠮷***"),
        ("", ""),
        (" \t", ""),
    ],
)
def test_names(text: str, masked: str) -> None:
    assert mask_name(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("11010119900307002X", "110***********002X"),
        ("110101 19900307 002x", "110***********002x"),
        ("１１０１０１１９９００３０７００２Ｘ", "110***********002X"),
        ("110101900307002", "110*********002"),
        ("E12345678", "E******78"),
        ("军字第1234567号", "军********7号"),
        ("1234567", "*******"),
        ("", ""),
    ],
)
def test_document_numbers(text: str, masked: str) -> None:
    assert mask_id_number(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("广东省深圳市南山区科技路1号3栋501", "广东省深圳市南山区****"),
        ("广东省 深圳市 南山区 科技路1号", "广东省深圳市南山区****"),
        ("广东省，深圳市，南山区，科技路1号", "广东省,深圳市,南山区****"),
        ("广东深圳市南山区科技路", "广东深圳市南山区****"),
        ("深圳市南山区科技路", "深圳市南山区****"),
        ("北京市朝阳区建国路88号", "北京市朝阳区****"),
        ("上海浦东新区世纪大道", "上海浦东新区****"),
        ("重庆市市辖区渝中区解放碑", "重庆市市辖区渝中区****"),
        ("广西壮族自治区南宁市青秀区民族大道", "广西壮族自治区南宁市青秀区****"),
        ("内蒙古自治区锡林郭勒盟锡林浩特市团结路", "内蒙古自治区锡林郭勒盟锡林浩特市****"),
        ("云南省昆明市石林彝族自治县环林路", "云南省昆明市石林彝族自治县****"),
        ("山东省青岛市市南区香港中路", "山东省青岛市市南区****"),
        ("江苏省苏州市昆山市花桥镇", "江苏省苏州市昆山市****"),
        ("福建省厦门市思明区湖滨南路", "福建省厦门市思明区****"),
        ("广东省东莞市长安镇霄边村", "广东省东莞市****"),
        ("深圳市锦绣花园东区3栋", "深圳市****"),
        ("深圳市阳光小区5栋", "深圳市****"),
        ("长春市红旗街1号", "长春市****"),
        ("阳光小区5栋201", "****"),
        ("北京路5号", "****"),
        ("上海市北京东路12号", "上海市****"),
        ("No. 5, Nanshan Road, Shenzhen", "****"),
        ("广东省深圳市南山区", "广东省深圳市南山区"),
        ("广东省深圳市南山区****", "广东省深圳市南山区****"),
        ("", ""),
        ("\u3000", ""),
    ],
)
def test_addresses(text: str, masked: str) -> None:
    assert mask_address(text) == masked


@given(ANYTHING | NUMBERS)
def test_a_phone_shows_seven_digits_at_most_and_hides_four(text: str) -> None:
    masked = mask_phone(text)
    assert re.fullmatch(r"([0-9]{3})?\*{4}([0-9]{4})?|", masked)
    assert mask_phone(masked) == masked
    if "*" not in unicodedata.normalize("NFKC", text):
        shown = sum(c.isdigit() for c in masked)
        digits = sum(c in "0123456789" for c in unicodedata.normalize("NFKC", text))
        assert shown == 0 or shown + 4 <= digits


@given(ANYTHING)
def test_a_name_shows_two_characters_at_most_and_hides_one(text: str) -> None:
    masked = mask_name(text)
    shown = [c for c in masked if c not in " *·•‧・∙⋅."]
    assert len(shown) <= 2
    assert not shown or "*" in masked
    assert mask_name(masked) == masked


@given(ANYTHING | NUMBERS | st.from_regex(r"[0-9]{17}[0-9X]", fullmatch=True))
def test_a_document_number_shows_seven_characters_at_most_and_never_half(text: str) -> None:
    masked = mask_id_number(text)
    shown = sum(c != "*" for c in masked)
    assert shown <= 7
    assert shown * 2 < len(masked) or not masked
    assert mask_id_number(masked) == masked


@given(st.dates(), st.integers(0, 999999), st.integers(0, 9999))
def test_a_document_number_never_shows_the_birthday(birthday: object, place: int, rest: int) -> None:
    masked = mask_id_number(f"{place:06d}{str(birthday).replace('-', '')}{rest:04d}")
    assert masked[6:14] == "********"


@given(ANYTHING | PLACES)
def test_an_address_shows_no_more_than_three_words_for_places(text: str) -> None:
    masked = mask_address(text)
    shown = masked.removesuffix("****")
    assert not re.search(r"[0-9号栋幢室]", shown)
    assert not shown or re.search(r"[省市区县旗州盟]$|(地|政)区$", shown)
    assert len(re.sub(r"[,、/;|\-_.]", "", shown)) <= 30
    assert masked in ("", shown + "****") or masked == "".join(unicodedata.normalize("NFKC", text).split())
    assert mask_address(masked) == masked


# Plans

ALL = check_pb2.CheckResponse(
    allowed=True, masking=check_pb2.Masking(phone=True, name=True, id_number=True, address=True)
)
NOTHING = check_pb2.CheckResponse(allowed=True, masking=check_pb2.Masking())


def test_a_plan_masks_what_the_decision_names_and_leaves_the_message_given() -> None:
    plan = MaskedFields(staff_pb2.GetStaffResponse, {"staff.name": Kind.NAME, "staff.staff_id": Kind.PHONE})
    message = staff_pb2.GetStaffResponse(
        staff=staff_pb2.Staff(staff_id="13812345678", name="欧阳娜娜", role_id="clerk")
    )
    shown = apply(plan, message, ALL)
    assert (shown.staff.staff_id, shown.staff.name, shown.staff.role_id) == ("138****5678", "欧阳**", "clerk")
    assert message.staff.name == "欧阳娜娜"
    only_names = check_pb2.CheckResponse(allowed=True, masking=check_pb2.Masking(name=True))
    assert apply(plan, message, only_names).staff.staff_id == "13812345678"
    assert apply(plan, message, NOTHING) == message


def test_a_decision_without_masking_masks_all_and_a_denial_shows_nothing() -> None:
    plan = MaskedFields(staff_pb2.GetStaffResponse, {"staff.name": Kind.NAME})
    message = staff_pb2.GetStaffResponse(staff=staff_pb2.Staff(name="张三"))
    assert apply(plan, message, check_pb2.CheckResponse(allowed=True)).staff.name == "张*"
    for masks in (plan, NOTHING_SHOWN):
        with pytest.raises(PermissionDenied):
            apply(masks, message, check_pb2.CheckResponse(masking=check_pb2.Masking()))


def test_paths_lead_through_repeated_fields_maps_and_choices() -> None:
    listed = MaskedFields(staff_pb2.ListStaffResponse, {"staff.name": Kind.NAME})
    two = staff_pb2.ListStaffResponse(staff=[staff_pb2.Staff(name="张三"), staff_pb2.Staff(name="")])
    assert [one.name for one in apply(listed, two, ALL).staff] == ["张*", ""]
    texts = MaskedFields(field_mask_pb2.FieldMask, {"paths": Kind.PHONE})
    assert list(apply(texts, field_mask_pb2.FieldMask(paths=["13812345678", ""]), ALL).paths) == ["138****5678", ""]
    mapped = MaskedFields(error_details_pb2.ErrorInfo, {"metadata": Kind.NAME})
    assert dict(apply(mapped, error_details_pb2.ErrorInfo(metadata={"a": "张三"}), ALL).metadata) == {"a": "张*"}
    deep = MaskedFields(
        struct_pb2.Struct, {"fields.string_value": Kind.NAME, "fields.list_value.values.string_value": Kind.PHONE}
    )
    struct = struct_pb2.Struct()
    struct.update({"name": "张三", "phones": ["13812345678", 5], "age": 40, "none": None})
    shown = apply(deep, struct, ALL)
    assert dict(shown)["name"] == "张*"
    assert list(shown["phones"]) == ["138****5678", 5]
    assert (shown["age"], shown["none"]) == (40, None)


def test_an_absent_message_stays_absent() -> None:
    plan = MaskedFields(staff_pb2.GetStaffResponse, {"staff.name": Kind.NAME})
    assert not apply(plan, staff_pb2.GetStaffResponse(), ALL).HasField("staff")


@pytest.mark.parametrize(
    ("response", "path"),
    [
        (staff_pb2.GetStaffResponse, "staff.no_such_field"),
        (staff_pb2.GetStaffResponse, "staff"),
        (staff_pb2.GetStaffResponse, "staff.name.first"),
        (staff_pb2.GetStaffResponse, ""),
        (staff_pb2.GetStaffResponse, "name"),
        (duration_pb2.Duration, "seconds"),
        (struct_pb2.Struct, "fields"),
        (struct_pb2.Struct, "fields.key"),
    ],
)
def test_a_path_that_leads_to_no_text_is_refused_when_the_plan_is_made(response: type[Message], path: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        MaskedFields(response, {path: Kind.NAME})
    assert caught.value.details["hint"]
    assert path in caught.value.details["key"]


def test_a_plan_without_fields_is_refused_with_what_to_say_instead() -> None:
    with pytest.raises(Misconfigured) as caught:
        MaskedFields(staff_pb2.GetStaffResponse, {})
    assert "NOTHING_SHOWN" in caught.value.details["hint"]


def test_a_message_of_another_type_does_not_leave() -> None:
    plan = MaskedFields(staff_pb2.GetStaffResponse, {"staff.name": Kind.NAME})
    with pytest.raises(Internal):
        apply(plan, staff_pb2.ListStaffResponse(), ALL)


def test_fields_that_this_program_does_not_know_do_not_leave_masked_messages() -> None:
    plan = MaskedFields(field_mask_pb2.FieldMask, {"paths": Kind.NAME})
    field_15 = b"\x7a\x06" + "张三".encode()
    passed_on = field_mask_pb2.FieldMask.FromString(field_15)
    assert passed_on.SerializeToString() == field_15
    assert apply(plan, passed_on, ALL).SerializeToString() == b""


def test_every_kind_is_a_field_of_the_masking_on_the_wire_and_every_such_field_a_kind() -> None:
    assert {field.name for field in check_pb2.Masking.DESCRIPTOR.fields} == {kind.value for kind in Kind}
