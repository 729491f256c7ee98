"""The configuration: one TOML file over defaults, frozen, typed, strict. Secrets stand in it as paths only.

Shapes that several parts share live here; imports no service. `check()` finds what is wrong before a socket opens.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails

from infosec.certificates import CallerKind, CertificateFiles, check_carrier, check_pair, load_certificate
from infosec.errors import InfosecError, InvalidInput, Misconfigured, Reason
from infosec.home import default_data_dir as default_data_dir
from infosec.ids import node_id
from infosec.private_files import read_secret
from infosec.secret import Secret
from infosec.transparency.cosignatures import WitnessKey
from infosec.transparency.errors import NotVerified

OWASP_FLOORS = ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))
"""Memory in KiB and passes of argon2id, any one of which is enough (OWASP Password Storage Cheat Sheet)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; a name other than localhost could be anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_address(raw: object) -> Address:
    """`127.0.0.1:7443`, `[::1]:7443`, `localhost:7443`. Raises ValueError."""
    if isinstance(raw, Address):
        return raw
    host, colon, port = raw.rpartition(":") if isinstance(raw, str) else ("", "", "")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("should be host:port")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare) != (bare != host):
        raise ValueError("should be host:port, an IPv6 host in brackets")
    return Address(host=bare, port=int(port))


def _path(raw: object, info: ValidationInfo) -> object:
    """Paths are relative to the file that names them."""
    if not isinstance(raw, str | Path):
        return raw
    return Path((info.context or {}).get("base", ".")).absolute() / Path(raw).expanduser()


FilePath = Annotated[Path, BeforeValidator(_path)]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class Section(BaseModel):
    """A part of a configuration: frozen, and strict about what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Server(Section):
    """Where this process listens and keeps its files."""

    listen: Annotated[Address, BeforeValidator(parse_address)] = Address(host="127.0.0.1", port=7443)
    shares_port: bool = False
    """Whether other processes of the same parts listen at this address too: the system spreads connections over them."""
    metrics_listen: Annotated[Address | None, BeforeValidator(lambda raw: raw and parse_address(raw))] = None
    data_dir: FilePath = Field(default_factory=lambda: default_data_dir(os.environ))
    carrier: str = "carrier.example"

    @property
    def open_to_others(self) -> list[str]:
        """The keys of the addresses that are beyond loopback."""
        addresses = {"listen": self.listen, "metrics_listen": self.metrics_listen}
        return [key for key, address in addresses.items() if address is not None and not address.is_loopback]

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def tls_dir(self) -> Path:
        return self.data_dir / "tls"

    @property
    def audit_dir(self) -> Path:
        """What the audit service keeps outside of its database."""
        return self.data_dir / "audit"

    @property
    def spool_dir(self) -> Path:
        """Records of checks on their way to the audit service; a folder for each process."""
        return self.data_dir / "spool"


class Postgres(Section):
    """A PostgreSQL of the installation's; without this section the suite runs its own."""

    host: Host
    """A name, an address, or the folder of a Unix socket."""
    port: Port = 5432
    dbname: Name = "infosec"
    tls_ca: FilePath | None = None
    admin_user: Name = "postgres"
    admin_password_file: FilePath | None = None
    """For migrations only; a serving process needs none."""
    role_password_files: Mapping[Name, FilePath] = Field(default_factory=dict)
    """Login role of a service -> file with its password."""
    pool_max: Annotated[int, Field(ge=2, le=200)] = 16

    def admin_password(self) -> Secret:
        """The administrator's password. Raises Misconfigured where none is configured."""
        if self.admin_password_file is None:
            raise _wrong("postgres.admin_password_file", "is needed for this command", "name a file of mode 0600")
        return read_secret(self.admin_password_file)

    def role_password(self, role: str) -> Secret:
        """The password of a service's login role. Raises Misconfigured where none is configured."""
        path = self.role_password_files.get(role)
        if path is None:
            raise _wrong(f"postgres.role_password_files.{role}", "is missing", "name a file of mode 0600")
        return read_secret(path)


