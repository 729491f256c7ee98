"""`infosec audit checkpoint`: anybody with a certificate watches a log from outside, and notices when it is cut or rewritten.

Needs no login. Exit code 0 says that the log is the one that was seen before, grown or not; 7 that this is not proved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from infosec.cli.audit_verify import key_text
from infosec.cli.audit_watch import CONTRADICTIONS, Watch, log_of, refused, unproved
from infosec.cli.failures import ExitCode, Told, usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.clock import SystemClock
from infosec.errors import InvalidInput, NotFound, Reason
from infosec.evidence.keys import log_keys, witness_keys
from infosec.messages import Text
from infosec.private_files import write_private
from infosec.transparency.checkpoints import Checkpoint, OpenedCheckpoint, extends
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.notes import MAX_NOTE_BYTES, NoteKey, parse_note

POLL_EVERY_S = 1.0
READABLE = 0o644
"""A checkpoint is public; what matters is that it is not lost."""

_SHOWN = (
    Column("log", Text("日志", "Log")),
    Column("origin", Text("来源", "Origin")),
    Column("size", Text("记录数", "Entries")),
    Column("root", Text("根哈希", "Root hash")),
    Column("is_verified", Text("签名已核验", "Signature verified")),
    Column("witnesses", Text("见证人", "Witnesses")),
    Column("previous_size", Text("先前记录数", "Entries before")),
    Column("is_continued", Text("延续自先前检查点", "Continues the one before")),
    Column("store", Text("已保存到", "Kept in")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was fetched and verified."""

    opened: OpenedCheckpoint
    data: bytes
    witnesses: frozenset[str]
    proof: Sequence[bytes] = ()


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "checkpoint",
        help=t(
            "取最新检查点，核验签名，并证明它延续自上次保存的；日志被回退或分叉时退出码为 7。无需登录",
            "Fetch the newest checkpoint, verify it, and prove that it continues the one kept before; exit code 7 when the "
            "log was rolled back or forked. Needs no login.",
        ),
    )(checkpoint)


def checkpoint(
    ctx: typer.Context,
    log: Annotated[
        str, typer.Argument(help=t("日志（片区）； 只有一个时可省略", "log; may be left out if there is but one"))
    ] = "",
    store: Annotated[
        Path | None,
        typer.Option(help=t("保存检查点的文件： 先比对，再替换", "file with the last one: compared, then replaced")),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help=t(
                "日志公钥（C2SP） 或其文件； 须经其他途径核对； 可多次",
                "a log's verifier key (C2SP) or a file of them, compared over another way; may be repeated",
            )
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(help=t("见证人公钥或其文件； 可多次", "a witness's verifier key, or a file of them")),
    ] = None,
    require_witnesses: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help=t("至少几名见证人； 默认全部", "at least so many; all that are given, if not said")
        ),
    ] = None,
    wait: Annotated[
        int, typer.Option(min=0, metavar="S", help=t("最多等见证人几秒", "wait so many seconds for the witnesses"))
    ] = 10,
) -> None:
    """Without a key nothing is verified, and nothing kept."""
    desk = of(ctx)
    keys, witnesses = log_keys(map(key_text, key or ())), witness_keys(map(key_text, witness or ()))
    if not keys and (store is not None or witnesses or require_witnesses):
        raise usage(
            "--store 与 --witness 需要 --key（公钥可由 infosec audit logs 取得，须经其他途径核对）。",
            "--store and --witness need --key. infosec audit logs has the keys; compare them over another way.",
        )
    if (require_witnesses or 0) > len({one.name for one in witnesses}):
        raise usage(
            "--require-witnesses 多于所给的见证人公钥（--witness）。",
            "--require-witnesses is more than there are witnesses' keys (--witness).",
        )
    kept = None if store is None else _kept(store)
    watch = Watch(
        log_id=log or _only_log(desk, kept, keys),
        keys=keys,
        witnesses=witnesses,
        at_least=len(witnesses) if require_witnesses is None else require_witnesses,
    )
    if not keys:
        desk.out.record(_unverified(desk, watch.log_id), _SHOWN)
        return
    old = None if kept is None or store is None else _opened_kept(watch, kept, store)
    seen = desk.run(lambda suite: _fetched(suite, watch, old, patience=wait))
    _compare(old, seen, store)
    if store is not None:
        _keep(store, seen.data)
    _say(desk, old, seen)
    desk.out.record(_row(watch, old, seen, store), _SHOWN)


async def _fetched(suite: Connection, watch: Watch, old: Checkpoint | None, *, patience: int) -> _Seen:
    """The newest checkpoint that enough witnesses cosigned, and what proves that it continues `old`."""
    seen = await _newest(suite, watch, patience=patience)
    new = seen.opened.checkpoint
    if old is None or not 0 < old.size < new.size or old.origin != new.origin:
        return seen
    try:
        proof = await suite.audit_read.consistency_proof(watch.log_id, old_size=old.size, new_size=new.size)
    except NotFound:
        raise unproved(
            "先前检查点处的记录已按保存期限清理，服务端不能再证明延续关系；未替换文件。"
            "请改用较新的检查点（如新近导出的清单）核对；若要重新开始，请另用一个文件。",
            "Entries around the checkpoint before are gone by retention, so the server cannot prove any more that the log "
            "continues it. The file was not replaced. "
            "Compare with a newer checkpoint (of a later export, say); to begin anew, use another file.",
        ) from None
    except InvalidInput:
        raise unproved(
            f"服务端不能为它自己签过的检查点（{new.size} 条）给出证明：日志可能被回退。未替换文件，请再次运行；"
            "仍如此则告知稽核。",
            f"The server gives no proof for the checkpoint of {new.size} entries that it signed itself: the log may have been "
            "rolled back. The file was not replaced. Run this again, and tell an auditor if it stays so.",
        ) from None
    return _Seen(opened=seen.opened, data=seen.data, witnesses=seen.witnesses, proof=proof)


