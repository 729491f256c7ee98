"""What a witness is told: its name, where it listens, where it keeps its state, and which logs it watches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from infosec.certificates import CertificateFiles, check_pair
from infosec.config import Address, FilePath, Log, Section, load_file, parse_address
from infosec.errors import Misconfigured, Reason
from infosec.transparency.errors import NotVerified
from infosec.transparency.notes import NoteKey, check_key

_NO_KEY = bytes(32)


def _log_key(raw: object) -> object:
    try:
        return NoteKey.parse(raw) if isinstance(raw, str) else raw
    except NotVerified:
        raise ValueError("should be a log's verifier key, as `infosec audit-log keys` prints it") from None


def _name(raw: object) -> object:
    try:
        if isinstance(raw, str):
            check_key(raw, _NO_KEY)
    except NotVerified:
        raise ValueError("should be a name without spaces and without +") from None
    return raw


def _as_tuple(raw: object) -> object:
    return tuple(raw) if isinstance(raw, list) else raw


class WitnessTls(Section):
    """The witness's certificate; without it the witness listens on loopback only."""

    cert: FilePath
    key: FilePath


class WatchedLog(Section):
    """A log to cosign, and the keys that it may be signed with: two while they change over."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    origin: Annotated[str, Field(min_length=1, max_length=255)]
    keys: Annotated[
        tuple[Annotated[NoteKey, BeforeValidator(_log_key)], ...], BeforeValidator(_as_tuple), Field(min_length=1)
    ]


class WitnessConfig(Section):
    """One witness."""

    name: Annotated[str, BeforeValidator(_name), Field(max_length=255)]
    """As a schema-less URL: `witness.east.example/audit`."""
    listen: Annotated[Address, BeforeValidator(parse_address)] = Address(host="127.0.0.1", port=7470)
    data_dir: FilePath
    """Its key and what it has cosigned; backed up together with nothing of the logs'."""
    tls: WitnessTls | None = None
    log: Log = Field(default_factory=Log)
    logs: Annotated[tuple[WatchedLog, ...], BeforeValidator(_as_tuple)] = ()

    @model_validator(mode="after")
    def _one_of_each(self) -> WitnessConfig:
        if len({one.origin for one in self.logs}) < len(self.logs):
            raise ValueError("an origin stands twice: name all keys of a log in one place")
        return self

    @classmethod
    def load(cls, path: Path) -> WitnessConfig:
        """The file. Raises Misconfigured naming every key that is wrong."""
        return load_file(cls, path)

    @property
    def watched(self) -> Mapping[str, tuple[NoteKey, ...]]:
        """The keys of each origin."""
        return {one.origin: one.keys for one in self.logs}

    def check(self) -> None:
        """Look at everything that can be looked at without opening a socket. Raises Misconfigured."""
        if self.tls is not None:
            check_pair(CertificateFiles(certificate=self.tls.cert, key=self.tls.key, ca=self.tls.cert))
        elif not self.listen.is_loopback:
            raise Misconfigured(
                Reason.CONFIGURATION,
                key="listen",
                detail="beyond loopback without a certificate",
                hint="set tls.cert and tls.key, or listen on 127.0.0.1",
            )
