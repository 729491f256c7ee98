"""`infosec audit export`: a part of the record as a file with what proves it. Goes on where a broken connection ended."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli.approval import CustomerAsked, ask_customer
from infosec.cli.audit_words import told
from infosec.cli.failures import ExitCode, Told, usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.moments import moment
from infosec.cli.output import Column
from infosec.cli.records import Row
from infosec.cli.row_progress import row_progress
from infosec.cli.words import t
from infosec.client.audit_export import parts_of, receive, received
from infosec.client.audit_read import audit_filter
from infosec.client.connection import Connection
from infosec.clock import SystemClock
from infosec.errors import FailedPrecondition, Reason
from infosec.evidence.faults import NotProved
from infosec.evidence.formats import EncodingName, FormatName, format_of
from infosec.evidence.manifest import Manifest, manifest_path, proof_path
from infosec.evidence.part_file import Ask, PartFile
from infosec.evidence.rendering import Order, render
from infosec.ids import new_id
from infosec.messages import Text
from infosec.secret import Secret

_SUFFIXES = {
    ".csv": FormatName.CSV,
    ".xlsx": FormatName.XLSX,
    ".parquet": FormatName.PARQUET,
    ".ocsf": FormatName.OCSF,
}
_DONE = (
    Column("file", Text("文件", "File")),
    Column("rows", Text("行数", "Rows")),
    Column("logs", Text("日志", "Logs")),
    Column("is_complete", Text("完整区间", "Whole range")),
    Column("manifest", Text("清单", "Manifest")),
    Column("proof", Text("证明", "Proof")),
)


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "export",
        help=t(
            "导出审计记录及其证明；断线自动续传，中断后用同一文件名再次运行即可续传",
            "Export entries with what proves them; goes on after a broken connection, and when run again with the same file.",
        ),
    )(export)


def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=t("导出到此文件", "the file to write"))],
    since: Annotated[str, typer.Option(help=t("入日志时间不早于", "recorded at or after"))] = "",
    until: Annotated[str, typer.Option(help=t("入日志时间早于", "recorded before"))] = "",
    log: Annotated[list[str] | None, typer.Option(help=t("日志（片区）", "log, which is a region's"))] = None,
    store: Annotated[list[str] | None, typer.Option(help=t("营业厅", "store"))] = None,
    staff: Annotated[list[str] | None, typer.Option(help=t("工号", "staff ID"))] = None,
    operation: Annotated[list[str] | None, typer.Option(help=t("业务代码", "operation code"))] = None,
    type: Annotated[list[str] | None, typer.Option(help=t("事件类型", "type of event"))] = None,
    decision: Annotated[str, typer.Option(help=t("ALLOWED 或 DENIED", "ALLOWED or DENIED"))] = "",
    customer: CustomerAsked = False,
    format: Annotated[
        FormatName | None,
        typer.Option(help=t("文件格式；默认按扩展名", "form of the file; by its ending if not given")),
    ] = None,
    encoding: Annotated[EncodingName | None, typer.Option(help=t("CSV 的编码", "encoding of CSV"))] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help=t("丢弃未完成的部分，从头导出", "drop what was begun and begin anew"))
    ] = False,
) -> None:
    """The customer's number is asked for, and stands neither in the manifest nor on disk."""
    desk = of(ctx)
    chosen = format_of(format or _SUFFIXES.get(file.suffix.lower(), FormatName.JSONL), encoding)
    if file.exists():
        raise Told(
            Reason.ALREADY_EXISTS,
            Text(f"文件 {file} 已存在，请换一个文件名。", f"The file {file} exists; choose another name."),
            exit_code=ExitCode.CONFLICT,
        )
    number = ask_customer(desk) if customer else None
    asked: dict[str, Any] = {
        "since": _spelled(moment(since, "--since")),
        "until": _spelled(moment(until, "--until")),
        "log_ids": list(log or ()),
        "types": list(type or ()),
        "store_ids": list(store or ()),
        "staff_ids": list(staff or ()),
        "operations": list(operation or ()),
        "decision": decision,
    }
    shown = {name: value for name, value in asked.items() if value} | ({"customer": True} if customer else {})
    part = _part(file, shown, number, is_new=restart)
    _receive(desk, part, _filter(asked, number))
    order = Order(format=chosen, export_id=str(part.ask["export_id"]), filter=shown, now=SystemClock().now())
    manifest = _render(desk, part, file, order)
    part.remove()
    for statement in manifest.statements():
        desk.out.note(*statement)
    desk.out.record(_row(file, manifest), _DONE)


