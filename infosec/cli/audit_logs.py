"""`infosec audit logs`: the logs there are, and the keys that they sign with. Needs no login."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from infosec.api.audit.v1 import read_pb2 as pb
from infosec.cli.audit_person import printable
from infosec.cli.failures import usage
from infosec.cli.invocation import of
from infosec.cli.output import Column, Output
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.messages import Locale, Text

_COLUMNS = (
    Column("log", Text("日志", "Log")),
    Column("size", Text("记录数", "Entries"), is_whole=True),
    Column("first_index", Text("最早序号", "First"), is_whole=True),
    Column("verifier_keys", Text("公钥（须经其他途径核对）", "Verifier key (compare it over another way)")),
)
_COMPARE = Text(
    "公钥由服务端自己给出：使用前请经其他途径（如当面、公告、见证人）逐字核对。",
    "The server itself says these keys: before use, compare them word for word over another way (in person, as published, "
    "with a witness).",
)


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "logs",
        help=t(
            "列出日志、记录数与公钥；公钥须经其他途径核对后才能用于 verify 与 checkpoint。无需登录",
            "List the logs, their sizes and their keys. Compare a key over another way before verify or checkpoint rely on "
            "it. Needs no login.",
        ),
    )(logs)


def logs(
    ctx: typer.Context,
    keys: Annotated[
        bool,
        typer.Option(
            "--keys",
            help=t("只输出公钥，每行一个； 存为文件供 --key 使用", "the keys alone, one a line: a file for --key"),
        ),
    ] = False,
) -> None:
    """A log is a region's; `carrier` is that of what belongs to no region."""
    desk = of(ctx)
    if keys and (desk.settings.output is not Output.TABLE or desk.settings.fields):
        raise usage("--keys 不能与 --output、--fields 同用。", "--keys goes with neither --output nor --fields.")
    found = desk.run(lambda suite: suite.audit_read.logs())
    if keys:
        typer.echo(_key_file(found, desk.settings.locale), nl=False)
    else:
        desk.out.rows([_row(log) for log in found], _COLUMNS, empty=Text("没有日志。", "No logs."))
    if found:
        desk.out.note(*_COMPARE)


def _key_file(logs: Iterable[pb.Log], locale: Locale) -> str:
    lines = [f"# {_COMPARE.in_(locale)}"]
    for log in logs:
        lines += [f"# {printable(log.log_id)}", *map(printable, log.verifier_keys)]
    return "".join(f"{line}\n" for line in lines)


def _row(log: pb.Log) -> Row:
    return {
        "log": log.log_id,
        "origin": log.origin,
        "size": log.size,
        "first_index": log.first_index,
        "verifier_keys": list(log.verifier_keys),
    }
