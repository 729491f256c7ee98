"""`infosec cert`: certificates of the installation's own CA, for store systems and services. On the server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from infosec.certificates import Authority, CertificateFiles, Expiry, expiries
from infosec.cli.invocation import of
from infosec.cli.output import Column
from infosec.cli.records import Row
from infosec.cli.words import t
from infosec.config import Config
from infosec.errors import Misconfigured, Reason
from infosec.messages import Text
from services.commands.options import ConfigFile, load

_LIST = (
    Column("subject", Text("名称", "Name"), is_whole=True),
    Column("ends_at", Text("到期", "Ends")),
    Column("days_left", Text("剩余天数", "Days left")),
    Column("is_due", Text("应续期", "Due for renewal")),
    Column("path", Text("文件", "File"), only_wide=True),
)
_FILES = (
    Column("certificate", Text("证书", "Certificate")),
    Column("key", Text("私钥", "Key")),
    Column("ca", Text("CA", "CA")),
)
_NONE = Text("没有应续期的证书。", "No certificate is due.")

group = typer.Typer(no_args_is_help=True, help=t("本安装的证书", "Certificates of the installation's own CA."))


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="cert")


@group.command(help=t("签发证书：业务系统，或本套件的服务", "Issue a certificate for a store system, or a service."))
def issue(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=t("系统名", "system's name, as in `directory system put`"))],
    host: Annotated[
        list[str] | None,
        typer.Option(help=t("服务的主机名，可多次；本机总可用", "host that a service is reached at; may be repeated")),
    ] = None,
    service: Annotated[
        bool, typer.Option("--service", help=t("服务，而非业务系统", "a service, not a system"))
    ] = False,
    config: ConfigFile = None,
) -> None:
    """The same files as before, unless they are due or do not fit any more."""
    authority, now = _authority(load(config)), datetime.now(UTC)
    files = (
        authority.issue_service(name, now=now, hosts=host or ()) if service else authority.issue_system(name, now=now)
    )
    of(ctx).out.record(_files(files), _FILES)


@group.command("list", help=t("列出证书与到期日", "List certificates and when they end."))
def list_all(ctx: typer.Context, config: ConfigFile = None) -> None:
    """Soonest end first, the CA's own included."""
    found = expiries(_authority(load(config)).directory)
    of(ctx).out.rows(_rows(found, datetime.now(UTC)), _LIST, empty=_NONE)


@group.command(
    help=t("续期将到期的证书；运行中的服务自动换用", "Renew what is due; a running server takes it up by itself.")
)
def renew(ctx: typer.Context, config: ConfigFile = None) -> None:
    """A third of its life before its end a certificate is due."""
    renewed = _authority(load(config)).renew(now=datetime.now(UTC))
    of(ctx).out.rows([_files(files) for files in renewed], _FILES, empty=_NONE)


def _authority(config: Config) -> Authority:
    if config.tls is not None:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="tls",
            detail="certificates are configured, the installation's own CA is not in use",
            hint="ask the PKI that they come from",
        )
    return Authority.create_or_load(config.server.tls_dir, carrier=config.server.carrier, now=datetime.now(UTC))


def _files(files: CertificateFiles) -> Row:
    return {"certificate": str(files.certificate), "key": str(files.key), "ca": str(files.ca)}


def _rows(found: Sequence[Expiry], now: datetime) -> list[Row]:
    return [
        {
            "subject": one.subject,
            "ends_at": one.not_after,
            "days_left": (one.not_after - now).days,
            "is_due": one.is_due(now),
            "path": str(one.path),
        }
        for one in found
    ]
