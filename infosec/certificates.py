"""The installation's own certificate authority, and the name in a caller's certificate.

ECDSA P-256 throughout. A name is `spiffe://<carrier>/system/<name>` or `.../service/<name>`, as the only URI in the
subject alternative names and again, identical, as the common name: servers differ in which of the two they show.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infosec.errors import Misconfigured, Reason, Unauthenticated
from infosec.private_files import locked, private_directory, read_private, write_private

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
CLOCK_SKEW = timedelta(minutes=5)
MAX_COMMON_NAME = 64
"""RFC 5280, ub-common-name: carrier and name together must fit."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_LOOPBACK = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)


class CallerKind(StrEnum):
    """A store system that calls us, or a service of the suite."""

    SYSTEM = "system"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerName:
    """Who a certificate says is calling; written `system/billing-front`."""

    kind: CallerKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def uri(self, carrier: str) -> str:
        """The name as it stands in a certificate of this carrier."""
        return f"spiffe://{carrier}/{self}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """What one side of a TLS connection needs: its chain, its key, and whom it trusts."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """How long a certificate holds."""

    path: Path
    subject: str
    not_before: datetime
    not_after: datetime

    def is_due(self, now: datetime) -> bool:
        """Less than a third of its life is left: renew it."""
        return self.not_after - now < (self.not_after - self.not_before) / 3


class Authority:
    """The CA of one installation, in one directory: `ca.pem`, `ca.key`, `<kind>-<name>.pem`, `<kind>-<name>.key`."""

    def __init__(self, directory: Path, carrier: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey):
        self.directory = directory
        self.carrier = carrier
        self._certificate = certificate
        self._key = key

    @classmethod
    def create_or_load(cls, directory: Path, *, carrier: str, now: datetime) -> Authority:
        """The CA that is there, or a new one. Raises Misconfigured when half of it is missing or it has run out."""
        check_carrier(carrier)
        private_directory(directory)
        certificate_path, key_path = directory / "ca.pem", directory / "ca.key"
        with locked(directory):
            if not key_path.exists():
                if certificate_path.exists():
                    raise _broken(key_path, "the CA's key is missing", "restore it, or remove ca.pem for a new CA")
                write_private(key_path, _key_pem(ec.generate_private_key(ec.SECP256R1())))
            key = _load_key(key_path)
            if not certificate_path.exists():
                write_private(certificate_path, _pem(_self_signed(carrier, key, now)), mode=0o644)
        certificate = load_certificate(certificate_path)
        if certificate.public_key() != key.public_key():
            raise _broken(certificate_path, "does not belong to ca.key", "restore both from the same backup")
        if now >= certificate.not_valid_after_utc:
            raise _broken(certificate_path, "the CA has expired", "remove ca.pem and ca.key, and issue everything anew")
        return cls(directory, carrier, certificate, key)

    def issue_service(self, name: str, *, now: datetime, hosts: Iterable[str] = ()) -> CertificateFiles:
        """Certificate of a service: serves on loopback (and `hosts`), and calls other services. Renewed when due."""
        return self._ensure(CallerName(kind=CallerKind.SERVICE, name=name), now, (*_LOOPBACK, *map(_host, hosts)))

    def issue_system(self, name: str, *, now: datetime) -> CertificateFiles:
        """Client certificate of a calling system. The same one as before, unless it is due or does not fit any more."""
        return self._ensure(CallerName(kind=CallerKind.SYSTEM, name=name), now, ())

    def files(self, caller: CallerName) -> CertificateFiles:
        """Where the files of a name are, whether or not they exist."""
        stem = f"{caller.kind}-{caller.name}"
        return CertificateFiles(
            certificate=self.directory / f"{stem}.pem",
            key=self.directory / f"{stem}.key",
            ca=self.directory / "ca.pem",
        )

    def renew(self, *, now: datetime) -> list[CertificateFiles]:
        """Renew every issued certificate with less than a third of its life left; answers with those renewed."""
        renewed = []
        for expiry in expiries(self.directory):
            if expiry.path.name == "ca.pem" or not expiry.is_due(now):
                continue
            old = load_certificate(expiry.path)
            caller = caller_from_certificate(old, self.carrier)
            renewed.append(self._ensure(caller, now, _served(old)))
        return renewed

    def _ensure(self, caller: CallerName, now: datetime, served: tuple[x509.GeneralName, ...]) -> CertificateFiles:
        uri = _checked_uri(caller, self.carrier)
        files = self.files(caller)
        with locked(self.directory):
            if not self._still_fits(files, uri, now, served):
                key = ec.generate_private_key(ec.SECP256R1())
                # The key first: a certificate without its key would look whole; the other way round is issued anew.
                write_private(files.key, _key_pem(key))
                certificate = self._signed(uri, key.public_key(), now, served)
                write_private(files.certificate, _pem(certificate), mode=0o644)
        return files

    def _still_fits(
        self, files: CertificateFiles, uri: str, now: datetime, served: tuple[x509.GeneralName, ...]
    ) -> bool:
        if not (files.certificate.exists() and files.key.exists()):
            return False
        certificate, key = load_certificate(files.certificate), _load_key(files.key)
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (InvalidSignature, ValueError):
            return False
        return (
            certificate.public_key() == key.public_key()
            and _common_name(certificate) == uri
            and set(_served(certificate)) == set(served)
            and not expiry_of(files.certificate).is_due(now)
        )

    def _signed(
        self, uri: str, public: ec.EllipticCurvePublicKey, now: datetime, served: tuple[x509.GeneralName, ...]
    ) -> x509.Certificate:
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if served:
            uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
        issuer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            _builder(uri, public, now, min(now + LEAF_LIFE, self._certificate.not_valid_after_utc))
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *served]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def expiry_of(path: Path) -> Expiry:
    """How long the certificate in a PEM file holds."""
    certificate = load_certificate(path)
    return Expiry(
        path=path,
        subject=_common_name(certificate) or certificate.subject.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def expiries(directory: Path) -> list[Expiry]:
    """Every certificate in `directory`, the CA's included, soonest end first."""
    return sorted((expiry_of(path) for path in directory.glob("*.pem")), key=lambda expiry: expiry.not_after)


