"""`infosec keys`: which keys the installation has, new ones for old ones, new kinds. On the server; shows no key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from infosec.cli.failures import ExitCode, Told, usage
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.config import Config
from infosec.errors import AlreadyExists, Reason
from infosec.keys import KINDS, KeyRecord, KeyRing, MacKey, MacKind, SealingKeys, SigningKeys, SigningKind
from infosec.messages import Text
from services.commands.options import ConfigFile, load

_LIST = (
    Column("kind", Text("用途", "Kind"), is_whole=True),
    Column("kid", Text("编号", "Key ID")),
    Column("created_at", Text("创建", "Made")),
    Column("retired_at", Text("停用", "Retired")),
)

_ADDED = (
    Column("kind", Text("用途", "Kind"), is_whole=True),
    Column("path", Text("文件", "File"), is_whole=True),
)

group = typer.Typer(no_args_is_help=True, help=t("密钥", "The installation's keys."))


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="keys")


@group.command("list", help=t("列出密钥编号与日期", "List key IDs and dates; never a key."))
def list_all(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Active ones and retired ones."""
    kinds = _all(load(config))
    rows = [_row(kind, record) for kind, keys in kinds.items() for record in keys.records]
    of(ctx).out.rows(rows, _LIST, empty=Text("没有密钥。", "There are no keys."))


@group.command(help=t("换新密钥；旧的只用于核对与解封", "Make a new key; the old one stays to check and open with."))
def rotate(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=t("用途，见 keys list", "kind, as in `keys list`"))],
    stolen: Annotated[
        bool,
        typer.Option(
            "--stolen", help=t("旧密钥已泄露：其签名一律作废", "the old one was stolen: nothing that it signed is good")
        ),
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Processes take it up at their next start: those that check first, then the core."""
    desk, kinds = of(ctx), _all(load(config))
    if kind not in kinds:
        raise usage(f"没有此用途的密钥。可选：{', '.join(kinds)}", f"No such kind. There are: {', '.join(kinds)}")
    if kind == MacKind.CUSTOMERS:
        raise Told(
            Reason.STATE_CONFLICT,
            Text(
                "已分派的客户以此密钥的摘要保存，号码本身不保存，因此不能更换。",
                "Assigned customers are kept as digests under this key and not as numbers, so it cannot be changed.",
            ),
            exit_code=ExitCode.CONFLICT,
        )
    if stolen and not isinstance(kinds[kind], SigningKeys):
        raise usage(
            "--stolen 仅用于签名密钥。", "--stolen belongs to keys that sign: what was sealed must stay readable."
        )
    turned = kinds[kind].rotate(now=datetime.now(UTC))
    if isinstance(turned, SigningKeys) and stolen:
        turned = turned.forget_retired()
    if kind == SigningKind.CHECKPOINT:
        desk.out.note(
            "运行中的审计服务自动启用。请把新的验证公钥（infosec audit-log keys）交给见证与审计人员。",
            "A running audit service takes it up by itself. Give the new verifier keys (`infosec audit-log keys`) to "
            "witnesses and auditors.",
        )
    else:
        desk.out.note(
            "重启服务后启用：先审计部分，再检查部分，后核心部分。",
            "In use after a restart: the audit part first, then the check parts, then the core.",
        )
    desk.out.record(_row(kind, turned.records[0]), _LIST)


@group.command(help=t("补建新版本增加的密钥", "Make the keys of a kind that a new release brought."))
def add(
    ctx: typer.Context,
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=t("用途，见报错提示", "kind, as `serve` or `doctor` asks"))
    ],
    config: ConfigFile = None,
) -> None:
    """Every process needs a copy of the file. One that was lost is restored from the backup instead."""
    directory = load(config).server.keys_dir
    if kind not in KINDS:
        raise usage(f"没有此用途。可选：{', '.join(KINDS)}", f"No such kind. There are: {', '.join(KINDS)}")
    try:
        KeyRing.add(directory, kind, now=datetime.now(UTC))
    except AlreadyExists as error:
        raise Told(
            error.reason,
            Text(
                "已有此用途的密钥；换新请用 infosec keys rotate。",
                "There are keys of this kind: `infosec keys rotate` makes new ones.",
            ),
            exit_code=ExitCode.CONFLICT,
        ) from None
    of(ctx).out.note(
        "把此文件复制给共用此安装的每个进程，然后重启。",
        "Copy the file to every process of this installation, then restart them.",
    )
    of(ctx).out.record({"kind": kind, "path": str(directory / f"{kind}.json")}, _ADDED)


def _all(config: Config) -> dict[str, SigningKeys | SealingKeys | MacKey]:
    ring = KeyRing.load(config.server.keys_dir)
    kinds: dict[str, SigningKeys | SealingKeys | MacKey] = {}
    for keys in (ring.signing, ring.sealing, ring.mac):
        kinds.update({kind.value: one for kind, one in keys.items()})
    return kinds


def _row(kind: str, record: KeyRecord) -> Row:
    return {"kind": kind, "kid": record.kid, "created_at": record.created, "retired_at": record.retired}
