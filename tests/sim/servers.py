"""Real PostgreSQL and Redis for tests: one pair for the whole run (per xdist worker), and a fresh database for who asks.

Fixtures, which tests/conftest.py imports: embedded, fresh_database, tcp_servers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import ssl
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql

from infosec.private_files import read_secret
from infosec.storage.addresses import PostgresAddress, RedisAddress
from infosec.storage.embedded import Addresses, EmbeddedServers
from tests.sim.contents import Contents
from tests.sim.links import Link

Build = Callable[[Addresses], Coroutine[object, object, None]]
"""Fills a new database, as its administrator: schemas, roles, migrations, rows."""


class SharedServers:
    """The run's engines. All its methods block, shortly, and may be called from anywhere."""

    def __init__(self, addresses: Addresses) -> None:
        self.addresses = addresses
        self._templates: dict[str, Contents] = {}
        self._copies: dict[str, str] = {}
        """The template of each database in use that is a copy."""
        self._spare: dict[str, list[str]] = {}
        """Those of each template that nobody uses any more."""

    def database(self, template: str = "template0") -> Addresses:
        """A database of one's own, as `template` made it, or empty; roles and Redis are shared by all of them."""
        name = f"t_{uuid.uuid4().hex}"
        if not self._is_restored(template, name):
            self._admin("CREATE DATABASE {} TEMPLATE {}", name, template)
        if template in self._templates:
            self._copies[name] = template
        return self._at(name)

    def template(self, name: str, build: Build) -> str:
        """Have `build` fill a database once per run; answers the name to give to `database`."""
        if name not in self._templates:
            self._admin("CREATE DATABASE {} TEMPLATE template0", name)
            run_elsewhere(build(self._at(name)))
            with sync_connection(self._at(name).postgres) as made:
                self._templates[name] = Contents.of(made)
        return name

    def drop(self, addresses: Addresses) -> None:
        """Nobody uses it any more; whoever is still connected no longer is."""
        name = addresses.postgres.dbname
        if template := self._copies.pop(name, None):
            with sync_connection(replace(self.addresses.postgres, dbname="postgres")) as connection:
                connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            self._spare.setdefault(template, []).append(name)
        else:
            self._admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _is_restored(self, template: str, name: str) -> bool:
        """Whether a copy that nobody uses is again what it was: under another name, which those who used it do not know."""
        if not self._spare.get(template):
            return False
        self._admin("ALTER DATABASE {} RENAME TO {}", self._spare[template].pop(), name)
        with sync_connection(self._at(name).postgres) as connection:
            if self._templates[template].restore(connection):
                return True
        self._admin("DROP DATABASE {}", name)
        return False

    def _at(self, dbname: str) -> Addresses:
        return replace(self.addresses, postgres=replace(self.addresses.postgres, dbname=dbname))

    def _admin(self, statement: str, *names: str) -> None:
        with sync_connection(replace(self.addresses.postgres, dbname="postgres")) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpServers:
    """The same engines as if they were outside: over TCP, with TLS under a CA of the test's, and passwords."""

    shared: SharedServers
    postgres_link: Link
    redis_link: Link | None
    tls_ca: Path

    def postgres(self, address: PostgresAddress) -> PostgresAddress:
        """`address`, by way of TCP and TLS."""
        return replace(address, host="localhost", port=self.postgres_link.port, tls_ca=self.tls_ca)

    def redis(self) -> RedisAddress | None:
        """The shared Redis, by way of TCP and TLS."""
        if self.shared.addresses.redis is None or self.redis_link is None:
            return None
        return replace(
            self.shared.addresses.redis, socket=None, host="localhost", port=self.redis_link.port, tls_ca=self.tls_ca
        )


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServers]:
    """Engines for the whole run."""
    data_dir = tmp_path_factory.mktemp("servers")
    servers = EmbeddedServers(data_dir)
    try:
        yield SharedServers(servers.launch())
    finally:
        servers.shutdown()
        shutil.rmtree(data_dir)


@pytest.fixture
def fresh_database(embedded: SharedServers) -> Iterator[Callable[..., Addresses]]:
    """Makes databases (`fresh_database()`, `fresh_database(template)`) that are dropped after the test."""
    made: list[Addresses] = []

    def make(template: str = "template0") -> Addresses:
        made.append(embedded.database(template))
        return made[-1]

    yield make
    for addresses in made:
        embedded.drop(addresses)


@pytest.fixture(scope="session")
def tcp_servers(embedded: SharedServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TcpServers]:
    """The run's engines over TCP with TLS."""
    folder = tmp_path_factory.mktemp("tls")
    tls = server_tls(folder)
    postgres_link = postgres_link_to(embedded.addresses.postgres, tls=tls)
    redis = embedded.addresses.redis
    redis_link = Link(redis.socket, tls=tls) if redis is not None and redis.socket is not None else None
    yield TcpServers(shared=embedded, postgres_link=postgres_link, redis_link=redis_link, tls_ca=folder / "ca.pem")
    postgres_link.close()
    if redis_link is not None:
        redis_link.close()


def postgres_link_to(address: PostgresAddress, *, tls: ssl.SSLContext | None = None) -> Link:
    """A link to the embedded server at `address`."""
    return Link(Path(address.host) / f".s.PGSQL.{address.port}", tls=tls, is_postgres=True)


def sync_connection(address: PostgresAddress) -> psycopg.Connection:
    """A plain connection for a test that looks behind the store's back."""
    assert address.password_file is not None
    return psycopg.connect(
        host=address.host,
        port=address.port,
        dbname=address.dbname,
        user=address.user,
        password=read_secret(address.password_file).reveal(),
        autocommit=True,
    )


def run_elsewhere(work: Coroutine[object, object, None]) -> None:
    """Run a coroutine to its end on a loop of its own, also where a loop is running."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def server_tls(folder: Path) -> ssl.SSLContext:
    """A server's TLS for `localhost`, under a new CA whose certificate is written to <folder>/ca.pem."""
    now = datetime.now(UTC)
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])

    def signed(subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(ca_key, hashes.SHA256())
        )

    pem = serialization.Encoding.PEM
    ca = signed(ca_name, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    leaf = signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), server_key, names)
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    chain, key_file = folder / "server.pem", folder / "server.key"
    chain.write_bytes(leaf.public_bytes(pem))
    key_file.write_bytes(server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key_file)
    return context
