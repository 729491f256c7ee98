"""Channels for load: requests are spelled before the clock runs and answers read after it, so that the generator takes little."""

from __future__ import annotations

from pathlib import Path

import grpc

from infosec.certificates import CertificateFiles
from infosec.rpc.credentials import channel_credentials, client_options


def channel(port: int, *, ca: str, cert: str, key: str) -> grpc.aio.Channel:
    """A connection of its own to a server of the site; its calls take and give bytes."""
    files = CertificateFiles(ca=Path(ca), certificate=Path(cert), key=Path(key))
    options = [*client_options(server_name="localhost"), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", channel_credentials(files), options=options)
