"""`infosec notify` and `infosec sms`: how messages fared; and, in the loopback demo alone, what they said."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import typer

from infosec.api.notify.v1 import notify_pb2 as pb
from infosec.cli.failures import ExitCode, Told
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.pages import every
from infosec.cli.records import row, rows
from infosec.cli.request import Limit
from infosec.cli.words import DELIVERY_STATES, t
from infosec.client.connection import Connection
from infosec.errors import InfosecError, PermissionDenied, Reason, Unimplemented
from infosec.messages import Text
from infosec.secret import Secret

_FAULTS = {
    "GATEWAY_REFUSED": Text("网关拒收", "refused by the gateway"),
    "GATEWAY_UNREACHABLE": Text("网关不可达", "gateway not reachable"),
    "BODY_EXPIRED": Text("内容已过期", "body expired"),
}
_DELIVERY = (
    Column("message_id", Text("编号", "ID"), is_whole=True),
    Column("state", Text("状态", "State"), words=DELIVERY_STATES),
    Column("template", Text("内容类型", "About")),
    Column("masked_phone", Text("手机", "Phone"), only_wide=True),
    Column("attempts", Text("次数", "Tries")),
    Column("fault", Text("故障", "Fault"), words=_FAULTS, only_wide=True),
    Column("updated_at", Text("更新时间", "Updated"), is_whole=True, only_wide=True),
)
_MESSAGE = (
    Column("at", Text("时间", "At"), is_whole=True),
    Column("phone", Text("手机", "Phone"), is_whole=True),
    Column("text", Text("内容", "Text")),
)

group = typer.Typer(no_args_is_help=True, help=t("短信发送情况", "How messages to phones fared; never what they say."))


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(group, name="notify")
    app.command(
        help=t("显示演示环境“发出”的短信；仅限本机演示", "Messages of the loopback demo; refused anywhere else.")
    )(sms)


@group.command(help=t("查询短信的发送情况", "How these messages fared."))
def deliveries(
    ctx: typer.Context, message_ids: Annotated[list[str], typer.Argument(help=t("短信编号", "message IDs"))]
) -> None:
    """Without their bodies."""
    desk = of(ctx)
    found = desk.run_in_session(lambda suite, token: suite.notify.deliveries(message_ids, token=token))
    desk.out.rows(rows(list(found)), _DELIVERY, empty=Text("没有这些短信。", "No such messages."))


@group.command("dead-letters", help=t("发送失败、已放弃的短信", "Messages that were given up."))
def dead_letters(ctx: typer.Context, limit: Limit = None) -> None:
    """Without their bodies."""
    desk = of(ctx)

    async def fetch(suite: Connection, token: Secret) -> list[pb.Delivery]:
        return await every(
            lambda size, page: suite.notify.dead_letters(token=token, page_size=size, page_token=page),
            lambda page: page.deliveries,
            limit=limit,
        )

    desk.out.rows(
        rows(desk.run_in_session(fetch)), _DELIVERY, empty=Text("没有发送失败的短信。", "No messages were given up.")
    )


@group.command(help=t("重发一条已放弃的短信", "Try a given-up message again, while its body has not expired."))
def retry(ctx: typer.Context, message_id: Annotated[str, typer.Argument(help=t("短信编号", "message ID"))]) -> None:
    """For administrators."""
    desk = of(ctx)
    found = desk.run_in_session(lambda suite, token: suite.notify.retry(token, message_id))
    desk.out.record(row(found), _DELIVERY)


def sms(
    ctx: typer.Context,
    last: Annotated[int, typer.Option(min=1, max=500, help=t("最近几条", "so many of the newest"))] = 20,
    phone_ends: Annotated[str, typer.Option(help=t("只列此尾号", "only phones with this ending"))] = "",
) -> None:
    """What the phones would show, in the demo of this machine."""
    desk = of(ctx)
    if not _is_loopback(desk.settings.address):
        raise _refused()
    try:
        found = desk.run(lambda suite: suite.sink.messages(page_size=500))
    except (Unimplemented, PermissionDenied) as elsewhere:
        raise _refused() from elsewhere
    wanted = [message for message in found if message.phone.endswith(phone_ends)]
    newest = sorted(wanted, key=lambda message: message.at.ToNanoseconds())[-last:]
    desk.out.rows(rows(newest), _MESSAGE, empty=Text("没有短信。", "No messages."))


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused() -> InfosecError:
    return Told(
        Reason.NOT_PERMITTED,
        Text(
            "此命令只在本机演示环境（默认安装）中显示短信；这里的短信由网关发出，任何命令都不显示其内容。",
            "This shows messages in the loopback demo alone. Here they go out through the gateway, and no command "
            "shows what they say.",
        ),
        exit_code=ExitCode.DENIED,
    )