def _receive(desk: Invocation, part: PartFile, wanted: pb.Filter) -> None:
    state = received(part)
    if state.entries:
        desk.out.note(f"接着上次的 {state.entries} 条继续。", f"Going on after {state.entries} entries.")

    async def work(suite: Connection, token: Secret) -> None:
        async def assertion() -> Secret:
            return (await suite.login.issue_assertion(token)).text

        with row_progress(desk, "接收", "Received") as tell:
            await receive(
                suite.audit_read,
                assertion,
                wanted,
                export_id=str(part.ask["export_id"]),
                into=part,
                state=state,
                progress=tell,
            )

    desk.run_in_session(work)


def _render(desk: Invocation, part: PartFile, file: Path, order: Order) -> Manifest:
    total = received(part).entries
    with row_progress(desk, "写入", "Written") as tell:
        try:
            return render(parts_of(part), file, order, None if tell is None else lambda done: tell(done, total))
        except NotProved as fault:
            lines = tuple(told(one).in_(desk.settings.locale) for one in fault.findings)
            raise Told(
                Reason.INTERNAL,
                Text(
                    "服务端给出的记录与其检查点不符，没有写出文件。请保留 .part 文件并报告。",
                    "What the server sent does not add up to its checkpoint; no file was written. Keep the .part file and "
                    "report it.",
                ),
                exit_code=ExitCode.NOT_VERIFIED,
                violations=lines,
            ) from None


def _part(file: Path, shown: Mapping[str, Any], number: Secret | None, *, is_new: bool) -> PartFile:
    path = file.with_name(file.name + ".part")
    try:
        known = None if is_new else PartFile.go_on(path)
    except FileNotFoundError:
        known = None
    except FailedPrecondition:
        raise usage(f"{path} 不是未完成的导出。", f"{path} is no export that was begun.") from None
    if known is None:
        path.unlink(missing_ok=True)
        export_id = new_id()
        return PartFile.begin(path, {"export_id": export_id, "filter": shown, "customer": _mark(number, export_id)})
    if not _is_same(known.ask, shown, number):
        known.close()
        raise Told(
            Reason.STATE_CONFLICT,
            Text(
                f"{path} 是另一次导出的未完成部分。请用相同的条件续传，或加 --restart 从头导出。",
                f"{path} is of another export. Give the same conditions to go on with it, or --restart.",
            ),
            exit_code=ExitCode.CONFLICT,
        )
    return known


def _is_same(ask: Ask, shown: Mapping[str, Any], number: Secret | None) -> bool:
    return ask.get("filter") == dict(shown) and ask.get("customer") == _mark(number, str(ask.get("export_id")))


def _mark(number: Secret | None, export_id: str) -> str:
    """Tells one customer's number from another's, and costs who would try them all a lifetime of computing."""
    if number is None:
        return ""
    return hashlib.scrypt(number.reveal().encode(), salt=export_id.encode(), n=1 << 14, r=8, p=1, dklen=16).hex()


def _filter(asked: Mapping[str, Any], number: Secret | None) -> pb.Filter:
    moments = {name: datetime.fromisoformat(asked[name]) if asked[name] else None for name in ("since", "until")}
    return audit_filter(customer=number, **{**asked, **moments})


def _spelled(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _row(file: Path, manifest: Manifest) -> Row:
    logs: Sequence[str] = [log.log_id for log in manifest.logs]
    return {
        "file": str(file),
        "rows": manifest.rows,
        "logs": logs,
        "is_complete": all(log.is_complete for log in manifest.logs),
        "manifest": str(manifest_path(file)),
        "proof": str(proof_path(file)) if manifest.proof else None,
        "sha256": manifest.sha256,
        "export_id": manifest.export_id,
    }
