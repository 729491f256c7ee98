"""The installation's CA, and the caller's name."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from infosec.certificates import (
    LEAF_LIFE,
    Authority,
    CallerKind,
    CallerName,
    CertificateFiles,
    caller_from_auth_context,
    caller_from_names,
    caller_from_pem,
    check_pair,
    expiries,
    expiry_of,
    load_certificate,
)
from infosec.errors import Misconfigured, Reason, Unauthenticated

# Today's date: the TLS library asks the machine's clock, not ours.
NOW = datetime.now(UTC).replace(microsecond=0)
CARRIER = "carrier.example"
BILLING = f"spiffe://{CARRIER}/system/billing"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create_or_load(tmp_path / "tls", carrier=CARRIER, now=NOW)


def handshake(server: CertificateFiles, client: CertificateFiles) -> bytes:
    """Both sides of a TLS connection in memory; the client's certificate as the server saw it."""
    accepting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(server.ca))
    accepting.verify_mode = ssl.CERT_REQUIRED
    accepting.load_cert_chain(server.certificate, server.key)
    calling = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(client.ca))
    calling.load_cert_chain(client.certificate, client.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = accepting.wrap_bio(to_server, to_client, server_side=True)
    other = calling.wrap_bio(to_client, to_server, server_hostname="localhost")
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (other, one):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert len(done) == 2
    shown = one.getpeercert(binary_form=True)
    assert shown is not None
    return ssl.DER_cert_to_PEM_cert(shown).encode()


def test_a_system_calls_a_service_and_is_known_by_name(authority: Authority) -> None:
    pem = handshake(authority.issue_service("auth", now=NOW), authority.issue_system("billing", now=NOW))
    assert caller_from_pem(pem, carrier=CARRIER) == CallerName(kind=CallerKind.SYSTEM, name="billing")


def test_a_service_calls_a_service(authority: Authority) -> None:
    files = authority.issue_service("auth", now=NOW)
    assert str(caller_from_pem(handshake(files, files), carrier=CARRIER)) == "service/auth"


def test_a_systems_certificate_serves_nobody(authority: Authority) -> None:
    files = authority.issue_system("billing", now=NOW)
    with pytest.raises(ssl.SSLError):
        handshake(files, files)


def test_another_installations_certificate_is_not_accepted(authority: Authority, tmp_path: Path) -> None:
    other = Authority.create_or_load(tmp_path / "other", carrier=CARRIER, now=NOW)
    stranger = other.issue_system("billing", now=NOW)
    server = authority.issue_service("auth", now=NOW)
    with pytest.raises(ssl.SSLError):
        handshake(server, CertificateFiles(certificate=stranger.certificate, key=stranger.key, ca=server.ca))


def test_certificates_say_what_they_are_for(authority: Authority) -> None:
    root = load_certificate(authority.directory / "ca.pem").extensions
    assert root.get_extension_for_class(x509.BasicConstraints).critical
    assert root.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    assert root.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    system = load_certificate(authority.issue_system("billing", now=NOW).certificate).extensions
    assert list(system.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not system.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not system.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    service = load_certificate(authority.issue_service("auth", now=NOW, hosts=["10.0.0.7", "auth.example"]).certificate)
    names = service.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "auth.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "10.0.0.7"]


def test_keys_are_for_their_owner_alone(authority: Authority) -> None:
    authority.issue_system("billing", now=NOW)
    assert {path.stat().st_mode & 0o777 for path in authority.directory.glob("*.key")} == {0o600}
    (authority.directory / "ca.key").chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        Authority.create_or_load(authority.directory, carrier=CARRIER, now=NOW)


def test_a_certificate_stays_until_a_third_of_its_life_is_left(authority: Authority) -> None:
    first = authority.issue_system("billing", now=NOW).certificate.read_bytes()
    young = NOW + LEAF_LIFE * 0.6
    again = Authority.create_or_load(authority.directory, carrier=CARRIER, now=young)
    assert again.issue_system("billing", now=young).certificate.read_bytes() == first
    assert again.renew(now=young) == []
    old = NOW + LEAF_LIFE * 0.7
    assert [files.certificate.name for files in again.renew(now=old)] == ["system-billing.pem"]
    files = again.issue_system("billing", now=old)
    assert files.certificate.read_bytes() != first
    assert expiry_of(files.certificate).not_after == old + LEAF_LIFE
    assert again.renew(now=old) == []


def test_a_renewed_service_keeps_its_hosts(authority: Authority) -> None:
    files = authority.issue_service("auth", now=NOW, hosts=["auth.example"])
    authority.renew(now=NOW + LEAF_LIFE)
    names = load_certificate(files.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "auth.example" in names.get_values_for_type(x509.DNSName)
    check_pair(files)


def test_a_certificate_of_a_former_ca_or_without_its_key_is_issued_anew(authority: Authority) -> None:
    files = authority.issue_system("billing", now=NOW)
    other = authority.issue_system("crm", now=NOW)
    files.key.write_bytes(other.key.read_bytes())
    check_pair(authority.issue_system("billing", now=NOW))
    for name in ("ca.pem", "ca.key"):
        (authority.directory / name).unlink()
    fresh = Authority.create_or_load(authority.directory, carrier=CARRIER, now=NOW)
    handshake(fresh.issue_service("auth", now=NOW), fresh.issue_system("billing", now=NOW))


def test_a_start_that_died_between_the_cas_two_files_goes_on(authority: Authority) -> None:
    (authority.directory / "ca.pem").unlink()
    again = Authority.create_or_load(authority.directory, carrier=CARRIER, now=NOW)
    handshake(again.issue_service("auth", now=NOW), again.issue_system("billing", now=NOW))


def test_half_a_ca_or_one_that_ran_out_is_refused(authority: Authority) -> None:
    with pytest.raises(Misconfigured, match="expired"):
        Authority.create_or_load(authority.directory, carrier=CARRIER, now=NOW + timedelta(days=3651))
    (authority.directory / "ca.key").unlink()
    with pytest.raises(Misconfigured, match="missing"):
        Authority.create_or_load(authority.directory, carrier=CARRIER, now=NOW)


def test_expiries_come_soonest_first(authority: Authority) -> None:
    authority.issue_system("billing", now=NOW)
    assert [expiry.path.name for expiry in expiries(authority.directory)] == ["system-billing.pem", "ca.pem"]
    assert expiries(authority.directory)[0].subject == BILLING


@pytest.mark.parametrize("name", ["", "Billing", "a/b", "a" * 33, "ä", "-x", "x\n"])
def test_a_name_that_does_not_fit_is_not_issued(authority: Authority, name: str) -> None:
    with pytest.raises(Misconfigured):
        authority.issue_system(name, now=NOW)


@pytest.mark.parametrize("carrier", ["", "Carrier.example", "a/b", "a..b", "a" * 33, "x."])
def test_a_carrier_that_is_no_domain_is_refused(tmp_path: Path, carrier: str) -> None:
    with pytest.raises(Misconfigured):
        Authority.create_or_load(tmp_path / "tls", carrier=carrier, now=NOW)


@pytest.mark.parametrize(
    ("uris", "common_name"),
    [
        ([], BILLING),
        ([BILLING], None),
        ([BILLING], "billing"),
        ([BILLING, f"spiffe://{CARRIER}/system/crm"], BILLING),
        ([BILLING, BILLING], BILLING),
        *(
            ([uri], uri)
            for uri in (
                "spiffe://other.example/system/billing",
                f"spiffe://{CARRIER}.evil.example/system/billing",
                f"spiffe://{CARRIER}/staff/billing",
                f"spiffe://{CARRIER}/system/",
                f"spiffe://{CARRIER}/system/a/b",
                f"spiffe://{CARRIER}/system/../service/auth",
                f"spiffe://{CARRIER}/system/Billing",
                f"spiffe://{CARRIER}/system/billing\n",
                f"https://{CARRIER}/system/billing",
                "system/billing",
                "",
            )
        ),
    ],
)
def test_names_that_are_not_exactly_one_of_ours_are_nobody(uris: list[str], common_name: str | None) -> None:
    with pytest.raises(Unauthenticated) as refused:
        caller_from_names(uris, common_name, carrier=CARRIER)
    assert refused.value.reason is Reason.CALLER_UNKNOWN


def test_a_grpc_connection_names_its_caller(authority: Authority) -> None:
    pem = authority.issue_system("billing", now=NOW).certificate.read_bytes()
    context = {"x509_pem_cert": [pem], "x509_common_name": [BILLING.encode()]}
    assert str(caller_from_auth_context(context, carrier=CARRIER)) == "system/billing"
    for broken in (
        {},
        {**context, "x509_common_name": [b"spiffe://carrier.example/system/crm"]},
        {**context, "x509_common_name": []},
        {**context, "x509_pem_cert": []},
        {**context, "x509_pem_cert": [b"not a certificate"]},
    ):
        with pytest.raises(Unauthenticated):
            caller_from_auth_context(broken, carrier=CARRIER)


def test_a_pair_that_does_not_belong_together_is_refused(authority: Authority) -> None:
    one, other = authority.issue_system("billing", now=NOW), authority.issue_system("crm", now=NOW)
    check_pair(one)
    with pytest.raises(Misconfigured):
        check_pair(CertificateFiles(certificate=one.certificate, key=other.key, ca=one.ca))
