"""Reads the word lists that are shipped in authsvc/data: common passwords, and the carrier's brand words (ID-3)."""

from __future__ import annotations

from importlib.resources import files

from authsvc.guessable import CommonPasswords


def common_passwords() -> CommonPasswords:
    """The shipped list, ready to be searched."""
    return CommonPasswords(_lines("common_passwords.txt"))


def brand_words() -> tuple[str, ...]:
    """What stands on every wall of a store: brands, hotlines, slogans, the words of the trade."""
    return _lines("brand_words.txt")


def _lines(name: str) -> tuple[str, ...]:
    text = files("authsvc.data").joinpath(name).read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("# "))
