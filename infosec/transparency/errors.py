"""Why something is not proved. Machine words with facts; the words for people are the command line's."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """What is wrong with a proof, a note or a key. Closed."""

    # the text itself
    MALFORMED_KEY = "MALFORMED_KEY"
    MALFORMED_NOTE = "MALFORMED_NOTE"
    MALFORMED_CHECKPOINT = "MALFORMED_CHECKPOINT"
    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    MALFORMED_HASH = "MALFORMED_HASH"
    # who signed it
    NOT_SIGNED = "NOT_SIGNED"
    """No signature by a key that we know."""
    BAD_SIGNATURE = "BAD_SIGNATURE"
    """A signature in the name of a key that we know, which that key did not make."""
    WRONG_ORIGIN = "WRONG_ORIGIN"
    TOO_FEW_WITNESSES = "TOO_FEW_WITNESSES"
    SHARED_WITNESS_KEY = "SHARED_WITNESS_KEY"
    """One key under two witnesses' names: each cosignature would count twice."""
    FROM_THE_FUTURE = "FROM_THE_FUTURE"
    # the tree
    OUT_OF_RANGE = "OUT_OF_RANGE"
    """Indexes and sizes that no tree has together."""
    TREE_SHRANK = "TREE_SHRANK"
    FORKED = "FORKED"
    """Two roots for one size of one log."""
    WRONG_SIZE = "WRONG_SIZE"
    """A proof about a tree of another size than the checkpoint's."""
    WRONG_PROOF_LENGTH = "WRONG_PROOF_LENGTH"
    WRONG_ROOT = "WRONG_ROOT"
    """The hashes do not add up to the root: something that they stand for was changed."""
    WRONG_LEAF_COUNT = "WRONG_LEAF_COUNT"
    MISSING_NODE = "MISSING_NODE"
    """The stored tree is not whole."""


class NotVerified(Exception):
    """Not proved. `details` are public facts: an index, a size, a name, which part."""

    def __init__(self, what: Fault, **details: str | int) -> None:
        super().__init__(what.value)
        self.what = what
        self.details = details

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.details.items())
        return f"{self.what}({facts})" if facts else self.what.value
