"""`infosec policy`: what is in force, and asking for it to be changed; changes wait for a second administrator (CI-2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from google.protobuf.message import Message

from infosec.api.auth.v1 import policy_pb2 as pb
from infosec.api.auth.v1 import requests_pb2
from infosec.cli.credentials import CodeStdin
from infosec.cli.decisions import Why
from infosec.cli.failures import ExitCode, usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.person import text_of
from infosec.cli.records import Row, message_of, row, rows
from infosec.cli.request import SHOWN
from infosec.cli.words import CLASSES, ROLE_WORDS, t
from infosec.messages import Locale, Text

MAX_FILE = 1 << 20

Wanted = TypeVar("Wanted", bound=Message)
JsonFile = Annotated[Path, typer.Argument(help=t("JSON 文件，- 为标准输入", "JSON file, - for stdin"))]

_THRESHOLDS = (Column("name", Text("项", "Threshold")), Column("value", Text("值", "Value")))
_OPERATIONS = (
    Column("code", Text("代码", "Code"), is_whole=True),
    Column("name", Text("名称", "Name")),
    Column("operation_class", Text("类别", "Class"), words=CLASSES, is_whole=True),
    Column("second_person_roles", Text("第二人", "Second person"), words=ROLE_WORDS),
)
_ROLES = (
    Column("role_id", Text("岗位代码", "Role"), is_whole=True),
    Column("name", Text("名称", "Name")),
    Column("place", Text("范围", "Where"), is_whole=True),
    Column("operations", Text("业务", "Operations")),
    Column("is_partner", Text("合作方", "Partner"), only_wide=True),
)
_DEVIATIONS = (
    Column("standard", Text("标准", "Standard")),
    Column("clause", Text("条款", "Clause")),
    Column("departure", Text("差异", "Departure")),
    Column("why", Text("原因", "Why")),
)
_NOTHING = Text("没有内容。", "Nothing.")

group = typer.Typer(
    no_args_is_help=True, help=t("策略、业务目录、岗位权限、差异报告", "The policy in force, and changes of it.")
)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="policy")


@group.command(help=t("当前策略的各项阈值", "The active profile with every threshold."))
def show(ctx: typer.Context) -> None:
    """Of the profile that the server runs."""
    desk = of(ctx)
    found = desk.run_in_session(lambda suite, token: suite.policy.get(token))
    desk.out.note(f"策略：{found.profile}", f"Profile: {found.profile}")
    desk.out.rows(rows(found.thresholds), _THRESHOLDS, empty=_NOTHING)


@group.command(help=t("业务代码目录", "The operation catalogue."))
def operations(ctx: typer.Context) -> None:
    """Section G."""
    desk = of(ctx)
    found = desk.run_in_session(lambda suite, token: suite.policy.operations(token))
    desk.out.rows([_named(desk, row(operation)) for operation in found.operations], _OPERATIONS, empty=_NOTHING)


@group.command(help=t("岗位及其可办业务", "Roles, and what each may ask for."))
def roles(ctx: typer.Context) -> None:
    """CI-2."""
    desk = of(ctx)
    found = desk.run_in_session(lambda suite, token: suite.policy.operations(token))
    desk.out.rows(
        [
            _named(desk, row(role)) | {"operations": [permission.operation for permission in role.permissions]}
            for role in found.roles
        ],
        _ROLES,
        empty=_NOTHING,
    )


@group.command(help=t("与标准、手册的差异报告", "Where the profile departs from standards and the handbook."))
def deviations(ctx: typer.Context) -> None:
    """Section H."""
    desk = of(ctx)
    found = desk.run_in_session(lambda suite, token: suite.policy.deviations(token))
    desk.out.note(f"策略：{found.profile}", f"Profile: {found.profile}")
    desk.out.rows(rows(found.deviations), _DEVIATIONS, empty=_NOTHING)


@group.command(
    "put-role",
    help=t("新建或替换岗位，须另一管理员审批", "Make or replace a role, once a second administrator approves."),
)
def put_role(ctx: typer.Context, file: JsonFile, reason: Why, code_stdin: CodeStdin = False) -> None:
    """From JSON as `policy roles --output json` shows it."""
    desk = of(ctx)
    role = _from_file(file, pb.Role, also=("name", "operations"))
    pending = desk.run_stepped_up(
        lambda suite, token: suite.policy.put_role(token, role, reason=reason), code_from_stdin=code_stdin
    )
    tell_pending(desk, pending)


@group.command(
    "put-operation",
    help=t("新建或替换业务，须另一管理员审批", "Make or replace an operation, once a second administrator approves."),
)
def put_operation(ctx: typer.Context, file: JsonFile, reason: Why, code_stdin: CodeStdin = False) -> None:
    """From JSON as `policy operations --output json` shows it."""
    desk = of(ctx)
    operation = _from_file(file, pb.Operation, also=("name",))
    pending = desk.run_stepped_up(
        lambda suite, token: suite.policy.put_operation(token, operation, reason=reason), code_from_stdin=code_stdin
    )
    tell_pending(desk, pending)


@group.command(
    "assign-role", help=t("申请变更某工号的岗位", "Ask for another role for a person; the regional manager decides.")
)
def assign_role(
    ctx: typer.Context,
    staff_id: Annotated[str, typer.Argument(help=t("工号", "staff ID"))],
    role_id: Annotated[str, typer.Argument(help=t("岗位代码", "role"))],
    reason: Why,
    code_stdin: CodeStdin = False,
) -> None:
    """ID-8."""
    desk = of(ctx)
    pending = desk.run_stepped_up(
        lambda suite, token: suite.policy.assign_role(token, staff_id, role_id, reason=reason),
        code_from_stdin=code_stdin,
    )
    tell_pending(desk, pending)


def tell_pending(desk: Invocation, pending: requests_pb2.StaffRequest) -> None:
    """Show the request that a change became, and end with the exit code that says so."""
    desk.out.note("须由他人审批后生效，申请如下。", "It takes effect once somebody else approves this request.")
    desk.out.record(row(pending), SHOWN)
    raise typer.Exit(ExitCode.PENDING)


def json_of(file: Path) -> object:
    """What a JSON file holds. Raises a usage error."""
    try:
        found: object = json.loads(text_of(file, max_bytes=MAX_FILE))
    except (ValueError, RecursionError):
        raise usage(f"{file} 不是有效的 JSON。", f"{file} is not valid JSON.") from None
    return found


def _from_file(file: Path, kind: type[Wanted], *, also: tuple[str, ...]) -> Wanted:
    """`also` names what our own output adds for readers."""
    found = json_of(file)
    if isinstance(found, dict):
        found = {name: value for name, value in found.items() if name not in also}
    return message_of(kind, found)


def _named(desk: Invocation, shown: Row) -> Row:
    is_chinese = desk.settings.locale is Locale.ZH_CN or not shown["name_en"]
    return shown | {"name": shown["name_zh"] if is_chinese else shown["name_en"]}
