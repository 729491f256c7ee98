"""`infosec directory`: regions, stores, terminals, systems, and which customers are assigned to whom (CI-2)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infosec.api.auth.v1 import directory_pb2 as pb
from infosec.api.common.v1 import revision_pb2
from infosec.cli import hours
from infosec.cli.failures import usage
from infosec.cli.invocation import Invocation, of
from infosec.cli.output import Column
from infosec.cli.pages import every
from infosec.cli.person import text_of
from infosec.cli.policy import json_of
from infosec.cli.records import message_of, row, rows
from infosec.cli.request import Limit
from infosec.cli.words import t
from infosec.client.connection import Connection
from infosec.messages import Text
from infosec.secret import Secret

MAX_CUSTOMERS = 10_000
MAX_FILE = 4 << 20

Name = Annotated[str, typer.Option(help=t("名称", "name"))]
DryRun = Annotated[bool, typer.Option("--dry-run", help=t("只检查，不写入", "check, and write nothing"))]
StaffId = Annotated[str, typer.Argument(help=t("工号", "staff ID"))]
Customers = Annotated[
    Path,
    typer.Argument(help=t("客户号码文件，每行一个，- 为标准输入", "file of customer numbers, one a line; - for stdin")),
]
_DONE = (
    Column("region_id", Text("片区", "Region")),
    Column("number", Text("版本", "Revision")),
)
_REGIONS = (Column("region_id", Text("片区", "Region")), Column("name", Text("名称", "Name")))
_STORES = (
    Column("store_id", Text("营业厅", "Store"), is_whole=True),
    Column("region_id", Text("片区", "Region")),
    Column("name", Text("名称", "Name")),
    Column("opening", Text("营业时间", "Hours")),
    Column("hotline", Text("热线", "Hotline"), only_wide=True),
    Column("address", Text("地址", "Address"), only_wide=True),
    Column("is_closed", Text("已停业", "Closed")),
)
_TERMINALS = (
    Column("terminal_id", Text("台席", "Terminal")),
    Column("store_id", Text("营业厅", "Store")),
    Column("name", Text("名称", "Name")),
    Column("is_retired", Text("已停用", "Retired")),
)
_SYSTEMS = (
    Column("system_id", Text("系统", "System"), is_whole=True),
    Column("name", Text("名称", "Name")),
    Column("store_ids", Text("营业厅", "Stores")),
    Column("terminal_ids", Text("台席", "Terminals")),
    Column("is_retired", Text("已停用", "Retired")),
)
_ASSIGNED = (
    Column("staff_id", Text("工号", "Staff ID")),
    Column("given", Text("本次号码数", "Numbers given")),
    Column("assigned", Text("现有客户数", "Assigned now")),
)
_NOTHING = Text("没有记录。", "Nothing is registered.")

group = typer.Typer(
    no_args_is_help=True,
    help=t("片区、营业厅、台席、系统、客户分派", "Regions, stores, terminals, systems, assigned customers."),
)
region = typer.Typer(no_args_is_help=True, help=t("片区", "Regions."))
store = typer.Typer(no_args_is_help=True, help=t("营业厅", "Stores and their hours."))
terminal = typer.Typer(no_args_is_help=True, help=t("台席", "Terminals."))
system = typer.Typer(no_args_is_help=True, help=t("业务系统", "Calling store systems."))
for _name, _group in (("region", region), ("store", store), ("terminal", terminal), ("system", system)):
    group.add_typer(_group, name=_name)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="directory")


@region.command("put", help=t("新建或替换片区", "Make or replace a region."))
def put_region(
    ctx: typer.Context, region_id: Annotated[str, typer.Argument(help=t("片区代码", "region ID"))], name: Name
) -> None:
    """The whole entity."""
    desk = of(ctx)
    put = pb.Region(region_id=region_id, name=name)
    _done(desk, desk.run_in_session(lambda suite, token: suite.directory.put_region(token, put)))


@region.command("list", help=t("列出片区", "List regions."))
def list_regions(ctx: typer.Context, limit: Limit = None) -> None:
    """All of them."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.Region]:
        return await every(
            lambda size, page: suite.directory.regions(token, page_size=size, page_token=page),
            lambda page: page.regions,
            limit=limit,
        )

    desk.out.rows(rows(desk.run_in_session(fetch)), _REGIONS, empty=_NOTHING)


