"""Who may be made a staff ID, as rules: every fault of a row at once (ID-1, ID-8, ID-10). Knows no storage and no wire.

What comes out as `Hire` is clean: one spelling of the ID, a mainland mobile number, a role and store that exist.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeVar

from authsvc.directory import shown_text
from authsvc.hash_schemes import validate_imported
from infosec import ids
from infosec.decision.roles import Role
from infosec.errors import InvalidInput, Reason
from infosec.ids import RegionId, RoleId, StaffId, StoreId
from infosec.messages import Text

MAX_ROWS = 5000
"""Rows of one import; as stated at ImportHeader.rows."""
MAX_NAME = 50
OLDEST_YEARS = 100
YOUNGEST_YEARS = 14

_MOBILE = re.compile(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})")
_ID_NUMBER = re.compile(r"[1-9][0-9]{16}[0-9X]")
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"

_T = TypeVar("_T")


class Fault(StrEnum):
    """What can be wrong with a row. Closed; each has its words in FAULT_TEXTS."""

    REQUIRED = "REQUIRED"
    STAFF_ID = "STAFF_ID"
    NAME = "NAME"
    PHONE = "PHONE"
    ROLE = "ROLE"
    STORE = "STORE"
    STORE_CLOSED = "STORE_CLOSED"
    BIRTHDAY = "BIRTHDAY"
    ID_NUMBER = "ID_NUMBER"
    LEGACY_HASH = "LEGACY_HASH"
    PRIVILEGED_HASH = "PRIVILEGED_HASH"
    PRIVILEGED = "PRIVILEGED"
    TWICE = "TWICE"
    TAKEN = "TAKEN"


FAULT_TEXTS = {
    Fault.REQUIRED: Text(zh="必填", en="required"),
    Fault.STAFF_ID: Text(
        zh="工号须为 3 至 32 个字母、数字或 . _ -，首尾为字母或数字",
        en="a staff ID is 3 to 32 letters, digits or . _ -, with a letter or digit at both ends",
    ),
    Fault.NAME: Text(
        zh=f"姓名最多 {MAX_NAME} 个字，不能含控制字符或不可见字符",
        en=f"a name has at most {MAX_NAME} characters, none of them a control or invisible character",
    ),
    Fault.PHONE: Text(zh="须为中国大陆手机号（11 位）", en="a mainland mobile number of 11 digits"),
    Fault.ROLE: Text(zh="没有这个岗位", en="no such role"),
    Fault.STORE: Text(zh="没有这个营业厅", en="no such store"),
    Fault.STORE_CLOSED: Text(zh="该营业厅已停业", en="this store is closed for good"),
    Fault.BIRTHDAY: Text(
        zh=f"生日写作 YYYY-MM-DD，年龄 {YOUNGEST_YEARS} 至 {OLDEST_YEARS} 岁",
        en=f"a birthday is YYYY-MM-DD, of somebody {YOUNGEST_YEARS} to {OLDEST_YEARS} years old",
    ),
    Fault.ID_NUMBER: Text(
        zh="身份证号须为 18 位，校验码须正确",
        en="an ID-card number has 18 characters, the last of which checks the others",
    ),
    Fault.LEGACY_HASH: Text(
        zh="不认识的密码散列，或参数过大", en="a password hash of no known kind, or with parameters out of bounds"
    ),
    Fault.PRIVILEGED_HASH: Text(
        zh="特权岗位和审批岗位不能带入旧密码",
        en="a role that decides or approves does not bring an old password along",
    ),
    Fault.PRIVILEGED: Text(
        zh="特权岗位不能批量导入，须逐个新建并由另一位管理员批准",
        en="a privileged role is not imported: create it by itself, for a second administrator to approve",
    ),
    Fault.TWICE: Text(zh="与第 {row} 行重复", en="the same as in row {row}"),
    Fault.TAKEN: Text(
        zh="工号已存在或用过；工号不重复使用", en="this staff ID exists or existed; IDs are never used again"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicant:
    """A row as it was typed."""

    staff_id: str
    name: str
    phone: str = field(repr=False)
    role_id: str
    store_id: str
    birthday: str = field(default="", repr=False)
    id_number: str = field(default="", repr=False)
    legacy_hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store as hiring needs it."""

    region_id: RegionId
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What there is to be hired into."""

    roles: Mapping[RoleId, Role]
    stores: Mapping[StoreId, Place]
    second_persons: frozenset[RoleId] = frozenset()
    """Roles that some operation names as the second person (RQ-7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hire:
    """A person who may be made a staff ID. The repr shows nothing personal."""

    staff_id: StaffId
    name: str
    phone: str = field(repr=False)
    """Eleven digits."""
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    is_privileged: bool
    is_partner: bool
    birthday: date | None = field(default=None, repr=False)
    id_number: str = field(default="", repr=False)
    legacy_hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """One fault of one row. Holds nothing of what was typed."""

    row: int
    """From 1."""
    field: str
    fault: Fault
    other_row: int | None = None

    @property
    def text(self) -> Text:
        return FAULT_TEXTS[self.fault].filled(row=self.other_row)


def mobile(raw: str) -> str:
    """The eleven digits of a mainland mobile number, typed with or without +86, spaces and hyphens. Raises InvalidInput."""
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", raw))
    found = _MOBILE.fullmatch(digits)
    if found is None:
        raise _wrong("phone", "a mainland mobile number")
    return found[1]


def id_number(raw: str) -> str:
    """An 18-character ID-card number (GB 11643-1999, check character included). Raises InvalidInput."""
    text = "".join(unicodedata.normalize("NFKC", raw).split()).upper()
    if not _ID_NUMBER.fullmatch(text):
        raise _wrong("id_number", "18 characters")
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, text, strict=False))
    if text[-1] != _ID_CHECKS[total % 11]:
        raise _wrong("id_number", "check character")
    return text


