"""Mutual TLS from file paths, and the channel options of both sides. There is no mode without verification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from infosec.certificates import CertificateFiles
from infosec.errors import Misconfigured, Reason

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Above this the transport answers; below it our own limits do, and name the field."""

Options = Sequence[tuple[str, int | str]]


def server_credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Accepts only clients whose certificate the CA signed. Raises Misconfigured for a file that cannot be read."""
    ca, cert, key = _read(files)
    return grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=True)


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


def server_options(*, max_connection_age_s: int, max_connection_grace_s: int) -> Options:
    """Options of a server: bounded messages, connections that are renewed, no silent sharing of a port."""
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", 4 * MAX_MESSAGE_BYTES),
        ("grpc.max_connection_age_ms", max_connection_age_s * 1000),
        ("grpc.max_connection_age_grace_ms", max_connection_grace_s * 1000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.so_reuseport", 0),
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