@store.command("put", help=t("新建或替换营业厅", "Make or replace a store."))
def put_store(
    ctx: typer.Context,
    store_id: Annotated[str, typer.Argument(help=t("营业厅代码", "store ID"))],
    region: Annotated[str, typer.Option(help=t("片区", "region"))] = "",
    name: Name = "",
    address: Annotated[str, typer.Option("--street", help=t("地址", "street address"))] = "",
    hotline: Annotated[str, typer.Option(help=t("热线", "hotline"))] = "",
    opening: Annotated[
        list[str] | None,
        typer.Option("--hours", help=t("营业时间：1-5=09:00-18:00，可多次", "1-5=09:00-18:00; may be repeated")),
    ] = None,
    special: Annotated[
        list[str] | None,
        typer.Option(help=t("特殊日：2026-10-01=closed，可多次", "2026-10-01=closed; may be repeated")),
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help=t("已停业", "closed for good"))] = False,
    file: Annotated[
        Path | None, typer.Option(help=t("改用 JSON 文件，- 为标准输入", "instead, a JSON file; - for stdin"))
    ] = None,
) -> None:
    """The whole entity, from options or from JSON as `directory store list --output json` shows it."""
    desk = of(ctx)
    put = (
        _store_of(file, store_id)
        if file is not None
        else pb.Store(
            store_id=store_id,
            region_id=region,
            name=name,
            address=address,
            hotline=hotline,
            hours=hours.weekly(opening or ()),
            special_days=hours.special(special or ()),
            is_closed=closed,
        )
    )
    if not put.region_id or not put.name:
        raise usage("须写出 --region 与 --name。", "--region and --name are needed.")
    _done(desk, desk.run_in_session(lambda suite, token: suite.directory.put_store(token, put)))


@store.command("list", help=t("列出营业厅", "List stores."))
def list_stores(
    ctx: typer.Context,
    region: Annotated[str, typer.Option(help=t("只列此片区", "only in this region"))] = "",
    limit: Limit = None,
) -> None:
    """With their hours."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.Store]:
        return await every(
            lambda size, page: suite.directory.stores(token, region_id=region, page_size=size, page_token=page),
            lambda page: page.stores,
            limit=limit,
        )

    found = desk.run_in_session(fetch)
    desk.out.rows([row(one) | {"opening": hours.shown(one.hours)} for one in found], _STORES, empty=_NOTHING)


@terminal.command("put", help=t("新建或替换台席", "Make or replace a terminal."))
def put_terminal(
    ctx: typer.Context,
    terminal_id: Annotated[str, typer.Argument(help=t("台席代码", "terminal ID"))],
    store: Annotated[str, typer.Option(help=t("营业厅", "store"))],
    name: Name = "",
    retired: Annotated[bool, typer.Option("--retired", help=t("已停用", "out of use"))] = False,
) -> None:
    """The whole entity."""
    desk = of(ctx)
    put = pb.Terminal(terminal_id=terminal_id, store_id=store, name=name, is_retired=retired)
    _done(desk, desk.run_in_session(lambda suite, token: suite.directory.put_terminal(token, put)))


@terminal.command("list", help=t("列出营业厅的台席", "List the terminals of a store."))
def list_terminals(
    ctx: typer.Context, store: Annotated[str, typer.Option(help=t("营业厅", "store"))], limit: Limit = None
) -> None:
    """Retired ones too."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.Terminal]:
        return await every(
            lambda size, page: suite.directory.terminals(token, store, page_size=size, page_token=page),
            lambda page: page.terminals,
            limit=limit,
        )

    desk.out.rows(rows(desk.run_in_session(fetch)), _TERMINALS, empty=_NOTHING)


