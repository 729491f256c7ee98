"""The rows of one log as they come from a file: in their order, without holes, each in its place, adding up to the root.

Goes on after a fault, so that every fault is told, and told where it is: the hashes of the block that it is in are proved
by the same root (see blocks).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from infosec.evidence.blocks import (
    BLOCK,
    Block,
    OpenBlock,
    RangeTree,
    block_range,
    fits,
    gap_nodes,
    is_within_block,
    range_of,
    root_of,
    swapped,
)
from infosec.evidence.faults import Finding, Findings, Flaw
from infosec.evidence.found import Found
from infosec.evidence.holes import Holes
from infosec.evidence.manifest import LogPart
from infosec.evidence.parts import Gap
from infosec.transparency.errors import NotVerified
from infosec.transparency.ranges import CompactRange

_SWAP_SEARCHES = 4
"""In how many blocks two entries that changed places are looked for: each takes about a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the export says of a log: its part of the manifest, and the hashes of gaps and of blocks, in order."""

    log: LogPart
    gaps: Iterator[Gap]
    blocks: Iterator[Block]
    has_proof_file: bool


class LogCheck:
    """One log. `row` for every row of it in the order of the file, then `finish`."""

    def __init__(
        self, claims: Claims, findings: Findings, *, root: bytes | None, floor: str, milestones: Sequence[int] = ()
    ) -> None:
        """`root` is the checkpoint's, None where there is none to hold the rows against. No entry recorded after `floor`
        (as moments are spelled) may have lost its payload.

        Raises NotVerified for hashes that cannot be those left of the range.
        """
        self.log = claims.log
        self.rows = self.emptied = 0
        self.roots: dict[int, bytes] = {}
        """The roots of the log at the sizes `milestones`, as far as the rows give them."""
        self.is_proved = False
        """The rows add up to the checkpoint's root."""
        self.unjudged: tuple[int, int] | None = None
        """Where rows are that lost their payload, and may or may not have been past their term: one stretch at most, since
        time only goes on within a log."""
        self._claims, self._findings, self._root, self._floor = claims, findings, root, floor
        begun = RangeTree.begun(claims.log.start, claims.log.left)
        self._computed: CompactRange | None = begun.tree
        self._recorded: CompactRange | None = begun.tree
        self._block = begun.block
        self._is_whole = True
        self._next = claims.log.start
        self._gap = next(claims.gaps, None)
        self._gap_at = self._gap.start if self._gap else -1
        self._past_gaps = (0, 0)
        self._hint = next(claims.blocks, None)
        self._suspects: list[Found] = []
        self._reversed: list[Found] = []
        self._located = Findings()
        self._holes = Holes()
        self._last_recorded = ""
        self._waiting: tuple[int, int] | None = None
        self._searches = 0
        self._milestones = {at for at in milestones if claims.log.start <= at <= claims.log.end}
        self._pass()

    def run(self, batch: Sequence[Found], at: int) -> int:
        """Take rows from `batch[at]` on, for as long as nothing is odd about them: where the first odd one is.

        Does what `row` does, several times as fast.
        """
        while at < len(batch) and not self._milestones and not self._holes.ahead:
            stop = min(self._block.base.begin + BLOCK, self.log.end)
            if self._gap_at > self._next:
                stop = min(stop, self._gap_at)
            index, last, values = self._next, self._last_recorded, list[bytes]()
            for _, log, number, cell, value, recorded, is_gone, wrong in islice(batch, at, at + max(stop - index, 0)):
                if number != index or cell != value or wrong or is_gone or recorded < last or log != self.log.log_id:
                    break
                values.append(value)
                last = recorded
                index += 1
            if not values:
                return at
            self._judge_waiting(batch[at].recorded)
            at += len(values)
            self._block.leaves(values)
            self._next, self._last_recorded = index, last
            self.rows += len(values)
            if self._block.is_full:
                self._close()
            if index == self._gap_at:
                self._pass()
        return at

    def row(self, found: Found, following: int | None) -> None:
        """The next row of the file; `following` is the index of the one after it, if that is of the same log."""
        self.rows += 1
        if found.index == self._next < self.log.end and not self._holes.ahead:
            self._take(found)
        else:
            self._misplaced(found, following)

    def finish(self) -> None:
        """After the last row: what is missing at the end, and whether it all adds up."""
        cut_at = self._next
        self._skip_to(self.log.end)
        if self._block.end > self._block.base.begin:
            self._close()
        self._holes.tell(self._findings, self.log, cut_at=cut_at if cut_at < self._next else None)
        self.unjudged = self.unjudged or self._waiting
        self._judge_root()

    def _take(self, found: Found) -> None:
        self._block.leaf(found.hash)
        if found.wrong or found.cell != found.hash:
            self._suspects.append(found)
        if found.is_gone:
            self._gone(found)
        else:
            self._judge_waiting(found.recorded)
            if found.recorded >= self._last_recorded:
                self._last_recorded = found.recorded
            else:
                self._reversed.append(found)
        self._next += 1
        if self._block.is_full:
            self._close()
        if self._next == self._gap_at or self._milestones:
            self._pass()

    def _gone(self, found: Found) -> None:
        """It was recorded after the entry before it, and before the one after it."""
        self.emptied += 1
        if self._last_recorded > self._floor:
            self._tell(Flaw.PAYLOAD_MISSING, found)
        else:
            self._waiting = (self._waiting[0] if self._waiting else self._next, self._next + 1)

    def _judge_waiting(self, recorded: str) -> None:
        """An entry came after those that lost their payload: if its term may be over, so may theirs."""
        if self._waiting is not None and recorded > self._floor:
            self.unjudged = self._waiting
        self._waiting = None

    def _misplaced(self, found: Found, following: int | None) -> None:
        while self._holes.ahead and self._next in self._holes.ahead:
            self._holes.ahead.discard(self._next)
            self._leap(self._next + 1)
        index = found.index
        if index is None and self._next < self.log.end:
            # Nothing says where it belongs; most likely here.
            self._take(found._replace(wrong=("index", *found.wrong), index=self._next))
        elif (
            index is None
            or not self.log.start <= index < self.log.end
            or self._past_gaps[0] <= index < self._past_gaps[1]
        ):
            self._tell(Flaw.ENTRY_ADDED, found)
        elif index == self._next:
            self._take(found)
        elif index < self._next:
            known = self._holes.fill(index)
            self._tell(Flaw.ENTRY_OUT_OF_ORDER if known else Flaw.ENTRY_DUPLICATE, found)
        elif following is not None and self._next <= following < index:
            self._holes.ahead.add(index)
            self._holes.is_any = True
            self._tell(Flaw.ENTRY_OUT_OF_ORDER, found)
        else:
            self._skip_to(index)
            if index == self._next:
                self._take(found)
            else:  # a gap reaches over it
                self._tell(Flaw.ENTRY_ADDED, found)

    def _skip_to(self, index: int) -> None:
        """What lies before `index` is not in the file."""
        while self._next < index:
            if self._next in self._holes.ahead:
                self._holes.ahead.discard(self._next)
                self._leap(self._next + 1)
                continue
            ends = [index, *(at for at in self._holes.ahead if at > self._next)]
            if self._gap_at > self._next:
                ends.append(self._gap_at)
            upto = min(ends)
            self._holes.add(self._next, upto)
            self._leap(upto)

    def _leap(self, upto: int) -> None:
        """Go on at `upto`, with nothing in between."""
        while self._next < upto:
            self._is_whole = False
            self._next = self._block.end = min(upto, self._block.base.begin + BLOCK)
            if self._block.is_full:
                self._close()
        self._pass()

    def _pass(self) -> None:
        """Note the root where it is wanted; pass over gaps that begin here."""
        while True:
            self._note_root()
            gap = self._gap
            if gap is None or gap.start != self._next:
                return
            for node in gap_nodes(gap):
                if is_within_block(node):
                    self._block.node(node)
                    if self._block.is_full:
                        self._close()
                else:
                    piece = range_of(node)
                    self._computed, self._recorded = _merged(self._computed, piece), _merged(self._recorded, piece)
                    self._block = _next_block(piece.end)
            self._next, self._past_gaps = gap.end, (gap.start, gap.end)
            self._gap = next(self._claims.gaps, None)
            self._gap_at = self._gap.start if self._gap else -1

    def _note_root(self) -> None:
        if self._next in self._milestones:
            self._milestones.discard(self._next)
            if self._computed is not None and self._is_whole:
                whole, _ = self._computed.merge(self._block.folded())
                self.roots[self._next] = whole.root()

    def _close(self) -> None:
        """The open block is as full as it gets: compare it with its own hashes, and add both up."""
        block, wanted = self._block, self._wanted()
        folded = block.folded() if self._is_whole else None
        claimed = None if wanted is None else block_range(wanted, self.log.end)
        if folded is None or claimed is None or folded.hashes != claimed.hashes or self._suspects:
            self._locate(block, folded, claimed)
        for found in self._reversed:
            self._locate_one(Flaw.TIME_REVERSED, found)
        self._computed = _merged(self._computed, folded or claimed)
        self._recorded = _merged(self._recorded, claimed or folded)
        self._suspects, self._reversed, self._is_whole = [], [], True
        self._block = _next_block(block.end)

    def _wanted(self) -> Block | None:
        """The claimed hashes of the open block. Claims of other blocks are passed over."""
        while self._hint is not None and self._hint.number < self._block.number:
            self._hint = next(self._claims.blocks, None)
        hint = self._hint
        return hint if hint and hint.number == self._block.number and fits(hint, self.log.end) else None

    def _locate(self, block: OpenBlock, folded: CompactRange | None, claimed: CompactRange | None) -> None:
        changed = [found for found in self._suspects if found.cell != found.hash]
        cells_only = folded is not None and (claimed is None or folded.hashes == claimed.hashes)
        for found in self._suspects:
            if found.cell != found.hash and not cells_only:
                self._locate_one(Flaw.ENTRY_CHANGED, found)
                continue
            for column in (*found.wrong, *(("leaf_hash",) if found.cell != found.hash else ())):
                self._locate_one(Flaw.CELL_CHANGED, found, column)
        if cells_only or folded is None or claimed is None:
            return
        restored = _with(
            block, {found.index: found.cell for found in changed if found.index is not None and found.cell}
        )
        if restored.folded().hashes == claimed.hashes:
            return
        pair = None
        if self._searches < _SWAP_SEARCHES:
            self._searches += 1
            pair = swapped(restored, claimed.hashes)
        one, two = pair or (max(block.base.begin, self.log.start), block.end)
        flaw = Flaw.ENTRIES_SWAPPED if pair else Flaw.RANGE_CHANGED
        self._located.add(Finding(flaw=flaw, log=self.log.log_id, index=one, end=two))

    def _judge_root(self) -> None:
        rows, claims = self._root_of(self._computed), self._root_of(self._recorded)
        self.is_proved = rows is not None and rows == self._root
        if self._root is None:
            is_located = False
        else:
            is_located = claims == self._root
            if self.is_proved and not is_located:
                # The rows are right, and so it is their claimed hashes that are not.
                flaw = Flaw.PROOF_CHANGED if self._claims.has_proof_file else Flaw.MANIFEST_CHANGED
                self._findings.add(Finding(flaw=flaw, log=self.log.log_id, detail="blocks"))
        for finding in self._located.kept:
            self._tell_located(finding, are_rows_right=self.is_proved and not is_located)
        self._findings.more += self._located.more
        is_told = is_located and (self._located or self._holes.is_any)
        if self._root is not None and not self.is_proved and not is_told:
            self._findings.add(
                Finding(flaw=Flaw.WRONG_ROOT, log=self.log.log_id, index=self.log.start, end=self.log.end)
            )

    def _tell_located(self, finding: Finding, *, are_rows_right: bool) -> None:
        if are_rows_right and finding.flaw in (Flaw.RANGE_CHANGED, Flaw.ENTRIES_SWAPPED):
            return
        if are_rows_right and finding.flaw is Flaw.ENTRY_CHANGED:
            finding = replace(finding, flaw=Flaw.CELL_CHANGED, column="leaf_hash")
        self._findings.add(finding)

    def _root_of(self, tree: CompactRange | None) -> bytes | None:
        if tree is None:
            return None
        try:
            return root_of(tree, self.log.right, self.log.size)
        except NotVerified:
            return None

    def _tell(self, flaw: Flaw, found: Found) -> None:
        """A row that has no place, or no content."""
        self._findings.add(Finding(flaw=flaw, log=self.log.log_id, index=found.index, row=found.place))

    def _locate_one(self, flaw: Flaw, found: Found, column: str = "") -> None:
        self._located.add(Finding(flaw=flaw, log=self.log.log_id, index=found.index, row=found.place, column=column))


def _with(block: OpenBlock, hashes: dict[int, bytes]) -> OpenBlock:
    """The block with other leaf hashes at these indexes."""
    made = OpenBlock(block.base)
    for node in block.nodes()[len(block.base.hashes) :]:
        level, position, value = node
        if level:
            made.node(node)
        else:
            made.leaf(hashes.get(position, value))
    return made


def _merged(tree: CompactRange | None, more: CompactRange | None) -> CompactRange | None:
    return None if tree is None or more is None else tree.merge(more)[0]


def _next_block(at: int) -> OpenBlock:
    return OpenBlock(CompactRange(begin=at, end=at))
