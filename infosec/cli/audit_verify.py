"""`infosec audit verify`: an exported file proved here, with the keys that the auditor brings. Asks no server.

Exit code 0 says that all of it is proved; 7 that it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from infosec.cli.audit_words import told
from infosec.cli.failures import ExitCode, Told, usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.person import text_of
from infosec.cli.records import Row
from infosec.cli.row_progress import row_progress
from infosec.cli.words import t
from infosec.clock import SystemClock
from infosec.errors import Reason
from infosec.evidence.faults import Finding, NotProved
from infosec.evidence.keys import consistency_proofs, log_keys, witness_keys
from infosec.evidence.manifest import manifest_path, read_manifest
from infosec.evidence.verifying import Verified, verify
from infosec.evidence.witnessing import Trust, notes_of
from infosec.messages import Text

MAX_KEYS = 1 << 20
MAX_PROOF = 64 << 20

_FINDING = (
    Column("flaw", Text("问题", "Fault"), is_whole=True),
    Column("log", Text("日志", "Log"), is_whole=True),
    Column("index", Text("序号", "Index"), is_whole=True),
    Column("row", Text("文件行", "Row"), is_whole=True),
    Column("column", Text("列", "Column"), is_whole=True, only_wide=True),
    Column("text", Text("说明", "What it means")),
)
_LOG = (
    Column("log", Text("日志", "Log"), is_whole=True),
    Column("start", Text("起始序号", "First")),
    Column("end", Text("截止序号", "Up to")),
    Column("rows", Text("行数", "Rows")),
    Column("without_payload", Text("仅余哈希", "Hash alone")),
    Column("is_complete", Text("完整区间", "Whole range")),
    Column("size", Text("检查点长度", "Checkpoint")),
    Column("witnesses", Text("见证人", "Witnesses")),
    Column("continues", Text("延续自", "Continues"), only_wide=True),
)


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "verify",
        help=t(
            "离线核验导出文件；全部证实退出码为 0，未证实为 7",
            "Verify an exported file offline; exit code 0 if all of it is proved, 7 if not.",
        ),
    )(verify_file)


def verify_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=t("导出的文件", "the exported file"))],
    key: Annotated[
        list[str],
        typer.Option(
            help=t(
                "日志的公钥（C2SP），或含公钥的文件，或 -；可多次",
                "a log's verifier key (C2SP), a file of them, or -; may be repeated",
            )
        ),
    ],
    witness: Annotated[
        list[str] | None,
        typer.Option(help=t("见证人的公钥或文件；可多次", "a witness's verifier key, or a file of them")),
    ] = None,
    require_witnesses: Annotated[
        int | None,
        typer.Option(min=0, help=t("至少几名见证人；默认全部", "at least so many; all that are given, if not said")),
    ] = None,
    previous: Annotated[
        list[Path] | None,
        typer.Option(help=t("先前的清单或检查点，须为其延续", "a manifest or checkpoint from before, to be continued")),
    ] = None,
    consistency: Annotated[
        list[Path] | None, typer.Option(help=t("一致性证明", "a consistency proof, as JSON"))
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help=t("清单；默认在文件旁", "the manifest; beside the file if not given"))
    ] = None,
) -> None:
    """Needs neither server nor configuration."""
    desk = of(ctx)
    witnesses = witness_keys(key_text(one) for one in witness or ())
    trust = Trust(
        keys=log_keys(key_text(one) for one in key),
        witnesses=witnesses,
        at_least=len(witnesses) if require_witnesses is None else require_witnesses,
        previous=[note for path in previous or () for note in _notes(desk, path)],
        consistency=[
            proof for path in consistency or () for proof in consistency_proofs(text_of(path, max_bytes=MAX_PROOF))
        ],
    )
    found = verified(desk, file, trust, manifest)
    desk.out.note("全部证实。", "All of it is proved.")
    for statement in found.statements():
        desk.out.note(*statement)
    desk.out.rows([_row(found, at) for at in range(len(found.logs))], _LOG, empty=Text("没有日志。", "No logs."))


def verified(desk: Invocation, file: Path, trust: Trust, manifest: Path | None = None) -> Verified:
    """The file, proved. Shows every fault and raises Told where it is not; raises a usage error for files not there."""
    try:
        return _verified(desk, file, trust, manifest)
    except NotProved as fault:
        raise _refused(desk, fault) from None
    except OSError:
        raise usage(
            f"无法读取 {file} 或其清单、证明文件。", f"Cannot read {file}, or the manifest or proof beside it."
        ) from None


def _verified(desk: Invocation, file: Path, trust: Trust, manifest: Path | None) -> Verified:
    now = SystemClock().now()
    with row_progress(desk, "核验", "Verified") as tell:
        if tell is None:
            return verify(file, trust, now=now, manifest_file=manifest)
        total = read_manifest(manifest or manifest_path(file)).rows
        return verify(file, trust, now=now, manifest_file=manifest, progress=lambda done: tell(done, total))


def _refused(desk: Invocation, fault: NotProved) -> Told:
    locale = desk.settings.locale
    desk.out.rows([_finding(one, told(one).in_(locale)) for one in fault.findings], _FINDING, empty=Text("", ""))
    count = len(fault.findings) + fault.more
    return Told(
        Reason.FILE_REJECTED,
        Text(f"未证实：{count} 处问题。", f"NOT PROVED: {count} faults."),
        exit_code=ExitCode.NOT_VERIFIED,
    )


def _finding(one: Finding, text: str) -> Row:
    return {
        "flaw": one.flaw.value,
        "log": one.log or None,
        "index": one.index,
        "end": one.end,
        "row": one.row,
        "column": one.column or None,
        "detail": one.detail or None,
        "text": text,
    }


def _row(found: Verified, at: int) -> Row:
    log = found.logs[at]
    return {
        "log": log.log_id,
        "start": log.start,
        "end": log.end,
        "rows": log.rows,
        "without_payload": log.emptied,
        "is_complete": log.is_complete,
        "size": log.size,
        "root": log.root.hex(),
        "origin": log.origin,
        "witnesses": list(log.witnesses),
        "continues": list(log.continues),
        "unjudged": None if log.unjudged is None else list(log.unjudged),
    }


def key_text(given: str) -> str:
    """A verifier key itself, or the text of the file that has it."""
    is_key = given.count("+") >= 2 and not Path(given).exists()
    return given if is_key else text_of(Path(given), max_bytes=MAX_KEYS)


def _notes(desk: Invocation, path: Path) -> Sequence[bytes]:
    text = text_of(path, max_bytes=MAX_PROOF)
    try:
        return notes_of(text.encode("utf-8"))
    except NotProved as fault:
        raise _refused(desk, fault) from None