class Redis(Section):
    """Speed only: everything works without. No host means the suite's own, if there is one to run."""

    enabled: bool = True
    host: Host | None = None
    port: Port = 6379
    db: Annotated[int, Field(ge=0, le=1023)] = 0
    username: Name = "default"
    password_file: FilePath | None = None
    tls_ca: FilePath | None = None

    @property
    def mode(self) -> Literal["off", "embedded", "external"]:
        if not self.enabled:
            return "off"
        return "embedded" if self.host is None else "external"

    def password(self) -> Secret | None:
        """The password, if one is configured."""
        return None if self.password_file is None else read_secret(self.password_file)


class Hashing(Section):
    """Cost of argon2id and how much of it runs at once."""

    memory_kib: Annotated[int, Field(ge=64, le=4_194_304)] = 19456
    time_cost: Annotated[int, Field(ge=1, le=64)] = 2
    parallelism: Annotated[int, Field(ge=1, le=16)] = 1
    workers: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=lambda: os.cpu_count() or 1)
    queue_limit: Annotated[int, Field(ge=1, le=100_000)] = 256

    @property
    def is_below_owasp(self) -> bool:
        """Less is for trying things out on loopback."""
        return not any(self.memory_kib >= memory and self.time_cost >= passes for memory, passes in OWASP_FLOORS)


class Profile(Section):
    """Which named set of thresholds is in force."""

    name: Name = "telecom-hall"


class Tls(Section):
    """Certificates of the installation's own PKI; without this section the suite makes its own."""

    ca: FilePath
    cert: FilePath
    key: FilePath

    @property
    def files(self) -> CertificateFiles:
        return CertificateFiles(certificate=self.cert, key=self.key, ca=self.ca)


