"""The root of the command line: options that may stand anywhere, and one end for every failure."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from infosec.cli.extensions import command_of, installed
from infosec.cli.failures import ExitCode, Told, exit_code, report
from infosec.cli.words import given, spoken
from infosec.errors import InfosecError, Reason
from infosec.messages import Locale, Text

DEBUG = "INFOSEC_DEBUG"
"""Set, a fault shows its traceback; values in it are ours to protect, so nobody sets it in a store."""
_NOT_MOVED = frozenset({"--help", "--install-completion", "--show-completion"})


class Root(TyperGroup):
    """`infosec staff list --output json` means `infosec --output json staff list`; no traceback leaves."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self._bring([cmd_name] if cmd_name in installed() else installed())  # of all, one is suggested
        return self.commands.get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        self._bring(installed())
        return list(self.commands)

    def _bring(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.commands and (command := command_of(installed()[name])) is not None:
                self.commands[name] = command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._in_front(ctx, args))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        try:
            answer = super().main(
                args=words,
                prog_name=prog_name,
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
            # Here, so that a reader who has gone away is noticed while it can still be handled.
            sys.stdout.flush()
            code = answer if isinstance(answer, int) else ExitCode.OK
        except SystemExit as left:
            # Typer and Rich end with 1 where the reader of a pipe has gone; that is no fault of the caller's.
            if not isinstance(left.__context__, BrokenPipeError):
                raise
            code = ExitCode.OK
        except Exception as failure:
            if os.environ.get(DEBUG):
                raise
            code = _ended_by(failure, words)
        if standalone_mode:
            sys.exit(code)
        return code

    def _in_front(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with our own options first, but for names that the command defines for itself."""
        own = {name: not getattr(parameter, "is_flag", False) for parameter in self.params for name in parameter.opts}
        movable = own.keys() - self._options_of_command(ctx, args, own) - _NOT_MOVED
        front: list[str] = []
        rest: list[str] = []
        words = iter(args)
        for word in words:
            name, equals, _ = word.partition("=")
            target = front if name in movable else rest
            target.append(word)
            if word == "--":
                rest.extend(words)
            elif name in own and own[name] and not equals:
                target.extend([value for value in [next(words, None)] if value is not None])
        return front + rest

    def _options_of_command(self, ctx: Any, args: Sequence[str], own: Mapping[str, bool]) -> set[str]:
        command: Any = self
        words = iter(args)
        for word in words:
            name, equals, _ = word.partition("=")
            if name.startswith("-"):
                if own.get(name) and not equals:
                    next(words, None)
            elif isinstance(command, TyperGroup) and (found := command.get_command(ctx, word)) is not None:
                command = found
            else:
                break
        return set() if command is self else {name for parameter in command.params for name in parameter.opts}


def _ended_by(failure: Exception, words: Sequence[str]) -> int:
    locale, as_json = spoken(words, os.environ), given(words, "--output") == "json"
    if isinstance(failure, typer.Abort):
        return ExitCode.INTERRUPTED
    if isinstance(failure, typer.TyperException):
        return _misused(failure, locale, as_json=as_json, to=sys.stderr)
    if isinstance(failure, InfosecError):
        report(failure, locale=locale, as_json=as_json, to=sys.stderr)
        return exit_code(failure)
    if isinstance(failure, OSError) and failure.errno == errno.EPIPE:
        # Nobody reads on; and nothing is to be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    kind = type(failure).__name__
    fault = Text(
        f"命令行程序出错（{kind}），操作结果未知。请先查询结果，并告知管理员。",
        f"A fault of this program ({kind}); the outcome is not known. Look it up, and tell the administrator.",
    )
    error = Told(Reason.INTERNAL, fault, exit_code=ExitCode.SERVER)
    report(error, locale=locale, as_json=as_json, to=sys.stderr)
    return ExitCode.SERVER


def _misused(failure: typer.TyperException, locale: Locale, *, as_json: bool, to: TextIO) -> int:
    told = failure.format_message()
    context = getattr(failure, "ctx", None)
    if context is not None and type(failure).__name__ == "NoArgsIsHelpError":
        to.write(told + "\n")
        return ExitCode.USAGE
    path = context.command_path if context is not None else "infosec"
    see = Text(f"用法说明：{path} --help", f"See: {path} --help")
    text = Text(f"命令有误：{told}\n{see.zh}", f"{told}\n{see.en}")
    error = Told(Reason.INVALID_ARGUMENT, text, exit_code=ExitCode.USAGE)
    if as_json:
        report(error, locale=locale, as_json=True, to=to)
    else:
        to.write(text.in_(locale) + "\n")
    return ExitCode.USAGE
