"""Tables for people, clean streams for pipes."""

import csv
import io
import json
import re
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len

from infosec.api.auth.v1 import staff_pb2
from infosec.cli.output import Column, Output, Writer
from infosec.cli.records import Row
from infosec.messages import Locale, Text
from tests.unit.cli.fakes import NOW, Console, stamp

COLUMNS = (
    Column("id", Text("编号", "ID"), is_id=True),
    Column("name", Text("姓名", "Name")),
    Column("state", Text("状态", "State"), words={"LOCKED": Text("加锁", "locked")}),
    Column("at", Text("时间", "At"), is_whole=True),
    Column("note", Text("备注", "Note")),
    Column("extra", Text("其他", "Extra"), only_wide=True),
)
ROW: Row = {
    "id": "3f2a9c1e-0000-4000-8000-000000000001",
    "name": "欧阳慕容诸葛",
    "state": "LOCKED",
    "at": datetime(2026, 3, 1, 18, 5, tzinfo=UTC),
    "note": "在营业厅连续五次输入错误密码，申请解锁；已核对身份并由值班经理确认" * 2,
    "extra": "EXTRA",
}
EMPTY = Text("没有。", "Nothing.")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(form: Output, rows: list[Row], *, fields: tuple[str, ...] = (), to: io.StringIO | None = None) -> str:
    out, err = to or io.StringIO(), io.StringIO()
    writer = Writer(form, locale=Locale.ZH_CN, fields=fields, is_quiet=False, stdout=out, stderr=err)
    writer.rows(rows, COLUMNS, empty=EMPTY)
    return out.getvalue() or err.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_fits_the_terminal_with_wide_characters(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table = re.sub(r"\x1b\[[0-9;]*m", "", written(Output.TABLE, [ROW], to=Terminal()))
    assert max(cell_len(line) for line in table.splitlines()) <= width
    assert "3f2a9c1e" in table
    assert "-0000-4000" not in table
    assert ("EXTRA" in table) is (width == 120)


def test_dates_stand_in_carrier_time_for_people_and_in_utc_for_programs() -> None:
    assert "2026-03-02 02:05" in written(Output.TABLE, [ROW])
    assert json.loads(written(Output.JSON, [ROW]))[0]["at"] == "2026-03-01T18:05:00Z"


def test_a_pipe_gets_tabs_and_no_boxes_or_colours() -> None:
    heading, line = written(Output.TABLE, [ROW]).splitlines()
    assert heading.split("\t") == ["编号", "姓名", "状态", "时间", "备注", "其他"]
    assert line.split("\t")[0] == ROW["id"]
    assert "\x1b" not in line


def test_json_is_one_array_and_ndjson_one_object_a_line() -> None:
    assert len(json.loads(written(Output.JSON, [ROW, ROW]))) == 2
    assert written(Output.JSON, []) == "[]\n"
    assert [json.loads(line)["state"] for line in written(Output.NDJSON, [ROW, ROW]).splitlines()] == ["LOCKED"] * 2


@pytest.mark.parametrize("attack", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx"])
def test_csv_cells_are_no_formulas(attack: str) -> None:
    heading, cells = csv.reader(io.StringIO(written(Output.CSV, [ROW | {"name": attack}])))
    assert cells[heading.index("name")] == f"'{attack}"


def test_nothing_found_is_said_so() -> None:
    assert written(Output.TABLE, []) == "没有。\n"


def test_control_characters_do_not_reach_a_terminal() -> None:
    for form in (Terminal(), io.StringIO()):
        assert "\x1b[2J" not in written(Output.TABLE, [ROW | {"name": "\x1b[2Jgone"}], to=form)


def test_fields_choose_what_is_written_and_unknown_ones_are_refused(console: Console) -> None:
    console.suite.staff_list = [staff_pb2.Staff(staff_id="c1", name="李雷", state=staff_pb2.STAFF_STATE_LOCKED)]
    console.log_in()
    chosen = console.run("staff", "list", "--fields", "name,state", "--output", "ndjson")
    assert json.loads(chosen.stdout) == {"name": "李雷", "state": "LOCKED"}
    refused = console.run("staff", "list", "--fields", "nome")
    assert refused.exit_code == 1
    assert "staff_id" in refused.stderr


def test_all_pages_are_fetched_unless_a_limit_is_given(console: Console) -> None:
    console.suite.staff_list = [
        staff_pb2.Staff(staff_id=f"c{n}", last_login_at=stamp(NOW), state=staff_pb2.STAFF_STATE_ACTIVE)
        for n in range(5)
    ]
    console.log_in()
    assert len(console.run("staff", "list", "--output", "ndjson").stdout.splitlines()) == 5
    assert len(console.run("staff", "list", "--limit", "3", "--output", "ndjson").stdout.splitlines()) == 3


def test_quiet_leaves_only_the_result(console: Console) -> None:
    console.log_in()
    assert console.run("staff", "list", "-q").output == ""
    assert "No staff IDs." in console.run("staff", "list").stderr
