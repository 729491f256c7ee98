"""Watching a log from outside: a checkpoint is the log's own, and continues the one that was seen before. Asks nobody.

What is wrong is told in words. Two signed notes that contradict each other prove it to anybody, so both are to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infosec.cli.failures import ExitCode, Told
from infosec.errors import Reason
from infosec.messages import Text
from infosec.transparency.checkpoints import Checkpoint, OpenedCheckpoint, open_checkpoint
from infosec.transparency.cosignatures import WitnessKey, require_witnesses
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.notes import NoteKey, parse_note

CLOCKS_DIFFER = timedelta(minutes=5)
"""A cosignature is seconds old when it is looked at, by another machine's clock."""

_REWRITTEN = Text(
    "日志不是先前所见的延续：先前的记录被改写、插入或删除，或日志已分叉。",
    "The log does not continue the one that was seen before: earlier entries were changed, put in or taken out, or it has "
    "forked.",
)
_WORDS: Mapping[Fault, Text] = {
    Fault.TREE_SHRANK: Text(
        "日志被回退：先前见到 {size1} 条，现在只有 {size2} 条。",
        "The log was ROLLED BACK: it had {size1} entries when it was seen before, and has {size2} now.",
    ),
    Fault.FORKED: Text(
        "日志已分叉：同为 {size} 条，内容却与先前所见不同。",
        "The log has FORKED: with the same number of entries, {size}, it is another one than was seen before.",
    ),
    Fault.WRONG_ROOT: _REWRITTEN,
    Fault.WRONG_PROOF_LENGTH: _REWRITTEN,
    Fault.WRONG_ORIGIN: Text("这是另一个日志的检查点（{origin}）。", "This is a checkpoint of another log, {origin}."),
    Fault.NOT_SIGNED: Text("检查点上没有所给公钥的签名。", "The checkpoint is not signed by any key that was given."),
    Fault.BAD_SIGNATURE: Text(
        "检查点上的签名无效（{key}）：内容被改动，或签名是伪造的。",
        "A signature in the name of {key} does not hold: the checkpoint was changed, or the signature is forged.",
    ),
    Fault.TOO_FEW_WITNESSES: Text(
        "只有 {witnesses} 名见证人签名，需要 {required} 名。可用 --wait 多等一会儿。",
        "Cosigned by {witnesses} of the witnesses; {required} are required. --wait gives them more time.",
    ),
    Fault.SHARED_WITNESS_KEY: Text(
        "{witness} 与 {other} 是同一个公钥，不能算两名见证人。",
        "{witness} and {other} are one key, and do not count as two witnesses.",
    ),
    Fault.FROM_THE_FUTURE: Text(
        "见证人 {witness} 的签名时间在未来（{at}）。请检查本机时钟。",
        "The cosignature of {witness} is from the future ({at}). Check the clock of this machine.",
    ),
}
_MALFORMED = Text("检查点无法读取。", "The checkpoint cannot be read.")
_NOTHING = Text("", "")
CONTRADICTIONS = frozenset({Fault.TREE_SHRANK, Fault.FORKED, Fault.WRONG_ROOT, Fault.WRONG_PROOF_LENGTH})
"""Where two checkpoints, each signed by the log, cannot both be true of one log that only grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the watcher trusts of one log. Nothing here comes from the server."""

    log_id: str
    keys: Sequence[NoteKey]
    witnesses: Sequence[WitnessKey] = ()
    at_least: int = 0

    def opened(self, data: bytes) -> OpenedCheckpoint:
        """The checkpoint in a note, signed by a key of this log. Raises NotVerified."""
        origin = Checkpoint.parse(parse_note(data).text).origin
        # Only a key of this name: a key of another log, trusted for that one, says nothing of this.
        keys = [key for key in self.keys if key.name == origin]
        if log_of(origin) != self.log_id:
            raise NotVerified(Fault.WRONG_ORIGIN, origin=origin, expected=self.log_id)
        return open_checkpoint(data, origin=origin, keys=keys)

    def cosigned(self, opened: OpenedCheckpoint, *, now: datetime) -> frozenset[str]:
        """The witnesses that cosigned. Raises NotVerified where they are too few."""
        return require_witnesses(opened.note, self.witnesses, at_least=self.at_least, not_after=now + CLOCKS_DIFFER)


def log_of(origin: str) -> str:
    """The log that an origin names, by its last part."""
    return origin.rpartition("/")[2]


def refused(fault: NotVerified, *, about: Text = _NOTHING, then: Text = _NOTHING) -> Told:
    """What is wrong, in words; `about` says of what, `then` what to do."""
    words = _WORDS.get(fault.what, _MALFORMED).filled(**fault.details)
    return Told(
        Reason.STATE_CONFLICT,
        Text(about.zh + words.zh + then.zh, " ".join(part for part in (about.en, words.en, then.en) if part)),
        exit_code=ExitCode.NOT_VERIFIED,
        violations=(fault.what.value,),
    )


def unproved(zh: str, en: str) -> Told:
    """Nothing is shown to be wrong, and nothing is proved either."""
    return Told(Reason.STATE_CONFLICT, Text(zh, en), exit_code=ExitCode.NOT_VERIFIED, violations=("UNPROVED",))