@system.command("put", help=t("登记业务系统可用的营业厅与台席", "Register a system for stores and terminals."))
def put_system(
    ctx: typer.Context,
    system_id: Annotated[str, typer.Argument(help=t("系统名（证书中的名字）", "system ID, as in its certificate"))],
    name: Name = "",
    store: Annotated[
        list[str] | None,
        typer.Option(help=t("营业厅，含其全部台席，可多次", "store with all its terminals; may be repeated")),
    ] = None,
    terminal_id: Annotated[list[str] | None, typer.Option(help=t("台席，可多次", "terminal; may be repeated"))] = None,
    retired: Annotated[bool, typer.Option("--retired", help=t("已停用", "out of use"))] = False,
) -> None:
    """The whole entity."""
    desk = of(ctx)
    put = pb.System(
        system_id=system_id, name=name, store_ids=store or (), terminal_ids=terminal_id or (), is_retired=retired
    )
    _done(desk, desk.run_in_session(lambda suite, token: suite.directory.put_system(token, put)))


@system.command("list", help=t("列出业务系统", "List systems."))
def list_systems(ctx: typer.Context, limit: Limit = None) -> None:
    """Retired ones too."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.System]:
        return await every(
            lambda size, page: suite.directory.systems(token, page_size=size, page_token=page),
            lambda page: page.systems,
            limit=limit,
        )

    desk.out.rows(rows(desk.run_in_session(fetch)), _SYSTEMS, empty=_NOTHING)


@group.command(help=t("把客户分派给工号", "Assign customers to a person; at most 10,000 in all."))
def assign(ctx: typer.Context, staff_id: StaffId, customers: Customers, dry_run: DryRun = False) -> None:
    """CI-2."""
    desk, numbers = of(ctx), _customers(customers)
    if dry_run:
        _dry(desk, staff_id, numbers)
        return
    answer = desk.run_in_session(lambda suite, token: suite.directory.assign_customers(token, staff_id, numbers))
    desk.out.record({"staff_id": staff_id, "given": len(numbers), "assigned": answer.assigned}, _ASSIGNED)


@group.command(help=t("收回分派的客户", "Take customers from a person."))
def unassign(ctx: typer.Context, staff_id: StaffId, customers: Customers, dry_run: DryRun = False) -> None:
    """CI-2."""
    desk, numbers = of(ctx), _customers(customers)
    if dry_run:
        _dry(desk, staff_id, numbers)
        return
    answer = desk.run_in_session(lambda suite, token: suite.directory.unassign_customers(token, staff_id, numbers))
    desk.out.record({"staff_id": staff_id, "given": len(numbers), "assigned": answer.assigned}, _ASSIGNED)


def _customers(source: Path) -> list[str]:
    """Each once, in the order of the file."""
    lines = text_of(source, max_bytes=MAX_FILE).splitlines()
    numbers = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not numbers or len(numbers) > MAX_CUSTOMERS:
        raise usage(
            f"须有 1 至 {MAX_CUSTOMERS} 个客户号码，每行一个；现有 {len(numbers)} 个。",
            f"1 to {MAX_CUSTOMERS} customer numbers are wanted, one a line; there are {len(numbers)}.",
        )
    return numbers


def _dry(desk: Invocation, staff_id: str, numbers: list[str]) -> None:
    desk.out.note("仅检查，未写入。", "Checked; nothing was written.")
    desk.out.record({"staff_id": staff_id, "given": len(numbers), "assigned": None}, _ASSIGNED)


def _store_of(file: Path, store_id: str) -> pb.Store:
    found = json_of(file)
    if isinstance(found, dict):
        # What our own list adds for readers.
        found = {name: value for name, value in found.items() if name != "opening"} | {"store_id": store_id}
    return message_of(pb.Store, found)


def _done(desk: Invocation, revision: revision_pb2.Revision) -> None:
    desk.out.note("已保存。", "Saved.")
    desk.out.record(row(revision), _DONE)
