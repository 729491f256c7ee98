"""The person at the keyboard, or the pipe in their place. Secrets come in here and nowhere else, never as arguments (ID-7)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol

import typer

from infosec.cli.failures import usage
from infosec.messages import Text
from infosec.secret import Secret

MAX_LINE = 4096


class Person(Protocol):
    """Answers questions; in a pipe, only lines of stdin."""

    def is_here(self) -> bool:
        """Somebody can be asked: stdin is a terminal."""
        ...

    def answer(self, question: str) -> str:
        """What is typed, shown while typing; may be empty."""
        ...

    def secret(self, question: str) -> Secret:
        """What is typed, not shown; may be empty."""
        ...

    def agrees(self, question: str) -> bool:
        """Yes or no."""
        ...


class AtTheTerminal:
    """Asks on stderr, so that stdout stays the result's."""

    def is_here(self) -> bool:
        return sys.stdin.isatty()

    def answer(self, question: str) -> str:
        return str(typer.prompt(question, default="", show_default=False, err=True)).strip()

    def secret(self, question: str) -> Secret:
        return Secret(str(typer.prompt(question, default="", show_default=False, hide_input=True, err=True)))

    def agrees(self, question: str) -> bool:
        return typer.confirm(question, err=True)


def stdin_line() -> str:
    """The next line of stdin without its end. Raises a usage error when there is none or it is too long."""
    line = sys.stdin.readline(MAX_LINE + 1)
    if not line or len(line) > MAX_LINE:
        raise usage("标准输入中没有所需的一行。", "The line that was to come on stdin is not there.")
    return line.removesuffix("\n").removesuffix("\r")


def stdin_secret() -> Secret:
    """As `stdin_line`, for a secret."""
    return Secret(stdin_line())


def text_of(source: Path, *, max_bytes: int) -> str:
    """The text of a file, or of stdin for `-`; UTF-8, bounded."""
    try:
        if str(source) == "-":
            data = sys.stdin.buffer.read(max_bytes + 1)
        else:
            with source.open("rb") as file:
                data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise usage(f"{source}：内容过长。", f"{source}: too long.")
        return data.decode("utf-8-sig")
    except OSError:
        raise usage(f"无法读取文件 {source}。", f"Cannot read the file {source}.") from None
    except UnicodeDecodeError:
        raise usage(f"{source} 不是 UTF-8 文本。", f"{source} is not UTF-8 text.") from None


def must_be_here(person: Person, *, instead: Text) -> None:
    """Refuse to ask where nobody can answer; `instead` says how to give it."""
    if not person.is_here():
        raise usage(
            f"标准输入不是终端，无法提问。{instead.zh}", f"stdin is no terminal, so nobody can be asked. {instead.en}"
        )
