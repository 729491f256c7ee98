"""Staff lists as HR sends them: encodings, headings, damage, and faults by row."""

import io
import json
import zipfile
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from infosec.api.auth.v1 import staff_pb2
from infosec.cli.failures import Told
from infosec.cli.sheet import MAX_BYTES, MAX_ROWS, read_sheet
from infosec.cli.staff_rows import StaffRows, staff_rows
from infosec.errors import Reason
from infosec.messages import Locale
from tests.unit.cli.fakes import Console

CHINESE = "工号,姓名,手机,岗位,营业厅,生日,证件号\nC001,李雷,13800000001,营业员,s-001,1990年1月2日,110101199001020011\n"
ENGLISH = "staff_id,name,phone,role_id,store_id,birthday\nc002,Mei Han,13800000002,Store Manager,s-001,1991/12/31\n"


def people(data: bytes, **how: str) -> StaffRows:
    return staff_rows(read_sheet(data, **how))


def refused(data: bytes, **how: str) -> Told:
    with pytest.raises(Told) as told:
        people(data, **how)
    assert told.value.reason is Reason.FILE_REJECTED
    return told.value


def faults(data: bytes) -> list[tuple[int, str]]:
    return [(fault.row, fault.field) for fault in people(data).faults]


def workbook(*rows: list[object], sheets: int = 1) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    for _ in range(sheets - 1):
        book.create_sheet()
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


HEADING: list[object] = ["工号", "姓名", "手机", "岗位", "营业厅", "生日"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_chinese_lists_are_read_in_every_usual_encoding(encoding: str) -> None:
    (person,) = people(CHINESE.encode(encoding)).staff
    assert (person.staff_id, person.name, person.role_id) == ("c001", "李雷", "clerk")
    assert (person.birthday, person.id_number) == ("1990-01-02", "110101199001020011")


def test_english_headings_and_role_names_do_too() -> None:
    (person,) = people(ENGLISH.encode()).staff
    assert (person.role_id, person.birthday) == ("store-manager", "1991-12-31")


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_other_delimiters_are_seen(delimiter: str) -> None:
    assert people(CHINESE.replace(",", delimiter).encode()).staff[0].name == "李雷"


def test_an_encoding_that_is_given_is_kept_to() -> None:
    assert people(CHINESE.encode("gbk"), encoding="gbk").staff
    assert "utf-8" in refused(CHINESE.encode("gbk"), encoding="utf-8").text.en
    assert "klingon" in refused(CHINESE.encode(), encoding="klingon").text.en


@pytest.mark.parametrize(
    "damaged",
    [
        CHINESE.encode()[: CHINESE.encode().index("雷".encode()) + 1],
        CHINESE.replace("李", "\ufffd").encode().replace("\ufffd".encode(), b"\xff"),
        CHINESE.encode("gbk").replace("李".encode("gbk"), b"\xff\xff"),
        (CHINESE + 'c9,"韩梅梅').encode(),
        b"",
        b"  \n",
        b"\xd0\xcf\x11\xe0 an old workbook",
        b"PK\x03\x04 not really",
        CHINESE.split("\n")[0].encode(),
        b"\0\0\0,",
    ],
)
def test_damaged_files_are_refused_whole(damaged: bytes) -> None:
    refused(damaged)


def test_a_row_that_is_cut_off_is_a_fault() -> None:
    assert (2, "") in faults((CHINESE + "c002,韩梅梅,138").encode())


def test_headings_must_be_understood() -> None:
    assert "性别" in refused(CHINESE.replace("生日", "性别").encode()).text.zh
    assert "twice" in refused(CHINESE.replace("生日", "姓名").encode()).text.en
    assert "missing" in refused("工号,姓名\nc1,李雷\n".encode()).text.en


def test_columns_can_be_left_out_by_name() -> None:
    sheet = read_sheet(CHINESE.replace("生日", "性别").encode())
    assert staff_rows(sheet, ignored=["性别"]).staff[0].birthday == ""


def test_duplicates_are_found_over_spellings_and_rows_keep_their_numbers() -> None:
    rows = CHINESE + ",,,,,,\nＣ００１,韩梅梅,13800000003,营业员,s-001,,\n"
    (fault,) = people(rows.encode()).faults
    assert (fault.row, fault.field, fault.text.en) == (3, "staff_id", "the same as in row 1")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, "x"),
        (0, "=HYPERLINK(1)"),
        (1, ""),
        (1, "李\x07雷"),
        (3, "厅长"),
        (4, "!"),
        (5, "1990-02-30"),
        (1, "长" * 2000),
    ],
)
def test_faults_name_row_and_field_and_repeat_no_value(column: int, value: str) -> None:
    heading, row = CHINESE.splitlines()
    cells = row.split(",")
    cells[column] = value
    found = people(f"{heading}\n{','.join(cells)}\n".encode()).faults
    assert [fault.row for fault in found] == [1]
    assert all(not value or value not in fault.text.in_(locale) for fault in found for locale in Locale)


