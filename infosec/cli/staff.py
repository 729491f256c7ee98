"""`infosec staff`: staff IDs as administrators see them. Phone, store, region and role change by request alone (ID-8)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infosec.api.auth.v1 import staff_pb2 as pb
from infosec.cli.decisions import Why
from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.pages import every
from infosec.cli.person import must_be_here
from infosec.cli.policy import json_of, tell_pending
from infosec.cli.records import message_of, row, rows
from infosec.cli.request import Limit
from infosec.cli.staff_import import run_import
from infosec.cli.words import DELIVERY_STATES, FINDINGS, ROLE_WORDS, STAFF_STATES, t
from infosec.client.connection import Connection
from infosec.messages import Text
from infosec.secret import Secret

StaffId = Annotated[str, typer.Argument(help=t("工号", "staff ID"))]
Store = Annotated[str, typer.Option(help=t("营业厅", "store"))]

_LISTED = (
    Column("staff_id", Text("工号", "Staff ID"), is_whole=True),
    Column("name", Text("姓名", "Name")),
    Column("role_id", Text("岗位", "Role"), words=ROLE_WORDS),
    Column("store_id", Text("营业厅", "Store")),
    Column("state", Text("状态", "State"), words=STAFF_STATES),
    Column("last_login_at", Text("上次登录", "Last login"), is_whole=True),
    Column("password_ends_at", Text("密码到期", "Password ends"), is_whole=True, only_wide=True),
    Column("masked_phone", Text("手机", "Phone"), is_whole=True, only_wide=True),
)
_SHOWN = (
    Column("staff_id", Text("工号", "Staff ID")),
    Column("name", Text("姓名", "Name")),
    Column("role_id", Text("岗位", "Role"), words=ROLE_WORDS),
    Column("store_id", Text("营业厅", "Store")),
    Column("region_id", Text("片区", "Region")),
    Column("state", Text("状态", "State"), words=STAFF_STATES),
    Column("state_since", Text("状态起始", "State since")),
    Column("masked_phone", Text("手机", "Phone")),
    Column("is_partner", Text("合作方", "Partner")),
    Column("totp_active", Text("动态口令", "Second factor")),
    Column("password_ends_at", Text("密码到期", "Password ends")),
    Column("last_login_at", Text("上次登录", "Last login")),
    Column("first_password_delivery", Text("初始密码短信", "First password, SMS"), words=DELIVERY_STATES),
    Column("created_at", Text("创建时间", "Created at")),
    Column("created_by", Text("创建人", "Created by")),
)
_FINDINGS = (
    Column("at", Text("时间", "At"), is_whole=True),
    Column("kind", Text("类型", "Kind"), words=FINDINGS),
    Column("staff_id", Text("工号", "Staff ID")),
    Column("store_id", Text("营业厅", "Store")),
    Column("terminal_id", Text("台席", "Terminal"), only_wide=True),
    Column("text", Text("说明", "What was seen")),
)


class State(StrEnum):
    """Where a staff ID stands."""

    ISSUED = "issued"
    ACTIVE = "active"
    LOCKED = "locked"
    BLACKLISTED = "blacklisted"
    SUSPENDED = "suspended"
    CLOSED = "closed"


group = typer.Typer(no_args_is_help=True, help=t("工号管理", "Staff IDs."))


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="staff")


@group.command(
    help=t("新建工号；初始密码发到本人手机", "Make a staff ID; the first password goes to the person's phone.")
)
def create(
    ctx: typer.Context,
    staff_id: Annotated[str, typer.Argument(help=t("工号", "staff ID"))],
    name: Annotated[str, typer.Option(help=t("姓名", "name"))] = "",
    role: Annotated[str, typer.Option(help=t("岗位代码", "role"))] = "",
    store: Store = "",
    file: Annotated[
        Path | None,
        typer.Option(
            help=t(
                "从 JSON 读取（name phone role_id store_id birthday id_number），- 为标准输入",
                "read the rest from JSON; - for stdin",
            )
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help=t("理由（特权岗位须写）", "why; for privileged roles"))] = "",
) -> None:
    """Phone, birthday and ID number are asked for, or come from the file: never arguments."""
    desk = of(ctx)
    new = _from_file(file) if file is not None else _asked(desk)
    for field, value in (("staff_id", staff_id), ("name", name), ("role_id", role), ("store_id", store)):
        if value:
            setattr(new, field, value)
    if not (new.name and new.role_id and new.store_id and new.phone):
        raise usage("姓名、岗位、营业厅、手机都要有。", "Name, role, store and phone are all needed.")
    answer = desk.run_in_session(lambda suite, token: suite.staff.create(token, new, reason=reason))
    if answer.HasField("pending"):
        tell_pending(desk, answer.pending)
    desk.out.note("工号已建立，初始密码将发到绑定手机。", "Made; the first password goes to the bound phone.")
    desk.out.record(row(answer.staff), _SHOWN)


@group.command(help=t("查看工号", "Show one staff ID."))
def show(ctx: typer.Context, staff_id: StaffId) -> None:
    """The phone is masked."""
    desk = of(ctx)
    desk.out.record(row(desk.run_in_session(lambda suite, token: suite.staff.get(token, staff_id))), _SHOWN)


@group.command("list", help=t("列出工号", "List staff IDs."))
def list_(
    ctx: typer.Context,
    store: Store = "",
    region: Annotated[str, typer.Option(help=t("片区", "region"))] = "",
    state: Annotated[State | None, typer.Option(help=t("只列此状态", "only in this state"))] = None,
    limit: Limit = None,
) -> None:
    """By store, region or state."""
    desk = of(ctx)
    wanted = pb.STAFF_STATE_UNSPECIFIED if state is None else pb.StaffState.Value(f"STAFF_STATE_{state.name}")

    async def fetch(suite: Connection, token: Secret) -> list[pb.Staff]:
        return await every(
            lambda size, page: suite.staff.list(
                token, store_id=store, region_id=region, state=wanted, page_size=size, page_token=page
            ),
            lambda page: page.staff,
            limit=limit,
        )

    desk.out.rows(rows(desk.run_in_session(fetch)), _LISTED, empty=Text("没有工号。", "No staff IDs."))


@group.command(help=t("更正姓名、生日、证件号", "Correct name, birthday or ID number; the rest changes by request."))
def update(
    ctx: typer.Context,
    staff_id: StaffId,
    name: Annotated[str, typer.Option(help=t("姓名", "name"))] = "",
    birthday: Annotated[bool, typer.Option("--birthday", help=t("询问生日", "ask for the birthday"))] = False,
    id_number: Annotated[bool, typer.Option("--id-number", help=t("询问证件号", "ask for the ID number"))] = False,
    file: Annotated[
        Path | None,
        typer.Option(help=t("从 JSON 读取（name birthday id_number）", "read from JSON: name birthday id_number")),
    ] = None,
) -> None:
    """What is not given stays."""
    desk = of(ctx)
    new = _from_file(file) if file is not None else pb.NewStaff()
    if set(field.name for field, _ in new.ListFields()) - {"staff_id", "name", "birthday", "id_number"}:
        raise usage(
            "手机、岗位、营业厅只能通过申请变更：infosec request submit",
            "Phone, role and store change by request alone: infosec request submit",
        )
    new.name = name or new.name
    if birthday:
        new.birthday = _ask(desk, Text("生日（YYYY-MM-DD）", "Birthday (YYYY-MM-DD)"))
    if id_number:
        new.id_number = _ask(desk, Text("证件号", "ID number"))
    if not (new.name or new.birthday or new.id_number):
        raise usage("没有要更正的内容。", "Nothing to correct was given.")
    updated = desk.run_in_session(
        lambda suite, token: suite.staff.update(
            token, staff_id, name=new.name, birthday=new.birthday, id_number=new.id_number
        )
    )
    desk.out.note("已更正。", "Corrected.")
    desk.out.record(row(updated), _SHOWN)


@group.command(help=t("立即停用工号；恢复须申请", "Suspend at once; lifting it is a request."))
def suspend(ctx: typer.Context, staff_id: StaffId, reason: Why) -> None:
    """Its sessions end."""
    desk = of(ctx)
    answer = desk.run_in_session(lambda suite, token: suite.staff.suspend(token, staff_id, reason=reason))
    desk.out.note("已停用。", "Suspended.")
    desk.out.record(row(answer.staff), _SHOWN)


@group.command(help=t("注销离职人员的工号，永久有效", "Close a leaver's staff ID, for ever."))
def close(
    ctx: typer.Context,
    staff_id: StaffId,
    reason: Why,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=t("不再确认", "do not ask"))] = False,
) -> None:
    """ID-10: no way back, and the ID is never given to anybody else."""
    desk = of(ctx)
    if not yes:
        must_be_here(desk.person, instead=Text("请使用 --yes。", "Use --yes."))
        if not desk.person.agrees(
            desk.say(f"永久注销 {staff_id}，且不能恢复？", f"Close {staff_id} for ever, with no way back?")
        ):
            raise usage("未注销。", "Not closed.")
    answer = desk.run_in_session(lambda suite, token: suite.staff.close(token, staff_id, reason=reason))
    desk.out.note("已注销。", "Closed.")
    desk.out.record(row(answer.staff), _SHOWN)


@group.command(
    "import",
    help=t("导入人员名单（CSV 或 XLSX），全部或全不", "Import a staff list, CSV or XLSX: all of it or nothing."),
)
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=t("名单文件", "the list"))],
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("只检查，不写入", "check, and write nothing"))] = False,
    encoding: Annotated[
        str | None, typer.Option(help=t("CSV 的编码，默认自动识别", "of a CSV file; told by itself unless given"))
    ] = None,
    sheet: Annotated[str | None, typer.Option(help=t("XLSX 的工作表", "sheet of an XLSX file"))] = None,
    ignore_column: Annotated[
        list[str] | None, typer.Option(help=t("不读取的列，可多次", "a column to leave out; may be repeated"))
    ] = None,
) -> None:
    """Columns 工号 姓名 手机 岗位 营业厅 生日 证件号 旧密码哈希, or their English names."""
    run_import(of(ctx), file, encoding=encoding, sheet=sheet, ignored=ignore_column or (), dry_run=dry_run)


@group.command(
    help=t("需要人工核查的情况", "What somebody should look at: two places, travel, dormant IDs, refused terminals.")
)
def findings(ctx: typer.Context, store: Store = "", limit: Limit = None) -> None:
    """ID-10, ID-11."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.Finding]:
        return await every(
            lambda size, page: suite.staff.findings(token, store_id=store, page_size=size, page_token=page),
            lambda page: page.findings,
            limit=limit,
        )

    desk.out.rows(rows(desk.run_in_session(fetch)), _FINDINGS, empty=Text("没有发现异常。", "Nothing was found."))


def _from_file(file: Path) -> pb.NewStaff:
    return message_of(pb.NewStaff, json_of(file))


def _asked(desk: Invocation) -> pb.NewStaff:
    return pb.NewStaff(
        phone=_ask(desk, Text("手机", "Phone")),
        birthday=_ask(desk, Text("生日（YYYY-MM-DD，可空）", "Birthday (YYYY-MM-DD, may be empty)")),
        id_number=_ask(desk, Text("证件号（可空）", "ID number (may be empty)")),
    )


def _ask(desk: Invocation, question: Text) -> str:
    must_be_here(desk.person, instead=Text("请使用 --file。", "Use --file."))
    return desk.person.answer(question.in_(desk.settings.locale))