def birthday(raw: str, today: date) -> date:
    """A date of birth, YYYY-MM-DD, of somebody who can work here. Raises InvalidInput."""
    try:
        day = date.fromisoformat(raw.strip())
    except ValueError:
        raise _wrong("birthday", "YYYY-MM-DD") from None
    age = today.year - day.year - ((today.month, today.day) < (day.month, day.day))
    if not YOUNGEST_YEARS <= age <= OLDEST_YEARS:
        raise _wrong("birthday", f"{YOUNGEST_YEARS} to {OLDEST_YEARS} years ago")
    return day


def name(raw: str) -> str:
    """A person's name in any script, NFKC, without what hides. Raises InvalidInput."""
    text = " ".join(shown_text(raw, "name", is_required=True).split())
    if len(text) > MAX_NAME:
        raise _wrong("name", f"at most {MAX_NAME} characters")
    return text


def examine(row: int, applicant: Applicant, known: Known, today: date) -> Hire | tuple[RowFault, ...]:
    """The row as a hire, or everything that is wrong with it."""
    faults: list[RowFault] = []

    def read(field_name: str, fault: Fault, parse: Callable[[str], _T], *, is_required: bool) -> _T | None:
        raw: str = getattr(applicant, field_name)
        if not raw.strip():
            if is_required:
                faults.append(RowFault(row=row, field=field_name, fault=Fault.REQUIRED))
            return None
        try:
            return parse(raw)
        except InvalidInput:
            faults.append(RowFault(row=row, field=field_name, fault=fault))
            return None

    staff_id = read("staff_id", Fault.STAFF_ID, ids.staff_id, is_required=True)
    full_name = read("name", Fault.NAME, name, is_required=True)
    phone = read("phone", Fault.PHONE, mobile, is_required=True)
    role = read("role_id", Fault.ROLE, lambda raw: _found(known.roles, RoleId(_node(raw))), is_required=True)
    store_id = read("store_id", Fault.STORE, lambda raw: _existing(known.stores, StoreId(_node(raw))), is_required=True)
    born = read("birthday", Fault.BIRTHDAY, lambda raw: birthday(raw, today), is_required=False)
    number = read("id_number", Fault.ID_NUMBER, id_number, is_required=False)
    legacy_hash = read("legacy_hash", Fault.LEGACY_HASH, _hash, is_required=False)
    if store_id is not None and known.stores[store_id].is_closed:
        faults.append(RowFault(row=row, field="store_id", fault=Fault.STORE_CLOSED))
    # ID-8, RQ-7: who makes an approver, or a second person, must not know how to log in as one.
    if role is not None and legacy_hash and (role.privileged or role.role_id in known.second_persons):
        faults.append(RowFault(row=row, field="legacy_hash", fault=Fault.PRIVILEGED_HASH))
    if faults or staff_id is None or full_name is None or phone is None or role is None or store_id is None:
        return tuple(faults)
    return Hire(
        staff_id=staff_id,
        name=full_name,
        phone=phone,
        role_id=role.role_id,
        store_id=store_id,
        region_id=known.stores[store_id].region_id,
        is_privileged=role.privileged,
        is_partner=role.partner,
        birthday=born,
        id_number=number or "",
        legacy_hash=legacy_hash or "",
    )


def hired(applicant: Applicant, known: Known, today: date) -> Hire:
    """The one row of CreateStaff. Raises InvalidInput with every fault as `field: FAULT`."""
    examined = examine(1, applicant, known, today)
    if isinstance(examined, Hire):
        return examined
    raise InvalidInput(
        Reason.INVALID_ARGUMENT,
        violations=tuple(f"staff.{fault.field}: {fault.fault}" for fault in examined),
        field=f"staff.{examined[0].field}",
        detail=examined[0].text.en,
    )


def among(hires: Iterable[tuple[int, Hire]], taken: frozenset[StaffId]) -> tuple[RowFault, ...]:
    """What is wrong with rows beside one another: an ID twice, an ID that was ever used (ID-10), a privileged role (ID-8)."""
    return tuple(_among(hires, taken))


def _among(hires: Iterable[tuple[int, Hire]], taken: frozenset[StaffId]) -> Iterator[RowFault]:
    first: dict[StaffId, int] = {}
    for row, hire in hires:
        if hire.staff_id in first:
            yield RowFault(row=row, field="staff_id", fault=Fault.TWICE, other_row=first[hire.staff_id])
        first.setdefault(hire.staff_id, row)
        if hire.staff_id in taken:
            yield RowFault(row=row, field="staff_id", fault=Fault.TAKEN)
        if hire.is_privileged:
            yield RowFault(row=row, field="role_id", fault=Fault.PRIVILEGED)


def _node(raw: str) -> str:
    return ids.node_id(raw, "id")


def _hash(raw: str) -> str:
    validate_imported(raw)
    return raw


def _existing(things: Mapping[StoreId, Place], key: StoreId) -> StoreId:
    if key not in things:
        raise _wrong("store_id", "no such store")
    return key


def _found(things: Mapping[RoleId, Role], key: RoleId) -> Role:
    if key not in things:
        raise _wrong("role_id", "no such role")
    return things[key]


def _wrong(field_name: str, detail: str) -> InvalidInput:
    return InvalidInput(Reason.INVALID_ARGUMENT, field=field_name, detail=detail)
