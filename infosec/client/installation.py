"""Where an installation on this machine keeps what a client needs: its CA and the certificates made at first start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from infosec.certificates import CertificateFiles
from infosec.errors import Misconfigured, Reason
from infosec.home import default_data_dir

DEFAULT_ADDRESS = "127.0.0.1:7443"
COMMAND_LINE = "cli"
"""The system name of the certificate that the first start makes for this machine's command line."""


def address_of(environment: Mapping[str, str] | None = None) -> str:
    """$INFOSEC_ADDRESS, or the default of a server on this machine."""
    return (environment if environment is not None else os.environ).get("INFOSEC_ADDRESS") or DEFAULT_ADDRESS


def certificate_files(
    *, home: Path | None = None, system: str = COMMAND_LINE, environment: Mapping[str, str] | None = None
) -> CertificateFiles:
    """$INFOSEC_CA, $INFOSEC_CERT and $INFOSEC_KEY, or what stands in the installation's directory for `system`.

    Raises Misconfigured, with what to do, where a file is missing.
    """
    given = environment if environment is not None else os.environ
    tls = (home or default_data_dir(given)) / "tls"
    files = CertificateFiles(
        ca=Path(given.get("INFOSEC_CA") or tls / "ca.pem"),
        certificate=Path(given.get("INFOSEC_CERT") or tls / f"system-{system}.pem"),
        key=Path(given.get("INFOSEC_KEY") or tls / f"system-{system}.key"),
    )
    for key, path in (("ca", files.ca), ("cert", files.certificate), ("key", files.key)):
        if not path.exists():
            raise Misconfigured(
                Reason.CONFIGURATION,
                key=key,
                path=str(path),
                detail="no such file",
                hint="start the server once, or set INFOSEC_HOME, or INFOSEC_CA, INFOSEC_CERT and INFOSEC_KEY",
            )
    return files