async def _newest(suite: Connection, watch: Watch, *, patience: int) -> _Seen:
    """Witnesses cosign moments after the log signs; a log that grows has always one that they have not seen yet."""
    left = patience
    while True:
        data = await _checkpoint(suite, watch.log_id)
        try:
            opened = watch.opened(data)
            return _Seen(opened=opened, data=data, witnesses=watch.cosigned(opened, now=SystemClock().now()))
        except NotVerified as fault:
            if fault.what is not Fault.TOO_FEW_WITNESSES or left <= 0:
                raise refused(fault) from None
        left -= 1
        await asyncio.sleep(POLL_EVERY_S)


async def _checkpoint(suite: Connection, log_id: str) -> bytes:
    try:
        return await suite.audit_read.checkpoint(log_id)
    except NotFound:
        raise Told(
            Reason.NOT_FOUND,
            Text(
                f"没有日志 {log_id}，或还没有签过检查点。查看：infosec audit logs",
                f"There is no log {log_id}, or none of its checkpoints is signed yet. See: infosec audit logs",
            ),
            exit_code=ExitCode.NOT_FOUND,
        ) from None


def _compare(old: Checkpoint | None, seen: _Seen, store: Path | None) -> None:
    new = seen.opened.checkpoint
    try:
        extends(old, new, seen.proof)
    except NotVerified as fault:
        if fault.what not in CONTRADICTIONS or store is None:
            raise refused(fault) from None
        evidence = store.with_name(f"{store.name}.refused-{new.size}-{new.root.hex()[:8]}")
        _keep(evidence, seen.data)
        raise refused(
            fault,
            then=Text(
                f"未替换 {store}；新的检查点存为 {evidence}。两者都有日志的签名，请一并保存为证据，并立即告知稽核与监管方。",
                f"{store} was not replaced; the new checkpoint is in {evidence}. The log signed both: keep the two as "
                "evidence, and tell the auditors and the regulator at once.",
            ),
        ) from None


def _kept(store: Path) -> bytes | None:
    try:
        with store.open("rb") as file:
            return file.read(MAX_NOTE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError:
        raise usage(f"无法读取文件 {store}。", f"Cannot read the file {store}.") from None


def _opened_kept(watch: Watch, kept: bytes, store: Path) -> Checkpoint:
    try:
        return watch.opened(kept).checkpoint
    except NotVerified as fault:
        raise refused(
            fault,
            about=Text(f"{store}：", f"{store}:"),
            then=Text(
                "若日志换过密钥，请同时给出旧公钥。", "If the log has a new key since then, give the old one too."
            ),
        ) from None


def _keep(path: Path, data: bytes) -> None:
    try:
        write_private(path, data, mode=READABLE)
    except OSError:
        raise usage(
            f"无法写入 {path}。请检查目录及权限。", f"Cannot write {path}. Check the folder and its permissions."
        ) from None


def _only_log(desk: Invocation, kept: bytes | None, keys: Sequence[NoteKey]) -> str:
    """The log that the kept checkpoint or the keys are of, or the only one there is."""
    if kept is not None:
        try:
            return log_of(Checkpoint.parse(parse_note(kept).text).origin)
        except NotVerified as fault:
            raise refused(fault, about=Text("所保存的文件：", "The file that was kept:")) from None
    named = {log_of(key.name) for key in keys}
    if len(named) != 1:
        logs = desk.run(lambda suite: suite.audit_read.logs())
        named = {log.log_id for log in logs}
    if len(named) != 1:
        told = ", ".join(sorted(named)) or "—"
        raise usage(f"请说明是哪个日志：{told}", f"Say which log: {told}")
    return named.pop()


def _say(desk: Invocation, old: Checkpoint | None, seen: _Seen) -> None:
    new = seen.opened.checkpoint
    if old is None:
        desk.out.note(
            "签名有效。这是首次见到此日志，没有可比对的检查点。",
            "The signature holds. This is the first sight of this log: there is nothing to compare it with.",
        )
    elif old.size == new.size:
        desk.out.note("日志与先前所见相同。", "The log is as it was seen before.")
    else:
        desk.out.note(
            f"已证实：日志是先前所见的延续，新增 {new.size - old.size} 条。",
            f"Proved: the log continues the one seen before, with {new.size - old.size} entries more.",
        )


def _unverified(desk: Invocation, log_id: str) -> Row:
    data = desk.run(lambda suite: _checkpoint(suite, log_id))
    try:
        found = Checkpoint.parse(parse_note(data).text)
    except NotVerified as fault:
        raise refused(fault) from None
    desk.out.note("未核验：没有给出公钥（--key）。", "NOT VERIFIED: no key was given (--key).")
    return _fields(log_id, found, data) | {"is_verified": False}


def _row(watch: Watch, old: Checkpoint | None, seen: _Seen, store: Path | None) -> Row:
    return _fields(watch.log_id, seen.opened.checkpoint, seen.data) | {
        "is_verified": True,
        "witnesses": sorted(seen.witnesses),
        "previous_size": None if old is None else old.size,
        "is_continued": None if old is None else True,
        "store": None if store is None else str(store),
    }


def _fields(log_id: str, found: Checkpoint, data: bytes) -> Row:
    return {
        "log": log_id,
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "is_verified": None,
        "witnesses": [],
        "previous_size": None,
        "is_continued": None,
        "store": None,
        "checkpoint": data.decode("utf-8", "replace"),
    }
