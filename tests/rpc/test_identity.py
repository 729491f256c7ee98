"""Who may call: the certificate's name, the CA behind it, and the allow-list of each service."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infosec.certificates import CallerKind, CallerName, CertificateFiles
from infosec.errors import Internal, PermissionDenied, Reason, Unauthenticated, Unavailable, Unimplemented
from infosec.messages import Locale
from infosec.rpc.server.identity import caller_of
from infosec.rpc.status import from_rpc_error
from tests.sim.wire import BILLING, CARRIER, CHECK, LOGIN, Wire, make_authority, serving


def _forged(wire: Wire, folder: Path, *, uri: str | None, common_name: str) -> CertificateFiles:
    """A certificate that our CA signed, with names as told."""
    ca = wire.files().ca
    ca_key = serialization.load_pem_private_key(ca.with_suffix(".key").read_bytes(), password=None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(x509.load_pem_x509_certificate(ca.read_bytes()).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if uri is not None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(ca_key, hashes.SHA256())  # type: ignore[arg-type]
    files = CertificateFiles(certificate=folder / "forged.pem", key=folder / "forged.key", ca=ca)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


async def test_a_handler_learns_who_calls_and_in_which_language(wire: Wire) -> None:
    async with wire.suite(locale="en") as suite:
        await suite.login.login("li.na", "secret-1", terminal_id="t1")
    (caller,) = wire.login.login.callers
    assert (caller.id, caller.name, caller.locale) == (BILLING, "billing", Locale.EN)
    assert caller.peer.startswith("ipv4:127.0.0.1:")


def test_outside_of_a_call_there_is_no_caller() -> None:
    with pytest.raises(Internal):
        caller_of(object())


@pytest.mark.parametrize(
    ("uri", "common_name"),
    [
        (f"spiffe://{CARRIER}/system/billing", f"spiffe://{CARRIER}/system/crm"),
        (None, f"spiffe://{CARRIER}/system/billing"),
        ("spiffe://other.example/system/billing", "spiffe://other.example/system/billing"),
        (f"spiffe://{CARRIER}/person/billing", f"spiffe://{CARRIER}/person/billing"),
    ],
)
@pytest.mark.rule("CI-1")
async def test_names_that_are_not_exactly_one_of_ours_are_refused_and_recorded(
    wire: Wire, tmp_path: Path, uri: str | None, common_name: str
) -> None:
    async with wire.channel(_forged(wire, tmp_path, uri=uri, common_name=common_name)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{LOGIN}/Login")(b"", timeout=10)
    error = from_rpc_error(caught.value)
    assert isinstance(error, Unauthenticated)
    assert error.reason is Reason.CALLER_UNKNOWN
    assert wire.login.login.calls == 0
    assert [(r.caller, r.method, r.reason) for r in wire.refusals] == [(None, f"/{LOGIN}/Login", Reason.CALLER_UNKNOWN)]


async def test_a_certificate_of_another_ca_does_not_connect(wire: Wire, tmp_path: Path) -> None:
    stranger = make_authority(tmp_path / "other").issue_system("billing", now=datetime.now(UTC))
    files = CertificateFiles(certificate=stranger.certificate, key=stranger.key, ca=wire.files().ca)
    async with wire.channel(files) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{LOGIN}/Login")(b"", timeout=10)
    assert isinstance(from_rpc_error(caught.value), Unavailable)
    assert wire.login.login.calls == 0


async def test_a_server_of_another_ca_is_not_trusted(wire: Wire, tmp_path: Path) -> None:
    async with wire.suite(authority=make_authority(tmp_path / "other")) as suite:
        with pytest.raises(Unavailable):
            await suite.login.login("li.na", "secret-1", terminal_id="t1")


@pytest.mark.rule("CI-1")
async def test_who_is_not_on_a_services_list_is_refused_and_recorded(wire: Wire) -> None:
    async with wire.suite("crm") as suite:
        with pytest.raises(PermissionDenied) as caught:
            await suite.login.login("li.na", "secret-1", terminal_id="t1")
    assert (caught.value.reason, caught.value.details["detail"]) == (Reason.CALLER_NOT_ALLOWED, LOGIN)
    assert [(r.caller, r.reason, r.count) for r in wire.refusals] == [("system/crm", Reason.CALLER_NOT_ALLOWED, 1)]


async def test_a_service_without_a_list_is_closed_to_everybody(tmp_path: Path) -> None:
    async with serving(tmp_path, allow={LOGIN: frozenset({BILLING})}) as wire, wire.suite() as suite:
        await suite.login.login("li.na", "secret-1", terminal_id="t1")
        with pytest.raises(PermissionDenied):
            await suite.check.check("t", "1500", store_id="s1", terminal_id="t1")


@pytest.mark.rule("CI-1")
async def test_methods_that_do_not_exist_are_recorded_under_one_label(wire: Wire) -> None:
    for path in (f"/{LOGIN}/Logon", "/no.such.Service/Method", f"/{LOGIN}/StepUp"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.raw(path, b"")
        assert isinstance(from_rpc_error(caught.value), Unimplemented)
    assert [(r.caller, r.reason) for r in wire.refusals] == [(BILLING, Reason.UNIMPLEMENTED)] * 3
    labels = {"method": "unknown", "grpc_code": "UNIMPLEMENTED", "reason": "UNIMPLEMENTED"}
    assert wire.registry.get_sample_value("infosec_rpc_calls_total", labels) == 2


async def test_the_allow_list_covers_streams(tmp_path: Path) -> None:
    async with serving(tmp_path, allow={CHECK: frozenset()}) as wire, wire.suite() as suite:
        with pytest.raises(PermissionDenied):
            async for _answer in suite.check.watch_snapshot():
                pass


async def test_a_renewed_certificate_is_served_without_a_restart(wire: Wire) -> None:
    files = wire.authority.files(CallerName(kind=CallerKind.SERVICE, name="authd"))
    before = files.certificate.read_bytes()
    wire.authority.issue_service("authd", now=datetime.now(UTC) + timedelta(days=80))
    assert files.certificate.read_bytes() != before
    served = await asyncio.to_thread(_served_certificate, wire)
    assert served == x509.load_pem_x509_certificate(files.certificate.read_bytes())


def _served_certificate(wire: Wire) -> x509.Certificate:
    mine = wire.files()
    context = ssl.create_default_context(cafile=str(mine.ca))
    context.load_cert_chain(mine.certificate, mine.key)
    context.set_alpn_protocols(["h2"])
    # A certificate from the future has begun already: its start is the only thing not under test.
    context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, False
    context.verify_flags |= 0x200000
    with (
        socket.create_connection(("127.0.0.1", wire.server.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        der = secure.getpeercert(binary_form=True)
        assert der
        return x509.load_der_x509_certificate(der)
