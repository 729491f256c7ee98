"""Configuration, data directory, keys and certificates: all that needs no engine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from infosec.certificates import expiries, expiry_of
from infosec.config import Config
from infosec.errors import InfosecError, Misconfigured
from infosec.keys import KeyRing
from services.checking import SINK, Part, check
from services.doctor.findings import Finding, failed, fine, warning, wrong


def look(config: Config, now: datetime, parts: frozenset[Part]) -> Iterator[Finding]:
    """Every finding about files and settings that `parts` have."""
    yield from _settings(config, parts)
    yield from _data_dir(config.server.data_dir)
    yield from _keys(config)
    yield from _certificates(config, now)


def _settings(config: Config, parts: frozenset[Part]) -> Iterator[Finding]:
    try:
        check(config, parts)
    except Misconfigured as error:
        yield failed("config", error)
    else:
        yield fine("config", "配置正确", "the configuration is right")
    if Part.CORE not in parts:
        return
    if config.hashing.is_below_owasp:
        yield warning(
            "hashing",
            "密码散列参数低于 OWASP 下限，只可用于试用",
            "password hashing is below OWASP's floor: for trying things out only",
        )
    if config.notify.gateway == SINK:
        yield warning(
            "notify",
            "短信没有发出，只留在本机（sink），只可用于演示",
            "messages go to nobody's phone: the sink keeps them, for the demo only",
        )


def _data_dir(path: Path) -> Iterator[Finding]:
    if not path.is_dir():
        yield warning("data", f"{path} 还不存在：尚未启动过", f"{path} is not there yet: nothing was started")
        return
    found = path.stat()
    if found.st_uid != os.geteuid():
        yield wrong("data", f"{path} 属于其他账号", f"{path} belongs to another account")
    # What is secret in it lies in folders of its own, and root's engines pass through it as another account.
    elif stat.S_IMODE(found.st_mode) & 0o022:
        yield wrong("data", f"{path} 可被其他账号改写：chmod 700", f"{path} can be written by others: chmod 700")
    else:
        yield fine("data", str(path), str(path))


def _keys(config: Config) -> Iterator[Finding]:
    if config.postgres is None and not config.server.keys_dir.exists():
        yield warning("keys", "首次启动时生成", "made at the first start")
        return
    try:
        KeyRing.load(config.server.keys_dir)
    except InfosecError as error:
        yield failed("keys", error)
    else:
        yield fine("keys", "齐全", "all there")


def _certificates(config: Config, now: datetime) -> Iterator[Finding]:
    try:
        if config.tls is not None:
            found = [expiry_of(config.tls.cert)]
        elif config.server.tls_dir.is_dir():
            found = expiries(config.server.tls_dir)
        else:
            found = []
    except InfosecError as error:
        yield failed("tls", error)
        return
    for one in found:
        days = (one.not_after - now).days
        zh, en = f"{one.path.name}：剩余 {days} 天", f"{one.path.name}: {days} days left"
        if days < 7:
            yield wrong("tls", f"{zh}；infosec cert renew", f"{en}; infosec cert renew")
        elif one.is_due(now):
            yield warning("tls", f"{zh}；infosec cert renew", f"{en}; infosec cert renew")
        else:
            yield fine("tls", zh, en)