def load_certificate(path: Path) -> x509.Certificate:
    """The first certificate in a PEM file. Raises Misconfigured for anything else."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise _broken(path, "not a readable PEM certificate", "check the path and the file") from None


def check_pair(files: CertificateFiles) -> None:
    """That the three files are there, private where they must be, and belong together. Raises Misconfigured."""
    load_certificate(files.ca)
    load_certificate(files.certificate)
    read_private(files.key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (ssl.SSLError, OSError):
        raise _broken(
            files.key, "not the key of the certificate", "give the unencrypted PEM key made with it"
        ) from None


def caller_from_auth_context(auth_context: Mapping[str, Iterable[bytes]], *, carrier: str) -> CallerName:
    """The caller of a gRPC connection, from the certificate that the transport verified.

    Raises Unauthenticated(CALLER_UNKNOWN) where there is no certificate, or its names are not exactly one of ours.
    """
    pems = tuple(auth_context.get("x509_pem_cert", ()))
    if len(pems) != 1:
        raise _unknown()
    caller = caller_from_pem(pems[0], carrier=carrier)
    shown = [value.decode("utf-8", "replace") for value in auth_context.get("x509_common_name", ())]
    if shown != [caller.uri(carrier)]:
        raise _unknown()
    return caller


@lru_cache(maxsize=1024)
def caller_from_pem(pem: bytes, *, carrier: str) -> CallerName:
    """The caller named in a verified PEM certificate. Remembered: a connection shows the same one at every call."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise _unknown() from None
    return caller_from_certificate(certificate, carrier)


def caller_from_certificate(certificate: x509.Certificate, carrier: str) -> CallerName:
    """As `caller_from_names`, for a certificate that is already parsed."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise _unknown() from None
    return caller_from_names(uris, _common_name(certificate), carrier=carrier)


def caller_from_names(uris: Iterable[str], common_name: str | None, *, carrier: str) -> CallerName:
    """The caller for the URIs and the common name of a verified certificate: one URI, of our carrier, and the same."""
    given = tuple(uris)
    if len(given) != 1 or given[0] != common_name:
        raise _unknown()
    prefix = f"spiffe://{carrier}/"
    kind, _, name = given[0].removeprefix(prefix).partition("/")
    if not given[0].startswith(prefix) or kind not in tuple(CallerKind) or not _NAME.fullmatch(name):
        raise _unknown()
    return CallerName(kind=CallerKind(kind), name=name)


def check_carrier(carrier: str) -> None:
    """A carrier's name is a lower-case DNS name, short enough to leave room for a caller's. Raises Misconfigured."""
    if not _LABEL.fullmatch(carrier) or len(carrier) > 32:
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="server.carrier",
            detail="not a lower-case DNS name of at most 32 characters",
            hint="give the carrier's domain, such as carrier.example",
        )


def _checked_uri(caller: CallerName, carrier: str) -> str:
    uri = caller.uri(carrier)
    if not _NAME.fullmatch(caller.name) or len(uri) > MAX_COMMON_NAME:
        room = MAX_COMMON_NAME - len(uri) + len(caller.name)
        raise Misconfigured(
            Reason.CONFIGURATION,
            key="name",
            detail="no such name for a certificate",
            hint=f"1 to {room} of a-z 0-9 . _ -",
        )
    return uri


def _self_signed(carrier: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = f"{carrier} infosec installation CA"
    return (
        _builder(name, key.public_key(), now, now + CA_LIFE)
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(name: str, public: ec.EllipticCurvePublicKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _served(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """The hosts that a certificate serves: its alternative names but the URI."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(name for name in names if not isinstance(name, x509.UniformResourceIdentifier))


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _common_name(certificate: x509.Certificate) -> str | None:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else None


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError):
        raise _broken(path, "not an unencrypted PEM key", "restore it from the backup") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _broken(path, "not an elliptic-curve key", "restore it from the backup")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _unknown() -> Unauthenticated:
    return Unauthenticated(Reason.CALLER_UNKNOWN)


def _broken(path: Path, detail: str, hint: str) -> Misconfigured:
    return Misconfigured(Reason.CONFIGURATION, path=str(path), detail=detail, hint=hint)