class Callers(Section):
    """Who may call which RPC service, by the name in the client certificate."""

    allow: Mapping[str, Annotated[list[str], Field(strict=True)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> Callers:
        for names in self.allow.values():
            for name in names:
                _caller(name)
        return self

    def allowed(self, service: str) -> frozenset[str]:
        """Callers of an RPC service as `system/<name>` or `service/<name>`; nobody is allowed by silence."""
        return frozenset(_caller(name) for name in self.allow.get(service, ()))


class Log(Section):
    """How much is told."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Notify(Section):
    """Which gateway carries the SMS; `sink` keeps them, for the loopback demo."""

    gateway: Name = "sink"


def url_of_witness(raw: object) -> object:
    """`https://...`, or `http://` to this machine: what a witness says must come from it. Raises ValueError."""
    if not isinstance(raw, str):
        return raw
    try:
        url = urlsplit(raw)
        host = url.hostname or ""
        has_more = bool(url.username or url.password or url.query or url.fragment or url.port == 0)
    except ValueError:
        raise ValueError("should be https://host:port/prefix") from None
    if url.scheme not in ("https", "http") or not host or has_more:
        raise ValueError("should be https://host:port/prefix")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError("should be https:// beyond this machine")
    return raw


def witness_key(raw: object) -> object:
    """A C2SP verifier key for cosignatures (type 4). Raises ValueError."""
    try:
        return WitnessKey.parse(raw) if isinstance(raw, str) else raw
    except NotVerified:
        raise ValueError("should be a witness's verifier key, as `infosec witness key` prints it") from None


def _as_tuple(raw: object) -> object:
    return tuple(raw) if isinstance(raw, list) else raw


class AuditWitness(Section):
    """A witness that cosigns the checkpoints of the audit logs."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    url: Annotated[str, BeforeValidator(url_of_witness)]
    """Its submission prefix; `/add-checkpoint` is put behind it."""
    key: Annotated[WitnessKey, BeforeValidator(witness_key)]
    ca: FilePath | None = None
    """What its certificate is verified with, instead of the system's authorities."""
    logs: Annotated[tuple[Name, ...], BeforeValidator(_as_tuple)] = ()
    """The logs (regions) that it watches; all where none is named."""


class Audit(Section):
    """The audit logs: how often they are signed, and who cosigns."""

    address: Annotated[Address | None, BeforeValidator(lambda raw: raw and parse_address(raw))] = None
    """Where they are served; for processes that do not serve them themselves."""
    checkpoint_interval_s: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    witnesses: Annotated[tuple[AuditWitness, ...], BeforeValidator(_as_tuple)] = ()
    terms: Mapping[str, Annotated[int, Field(ge=184, le=36_600)]] = Field(default_factory=dict)
    """Days for which events of a type are kept, where they differ from docs/events.md; six months at least."""

    @model_validator(mode="after")
    def _distinct(self) -> Audit:
        # One key under two names would let one witness count twice.
        if len({one.key.public for one in self.witnesses}) < len(self.witnesses):
            raise ValueError("each witness should have a key of its own")
        if len({one.key.name for one in self.witnesses}) < len(self.witnesses):
            raise ValueError("each witness should have a name of its own")
        return self


class Config(Section):
    """Everything a server process is told."""

    server: Server = Field(default_factory=Server)
    postgres: Postgres | None = None
    redis: Redis = Field(default_factory=Redis)
    hashing: Hashing = Field(default_factory=Hashing)
    profile: Profile = Field(default_factory=Profile)
    tls: Tls | None = None
    callers: Callers = Field(default_factory=Callers)
    log: Log = Field(default_factory=Log)
    notify: Notify = Field(default_factory=Notify)
    audit: Audit = Field(default_factory=Audit)

    @classmethod
    def load(cls, path: Path | None = None) -> Config:
        """The file over the defaults, or the defaults. Raises Misconfigured naming every key that is wrong."""
        return cls() if path is None else load_file(cls, path)

    @classmethod
    def from_mapping(cls, document: Mapping[str, object], *, base: Path | None = None) -> Config:
        """As `load`, from what the file says; relative paths are taken from `base`."""
        return validated(cls, document, base=base)

    def check(self) -> None:
        """Look at everything that can be looked at without opening a socket. Raises Misconfigured naming every key."""
        problems = list(_problems(self))
        if problems:
            raise _first(problems)


Document = TypeVar("Document", bound=BaseModel)


def load_file(model: type[Document], path: Path) -> Document:
    """A TOML file as a model of this strictness. Raises Misconfigured naming every key that is wrong."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise Misconfigured(
            Reason.CONFIGURATION, path=str(path), detail="cannot be read", hint="check --config"
        ) from None
    except tomllib.TOMLDecodeError as error:
        # The position only: the parser may quote the file.
        where = str(error).rpartition("(")[2].rstrip(")")
        raise Misconfigured(
            Reason.CONFIGURATION, path=str(path), detail=f"not TOML, {where}", hint="correct that line"
        ) from None
    return validated(model, document, base=path.absolute().parent)


def validated(model: type[Document], document: Mapping[str, object], *, base: Path | None = None) -> Document:
    """What a file says, as a model; relative paths are taken from `base`. Raises Misconfigured."""
    try:
        return model.model_validate(dict(document), context={"base": base or Path.cwd()})
    except ValidationError as error:
        raise _first([_explained(found, model) for found in error.errors(include_input=False)]) from None


@dataclass(frozen=True, slots=True)
class _Problem:
    key: str
    detail: str
    hint: str

    def __str__(self) -> str:
        return f"{self.key}: {self.detail} ({self.hint})"


def _problems(config: Config) -> Iterator[_Problem]:
    yield from _exposure(config)
    yield from _tried("server.carrier", lambda: check_carrier(config.server.carrier))
    if config.tls is not None:
        files = config.tls.files
        yield from _tried("tls", lambda: check_pair(files))
    if config.postgres is not None:
        yield from _postgres(config.postgres)
    if config.redis.mode == "external":
        yield from _redis(config.redis)
    for number, witness in enumerate(config.audit.witnesses):
        if (ca := witness.ca) is not None:
            yield from _tried(f"audit.witnesses.{number}.ca", partial(load_certificate, ca))


def _exposure(config: Config) -> Iterator[_Problem]:
    """What is made for one machine stays on it."""
    for key in config.server.open_to_others:
        if config.tls is None:
            yield _Problem(
                f"server.{key}",
                "beyond loopback with the installation's own certificates",
                "set tls.ca, tls.cert and tls.key, or listen on 127.0.0.1",
            )
    if config.server.open_to_others and config.hashing.is_below_owasp:
        yield _Problem("hashing.memory_kib", "below OWASP's floor", "at least 19456 KiB with time_cost 2")


def _postgres(postgres: Postgres) -> Iterator[_Problem]:
    local = postgres.host.startswith("/") or is_loopback(postgres.host)
    if not local and postgres.tls_ca is None:
        yield _Problem("postgres.tls_ca", "is needed for a server on another machine", "name its CA's PEM file")
    if (ca := postgres.tls_ca) is not None:
        yield from _tried("postgres.tls_ca", lambda: load_certificate(ca))
    if postgres.admin_password_file is not None:
        yield from _tried("postgres.admin_password_file", postgres.admin_password)
    for role, path in postgres.role_password_files.items():
        yield from _tried(f"postgres.role_password_files.{role}", partial(read_secret, path))


def _redis(redis: Redis) -> Iterator[_Problem]:
    if not is_loopback(redis.host or "") and redis.tls_ca is None:
        yield _Problem("redis.tls_ca", "is needed for a server on another machine", "name its CA's PEM file")
    if (ca := redis.tls_ca) is not None:
        yield from _tried("redis.tls_ca", lambda: load_certificate(ca))
    yield from _tried("redis.password_file", redis.password)


def _tried(key: str, look: Callable[[], object]) -> Iterator[_Problem]:
    try:
        look()
    except InfosecError as error:
        facts = error.details
        where = f"{facts['path']}: " if "path" in facts else ""
        yield _Problem(key, f"{where}{facts.get('detail', error.reason)}", facts.get("hint", "correct it"))


def _explained(found: ErrorDetails, model: type[BaseModel]) -> _Problem:
    """One finding of pydantic in our words: the key, never the value."""
    loc: tuple[str | int, ...] = found["loc"]
    key = ".".join(str(part) for part in loc)
    if found["type"] == "extra_forbidden":
        return _Problem(key, "unknown key", _suggestion(loc, model))
    return _Problem(key, str(found["msg"]).removeprefix("Value error, "), "correct it")


def _suggestion(loc: tuple[str | int, ...], model: type[BaseModel]) -> str:
    for part in loc[:-1]:
        if (field := model.model_fields.get(str(part))) is not None:  # else an index in a list
            model = next(_models_in(field.annotation), model)
    known = list(model.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _first(problems: list[_Problem]) -> Misconfigured:
    """All problems at once; the first one stands in the details."""
    first = problems[0]
    return Misconfigured(
        Reason.CONFIGURATION,
        violations=tuple(str(problem) for problem in problems),
        key=first.key,
        detail=first.detail,
        hint=first.hint,
    )


def _wrong(key: str, detail: str, hint: str) -> Misconfigured:
    return Misconfigured(Reason.CONFIGURATION, key=key, detail=detail, hint=hint)


def _caller(raw: str) -> str:
    kind, slash, name = raw.rpartition("/")
    try:
        if (slash and kind not in tuple(CallerKind)) or node_id(name, "caller") != name:
            raise ValueError("a caller is written system/<name> or service/<name>")
    except InvalidInput:
        raise ValueError("a caller is written system/<name> or service/<name>") from None
    return f"{kind or CallerKind.SYSTEM}/{name}"
