"""What the columns of a staff list mean, in Chinese or English, and which rows can be sent. Pure; the server judges the rest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.cli.sheet import Fault, Sheet, rejected
from infosec.decision.roles import ROLES
from infosec.errors import InvalidInput
from infosec.ids import node_id, staff_id
from infosec.messages import Text

_HEADINGS: Mapping[str, str] = {
    "工号": "staff_id",
    "员工工号": "staff_id",
    "staffid": "staff_id",
    "姓名": "name",
    "name": "name",
    "手机": "phone",
    "手机号": "phone",
    "手机号码": "phone",
    "phone": "phone",
    "mobile": "phone",
    "岗位": "role_id",
    "角色": "role_id",
    "roleid": "role_id",
    "role": "role_id",
    "营业厅": "store_id",
    "营业厅代码": "store_id",
    "门店": "store_id",
    "storeid": "store_id",
    "store": "store_id",
    "生日": "birthday",
    "出生日期": "birthday",
    "birthday": "birthday",
    "证件号": "id_number",
    "证件号码": "id_number",
    "身份证号": "id_number",
    "idnumber": "id_number",
    "旧密码哈希": "legacy_hash",
    "legacyhash": "legacy_hash",
}
REQUIRED = ("staff_id", "name", "phone", "role_id", "store_id")
FIELDS = (*REQUIRED, "birthday", "id_number", "legacy_hash")
CHINESE: Mapping[str, str] = {
    "staff_id": "工号",
    "name": "姓名",
    "phone": "手机",
    "role_id": "岗位",
    "store_id": "营业厅",
    "birthday": "生日",
    "id_number": "证件号",
    "legacy_hash": "旧密码哈希",
}
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\d{4})(\d{2})(\d{2})")


def _folded(name: str) -> str:
    return re.sub(r"[\s_*＊\-]", "", unicodedata.normalize("NFKC", name).casefold())


_ROLE_NAMES: Mapping[str, str] = {
    _folded(name): role_id for role_id, role in ROLES.items() for name in (role_id, role.name_zh, role.name_en)
} | {"渠道": "partner-agent", "sp": "partner-agent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffRows:
    """People to be made staff IDs, the row in the file that each came from, and every fault that was seen."""

    staff: tuple[pb.NewStaff, ...]
    numbers: tuple[int, ...]
    faults: tuple[Fault, ...]


def staff_rows(sheet: Sheet, *, ignored: Collection[str] = ()) -> StaffRows:
    """Read the sheet as a staff list. Raises FILE_REJECTED for a heading that cannot be understood."""
    columns = _columns(sheet.heading, {_folded(name) for name in ignored})
    faults = list(sheet.faults)
    broken = {(fault.row, columns.get(sheet.heading.index(fault.field))) for fault in faults if fault.field}
    first_seen: dict[str, int] = {}
    staff, numbers = [], []
    for number, cells in sheet.rows:
        values = {field: cells[index] for index, field in columns.items()}
        known_bad = {field for row, field in broken if row == number}
        faults += [fault for fault in _tidied(number, values) if fault.field not in known_bad]
        again = first_seen.setdefault(values["staff_id"], number)
        if values["staff_id"] and again != number:
            faults.append(_fault(number, "staff_id", f"与第 {again} 行重复", f"the same as in row {again}"))
        staff.append(pb.NewStaff(**values))
        numbers.append(number)
    named = [Fault(row=fault.row, field=_field_of(fault.field), text=fault.text) for fault in faults]
    return StaffRows(staff=tuple(staff), numbers=tuple(numbers), faults=tuple(sorted(named, key=lambda f: f.row)))


def _columns(heading: tuple[str, ...], ignored: Collection[str]) -> dict[int, str]:
    """Which field stands in which column."""
    found: dict[int, str] = {}
    unknown = []
    for index, name in enumerate(heading):
        field = _HEADINGS.get(_folded(name))
        if field in found.values():
            raise rejected(f"列“{name}”重复。", f"The column {name!r} is there twice.")
        if field is not None:
            found[index] = field
        elif _folded(shown := name or f"#{index + 1}") not in ignored:
            unknown.append(shown)
    known = ", ".join(f"{CHINESE[field]}/{field}" for field in FIELDS)
    if unknown:
        # A misspelt heading would drop its column in silence, and with it facts that passwords are checked against (ID-3).
        names = ", ".join(unknown)
        raise rejected(
            f"不认识的列：{names}。可用的列：{known}。确实不需要的列请用 --ignore-column 指明。",
            f"Unknown columns: {names}. Known are: {known}. What is not needed can be left out with --ignore-column.",
        )
    missing = [f"{CHINESE[field]}/{field}" for field in REQUIRED if field not in found.values()]
    if missing:
        names = ", ".join(missing)
        raise rejected(f"缺少列：{names}。", f"Columns are missing: {names}.")
    return found


def _tidied(number: int, values: dict[str, str]) -> list[Fault]:
    """Put values into their one spelling, in place; the answer is what could not be."""
    faults = [_fault(number, field, "必填", "must be filled in") for field in REQUIRED if not values[field]]
    values["role_id"] = _ROLE_NAMES.get(_folded(values["role_id"]), values["role_id"])
    for field in ("staff_id", "role_id", "store_id"):
        if values[field]:
            try:
                values[field] = staff_id(values[field]) if field == "staff_id" else node_id(values[field], field)
            except InvalidInput:
                faults.append(_fault(number, field, *_SPELLING[field]))
    if values.get("birthday"):
        born = _iso(values["birthday"])
        if born is None:
            faults.append(_fault(number, "birthday", "不是日期，例如 1990-01-31", "not a date, such as 1990-01-31"))
        values["birthday"] = born or ""
    return faults


_SPELLING = {
    "staff_id": ("须为 3 至 32 位 a-z 0-9 . _ -", "3 to 32 of a-z 0-9 . _ -"),
    "role_id": ("没有这个岗位", "no such role"),
    "store_id": ("请填营业厅代码", "give the ID of the store"),
}


def _iso(text: str) -> str | None:
    found = _DATE.fullmatch(unicodedata.normalize("NFKC", text).replace(" ", ""))
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups() if part is not None)
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _field_of(name: str) -> str:
    return _HEADINGS.get(_folded(name), name)


def _fault(number: int, field: str, zh: str, en: str) -> Fault:
    return Fault(row=number, field=field, text=Text(zh, en))
