"""What a log may be signed as: its origin, and the rule that a signed tree only ever grows (CI-1).

Pure: the stored tree and what was signed before come in; the checkpoint to sign goes out, or NotSigned says why not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditsvc.tiles import HEIGHT, TileId, Tree, hashes_of, tile_of
from infosec.errors import InfosecError
from infosec.ids import RegionId
from infosec.messages import Text
from infosec.transparency.checkpoints import Checkpoint, extends
from infosec.transparency.errors import Fault, NotVerified
from infosec.transparency.merkle import NodeId, covering
from infosec.transparency.proofs import consistency_nodes, consistency_proof
from infosec.transparency.ranges import CompactRange

_INSTALLATION_DIGITS = 8


class SigningFault(StrEnum):
    """Why a log is not signed. What to do about each is in WHAT_TO_DO."""

    LOG_GONE = "LOG_GONE"
    ROLLED_BACK = "ROLLED_BACK"
    FORKED = "FORKED"
    TREE_BROKEN = "TREE_BROKEN"
    FOREIGN_CHECKPOINT = "FOREIGN_CHECKPOINT"


WHAT_TO_DO: Mapping[SigningFault, Text] = {
    SigningFault.LOG_GONE: Text(
        "数据库中已没有此日志，而它曾被签名。请恢复数据库；确属有意从备份恢复时用 infosec audit-log accept-restore 确认。",
        "The log was signed before and is not in the database any more. Bring the database back; if it was restored from "
        "a backup on purpose, say so with `infosec audit-log accept-restore`.",
    ),
    SigningFault.ROLLED_BACK: Text(
        "日志比已签名的短：末尾的记录丢失或被删。请恢复数据库；确属有意从备份恢复时用 infosec audit-log accept-restore 确认。",
        "The log is shorter than what was signed: its newest entries are lost or were deleted. Bring the database back; if "
        "it was restored from a backup on purpose, say so with `infosec audit-log accept-restore`.",
    ),
    SigningFault.FORKED: Text(
        "日志已签名的部分被改写，或恢复备份后又写入了其他记录。请保全数据库并调查；"
        "确属有意恢复时用 infosec audit-log accept-restore 确认。",
        "A part of the log that was signed has been rewritten, or a backup was restored and then written to. Keep the "
        "database as it is and find out; if a restore was meant, say so with `infosec audit-log accept-restore`.",
    ),
    SigningFault.TREE_BROKEN: Text(
        "保存的树不完整或自相矛盾。请保全数据库并调查，然后从备份恢复。",
        "The stored tree is not whole, or contradicts itself. Keep the database as it is, find out, then restore it.",
    ),
    SigningFault.FOREIGN_CHECKPOINT: Text(
        "数据库中最新的检查点不是用本进程的密钥签名的。轮换密钥后请把 keys/checkpoint.json 复制到每个进程；"
        "若未轮换，则数据库被改动。",
        "The newest checkpoint in the database was not signed with a key of this process. After a rotation copy "
        "keys/checkpoint.json to every process; if there was none, somebody has changed the database.",
    ),
}


class NotSigned(Exception):
    """The tree must not be signed. `details` are public facts: sizes."""

    def __init__(self, fault: SigningFault, **details: str | int) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.details = details


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """The names of the logs of one installation (C2SP checkpoint origins)."""

    carrier: str
    installation: str
    """Its ID, a UUID; the first digits tell two installations of one carrier apart."""

    def of(self, log_id: RegionId) -> str:
        return f"{self.carrier}/audit/{self.installation[:_INSTALLATION_DIGITS]}/{log_id}"


def edge_tiles(tree: Tree) -> dict[TileId, bytes]:
    """The tiles that are not full yet, under the names that they will have."""
    return {
        TileId(level, tree.size >> HEIGHT * level + HEIGHT): hashes for level, hashes in enumerate(tree.edges) if hashes
    }


def tiles_wanted(tree: Tree, nodes: Sequence[NodeId]) -> set[TileId]:
    """The full tiles that these nodes are hashed from; the others are in the head."""
    return {
        TileId(level, position)
        for level, position in map(tile_of, nodes)
        if position < tree.size >> HEIGHT * level + HEIGHT
    }


def nodes_to_sign(tree: Tree, bases: Sequence[Checkpoint]) -> list[NodeId]:
    """The nodes that `extended` takes, as far as these sizes are together in one tree at all."""
    nodes = covering(0, tree.size)
    for base in bases:
        if 0 < base.size <= tree.size:
            nodes += consistency_nodes(base.size, tree.size)
    return nodes


def extended(origin: str, tree: Tree, bases: Sequence[Checkpoint], tiles: Mapping[TileId, bytes]) -> Checkpoint:
    """The checkpoint of the stored tree, proved from its tiles to continue each of `bases`. Raises NotSigned (CI-1).

    `tiles` are those of `nodes_to_sign`. The root is derived from the tiles, and the head must say the same.
    """
    for base in bases:
        if tree.size < base.size:
            raise NotSigned(SigningFault.ROLLED_BACK, signed=base.size, size=tree.size)
    try:
        hashes = hashes_of(nodes_to_sign(tree, bases), tiles)
        whole = CompactRange(end=tree.size, hashes=tuple(hashes[node] for node in covering(0, tree.size)))
    except (InfosecError, NotVerified):
        raise NotSigned(SigningFault.TREE_BROKEN, size=tree.size) from None
    new = Checkpoint(origin=origin, size=tree.size, root=tree.root())
    for base in bases:
        _continue(base, new, hashes)
    if whole != tree.frontier:
        raise NotSigned(SigningFault.TREE_BROKEN, size=tree.size)
    return new


def proof_between(old: int, new: int, tiles: Mapping[TileId, bytes]) -> tuple[bytes, ...]:
    """The consistency proof of two sizes of one log. Raises Internal when a tile is missing; NotVerified OUT_OF_RANGE."""
    return consistency_proof(old, new, hashes_of(consistency_nodes(old, new), tiles))


def _continue(base: Checkpoint, new: Checkpoint, hashes: Mapping[NodeId, bytes]) -> None:
    try:
        extends(base, new, consistency_proof(base.size, new.size, hashes))
    except NotVerified as error:
        if error.what is Fault.WRONG_ORIGIN:
            raise NotSigned(SigningFault.FOREIGN_CHECKPOINT, origin=base.origin) from None
        raise NotSigned(SigningFault.FORKED, signed=base.size, size=new.size) from None
