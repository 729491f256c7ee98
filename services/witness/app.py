"""One serving witness: its files, its lock, its listener, and a clean end. Everything is made here from top to bottom."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from infosec.clock import Clock
from infosec.config import Address
from infosec.errors import AlreadyExists, Misconfigured, Reason
from infosec.keys import SigningKeys
from infosec.storage.embedded.instance import InstanceLock
from infosec.transparency.cosignatures import WitnessKey, WitnessSigner
from services.witness.config import WitnessConfig
from services.witness.http import application
from services.witness.state import KEY_KIND, WitnessFiles
from services.witness.witness import Witness

_GRACE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingWitness:
    """A witness that answers."""

    address: Address
    key: WitnessKey


def create(config: WitnessConfig, *, clock: Clock) -> WitnessKey:
    """Set up a new witness: a key, and an empty memory. Raises AlreadyExists."""
    keys = SigningKeys.generate(KEY_KIND, now=clock.now())
    try:
        WitnessFiles(config.data_dir).create(keys)
    except AlreadyExists:
        raise Misconfigured(
            Reason.ALREADY_INITIALISED,
            path=str(config.data_dir),
            detail="there is a witness already",
            hint="`infosec witness key` shows its key",
        ) from None
    return key_of(config)


def key_of(config: WitnessConfig) -> WitnessKey:
    """What cosignatures of this witness are verified with. Raises Misconfigured."""
    return _signer(config, WitnessFiles(config.data_dir)).key


@asynccontextmanager
async def serving(config: WitnessConfig, *, clock: Clock) -> AsyncIterator[ServingWitness]:
    """Answer while the block runs. Raises Misconfigured before a socket opens; ALREADY_RUNNING for a second one."""
    config.check()
    files = WitnessFiles(config.data_dir)
    signer = _signer(config, files)
    files.check(config.watched)
    lock = InstanceLock(files.lock)
    try:
        witness = Witness(config.watched, signer, files, clock)
        runner = web.AppRunner(application(witness), access_log=None)
        await runner.setup()
        try:
            yield ServingWitness(address=await _listen(runner, config), key=signer.key)
        finally:
            await runner.cleanup()
    finally:
        lock.release()


async def _listen(runner: web.AppRunner, config: WitnessConfig) -> Address:
    listen = config.listen
    site = web.TCPSite(runner, listen.host, listen.port, ssl_context=_tls(config))
    try:
        await site.start()
    except OSError:
        raise Misconfigured(
            Reason.CONFIGURATION, key="listen", detail=f"cannot listen on {listen}", hint="choose a free port"
        ) from None
    return Address(host=listen.host, port=runner.addresses[0][1])


def _tls(config: WitnessConfig) -> ssl.SSLContext | None:
    if config.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.tls.cert, config.tls.key)
    return context


def _signer(config: WitnessConfig, files: WitnessFiles) -> WitnessSigner:
    keys = files.load_keys()
    public = keys.public_keys()[keys.active.kid]
    return WitnessSigner(key=WitnessKey(name=config.name, public=public), sign_bytes=keys.sign)
