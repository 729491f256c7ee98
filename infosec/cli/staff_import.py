"""`infosec staff import`: a staff list from HR, checked here and on the server, imported whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.cli.failures import ExitCode, Told, usage
from infosec.cli.invocation import Invocation
from infosec.cli.output import Column, Output
from infosec.cli.records import Row
from infosec.cli.sheet import MAX_BYTES, read_sheet
from infosec.cli.staff_rows import CHINESE, StaffRows, staff_rows
from infosec.client.staff import Progress as Listener
from infosec.errors import Reason
from infosec.messages import Text

_FAULTS = (
    Column("row", Text("行", "Row"), is_whole=True),
    Column(
        "field", Text("列", "Field"), words={field: Text(zh, field) for field, zh in CHINESE.items()}, is_whole=True
    ),
    Column("text", Text("问题", "Fault")),
)
_DONE = (
    Column("rows", Text("行数", "Rows")),
    Column("imported", Text("已导入", "Imported")),
    Column("dry_run", Text("仅检查", "Dry run")),
)


def run_import(
    desk: Invocation,
    file: Path,
    *,
    encoding: str | None,
    sheet: str | None,
    ignored: Sequence[str],
    dry_run: bool,
) -> None:
    """Read, check, send; ends with the count or with every fault by row."""
    people = staff_rows(read_sheet(_bytes(file), encoding=encoding, sheet=sheet), ignored=ignored)
    if people.faults:
        locale = desk.settings.locale
        raise _refused(
            desk, [{"row": fault.row, "field": fault.field, "text": fault.text.in_(locale)} for fault in people.faults]
        )
    with _progress(desk, len(people.staff)) as tell:
        answer = desk.run_in_session(
            lambda suite, token: suite.staff.import_many(token, people.staff, dry_run=dry_run, progress=tell)
        )
    if answer.faults:
        raise _refused(desk, [_in_file(fault, people) for fault in answer.faults])
    if dry_run:
        desk.out.note("检查通过，未写入。", "Everything is in order; nothing was written.")
    else:
        desk.out.note(
            "导入完成；初始密码已发往各人的手机。", "Imported; first passwords go to each person's own phone."
        )
    desk.out.record({"rows": len(people.staff), "imported": answer.imported, "dry_run": dry_run}, _DONE)


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(MAX_BYTES + 1)
    except OSError:
        raise usage(f"无法读取文件 {file}。", f"Cannot read the file {file}.") from None


def _in_file(fault: pb.RowFault, people: StaffRows) -> Row:
    """The server counts the rows that it was sent; people count those of their file."""
    known = 1 <= fault.row <= len(people.numbers)
    return {
        "row": people.numbers[fault.row - 1] if known else fault.row,
        "field": fault.field or None,
        "text": fault.text,
    }


def _refused(desk: Invocation, faults: Sequence[Row]) -> Told:
    desk.out.rows(faults, _FAULTS, empty=Text("", ""))
    return Told(
        Reason.FILE_REJECTED,
        Text(
            f"文件未被接受：{len(faults)} 处问题。没有导入任何内容；请改正后重新提交整个文件。",
            f"The file was not accepted: {len(faults)} faults. Nothing was imported; correct it and send it whole.",
        ),
        exit_code=ExitCode.USAGE,
    )


@contextmanager
def _progress(desk: Invocation, total: int) -> Iterator[Listener | None]:
    """A bar on stderr, for people alone."""
    if desk.settings.is_quiet or desk.settings.output is not Output.TABLE or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        checked = bars.add_task(desk.say("检查", "Checked"), total=total)
        prepared = bars.add_task(desk.say("准备", "Prepared"), total=total)

        def tell(answer: pb.ImportStaffResponse) -> None:
            bars.update(checked, completed=answer.checked)
            bars.update(prepared, completed=answer.prepared)

        yield tell
