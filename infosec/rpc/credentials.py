"""Mutual TLS from file paths, and the channel options of both sides. There is no mode without verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import grpc

from infosec.certificates import CertificateFiles, check_pair
from infosec.errors import Misconfigured, Reason

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Above this the transport answers; below it our own limits do, and name the field."""

Options = Sequence[tuple[str, int | str]]


def server_credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Accepts only clients whose certificate the CA signed; takes renewed files at the next connection.

    Raises Misconfigured for a file that cannot be read. Files that do not fit together later leave the old ones in use.
    """
    current = _Current(files)
    # gRPC takes None as "nothing new"; its stubs do not know that.
    renewed = cast("Callable[[], grpc.ServerCertificateConfiguration]", current.renewed)
    return grpc.dynamic_ssl_server_credentials(current.configuration(), renewed, require_client_authentication=True)


class _Current:
    """The server's files as last read. gRPC asks at every handshake, from a thread of its own."""

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._stamp = self._stamps()

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        ca, cert, key = _read(self._files)
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)

    def renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What changed on the disk, once it is whole; None where nothing did."""
        stamp = self._stamps()
        if stamp == self._stamp:
            return None
        try:
            # A renewal writes key and certificate one after the other: between the two they do not fit.
            check_pair(self._files)
            configuration = self.configuration()
        except Misconfigured:
            return None
        self._stamp = stamp
        return configuration

    def _stamps(self) -> tuple[int, ...]:
        paths = (self._files.ca, self._files.certificate, self._files.key)
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def channel_credentials(files: CertificateFiles) -> grpc.ChannelCredentials:
    """Trusts only this CA, and shows our certificate. Raises Misconfigured for a file that cannot be read."""
    ca, cert, key = _read(files)
    return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)


def client_options(*, server_name: str | None = None) -> Options:
    """Options of a client's channel. `server_name`: what the server's certificate says, where the address differs."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", 4 * MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.max_reconnect_backoff_ms", 3_000),
        # Whether a call is repeated is decided by us, per method; nobody's DNS may say otherwise.
        ("grpc.service_config_disable_resolution", 1),
    ]
    if server_name is not None:
        options.append(("grpc.ssl_target_name_override", server_name))
    return options


def server_options(*, max_connection_age_s: int, max_connection_grace_s: int, shares_port: bool) -> Options:
    """Options of a server: bounded messages, connections that are renewed, no sharing of a port that nobody asked for."""
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", 4 * MAX_MESSAGE_BYTES),
        ("grpc.max_connection_age_ms", max_connection_age_s * 1000),
        ("grpc.max_connection_age_grace_ms", max_connection_grace_s * 1000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.so_reuseport", int(shares_port)),
    ]


def _read(files: CertificateFiles) -> tuple[bytes, bytes, bytes]:
    return _content("ca", files.ca), _content("cert", files.certificate), _content("key", files.key)


def _content(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Misconfigured(
            Reason.CONFIGURATION, key=name, path=str(path), detail="cannot be read", hint="name a readable PEM file"
        ) from None