def test_a_workbook_is_read_with_its_numbers_and_dates() -> None:
    (person,) = people(workbook(HEADING, ["c001", "李雷", 13800000001, "店长", "s-001", date(1990, 1, 2)])).staff
    assert (person.phone, person.birthday, person.role_id) == ("13800000001", "1990-01-02", "store-manager")


def test_formulas_and_long_numbers_in_a_workbook_are_faults() -> None:
    data = workbook(
        [*HEADING, "证件号"],
        ["c001", "=A1", "13800000001", "营业员", "s-001", None, "1"],
        ["c002", "韩梅梅", "13800000002", "营业员", "s-001", None, 110101199001020011],
    )
    assert faults(data) == [(1, "name"), (2, "id_number")]


def test_one_of_several_sheets_has_to_be_named() -> None:
    data = workbook(HEADING, ["c001", "李雷", "1", "店长", "s-001"], sheets=2)
    assert "--sheet" in refused(data).text.en
    assert people(data, sheet="Sheet").staff


@pytest.mark.parametrize("part", [0.3, 0.7, 0.99])
def test_a_workbook_that_is_cut_off_is_refused(part: float) -> None:
    whole = workbook(HEADING, ["c001", "李雷", "1", "店长", "s-001"])
    refused(whole[: int(len(whole) * part)])


def test_a_zip_bomb_is_not_unpacked() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * (65 << 20))
    assert len(made.getvalue()) < 1 << 20
    assert "unpack" in refused(made.getvalue()).text.en


def test_a_workbook_declares_no_entities() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("[Content_Types].xml", b'<!DOCTYPE x [<!ENTITY a "b">]><Types/>')
    assert "declares" in refused(made.getvalue()).text.en


def test_sizes_are_bounded() -> None:
    heading, row = CHINESE.splitlines()
    assert str(MAX_ROWS) in refused((heading + "\n" + f"{row}\n" * (MAX_ROWS + 1)).encode()).text.en
    assert "MiB" in refused(b"x" * (MAX_BYTES + 1)).text.en


def test_an_import_sends_the_rows_and_tells_the_count(console: Console, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_bytes((CHINESE + "c002,韩梅梅,13800000002,值班经理,s-001,,\n").encode("gbk"))
    console.log_in()
    dry = console.run("staff", "import", str(file), "--dry-run", "--output", "json")
    assert json.loads(dry.stdout) == {"rows": 2, "imported": 0, "dry_run": True}
    assert console.suite.imported == []
    done = console.run("staff", "import", str(file), "--output", "json")
    assert json.loads(done.stdout)["imported"] == 2
    assert [one.role_id for one in console.suite.imported] == ["clerk", "duty-manager"]


def test_faults_of_the_file_are_told_before_anything_is_sent(console: Console, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text(CHINESE + "c002,,13800000002,营业员,s-001,,\n")
    console.log_in()
    wrong = console.run("staff", "import", str(file), "--output", "ndjson")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout) == {"row": 2, "field": "name", "text": "must be filled in"}
    assert "1 fault" in wrong.stderr
    assert "13800000002" not in wrong.output


def test_faults_of_the_server_are_told_by_the_rows_of_the_file(console: Console, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text(CHINESE + ",,,,,,\nc002,韩梅梅,13800000002,营业员,s-404,,\n")
    console.suite.import_faults = [staff_pb2.RowFault(row=2, field="store_id", text="no such store")]
    console.log_in()
    wrong = console.run("staff", "import", str(file), "--output", "json")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout) == [{"row": 3, "field": "store_id", "text": "no such store"}]
    assert json.loads(wrong.stderr)["reason"] == "FILE_REJECTED"


def test_a_file_that_is_not_there_is_a_usage_error(console: Console, tmp_path: Path) -> None:
    console.log_in()
    assert console.run("staff", "import", str(tmp_path / "none.csv")).exit_code == 1
