"""A pool of PostgreSQL connections, and the border that driver errors do not cross: out come values or InfosecErrors.

Stores write their SQL against the connection that `transaction` yields; inside they may catch what they expect (a unique
violation) by its psycopg class. What nobody caught is mapped here, and of the driver's words only the SQLSTATE is logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, LiteralString, Self, TypeAlias

import psycopg
import psycopg_pool
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.rows import TupleRow

from infosec.errors import Aborted, AlreadyExists, InfosecError, Internal, Reason, ResourceExhausted, Unavailable
from infosec.private_files import read_secret
from infosec.storage.addresses import PostgresAddress, require_private_path

_LOG = logging.getLogger(__name__)

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]
Statement: TypeAlias = tuple[LiteralString, Mapping[str, object] | Sequence[object]]
"""SQL and its parameters, to be sent together with others."""

_RETRY_SOON = timedelta(milliseconds=50)
_RETRY_LATER = timedelta(seconds=1)
_HEALTH_WITHIN_S = 2.0
_RECONNECT_WITHIN_S = 5.0
"""How long the pool tries for one connection before it gives up until the next caller asks: short, so that an outage is
over for us soon after it is over."""

_CHANGED_BY_OTHERS = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
)
_LOST = (
    psycopg.OperationalError,  # statement timeouts among them
    psycopg.errors.IdleInTransactionSessionTimeout,  # we slept, and the server ended our session: rolled back
)


class Isolation(Enum):
    """How a transaction sees the others; each value is the statement that begins it."""

    READ_COMMITTED = "BEGIN ISOLATION LEVEL READ COMMITTED"
    REPEATABLE_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ"
    SNAPSHOT_READ_ONLY = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    SERIALIZABLE = "BEGIN ISOLATION LEVEL SERIALIZABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Sizes and times of one pool. `wait_s` is how long a caller waits for a free connection.

    `idle_in_transaction_s` is below the lease of a login attempt: a process that stopped blocks nobody for longer.
    """

    min_size: int = 1
    max_size: int = 10
    max_waiting: int = 1000
    wait_s: float = 3.0
    connect_s: int = 5
    statement_s: float = 10.0
    lock_s: float = 5.0
    idle_in_transaction_s: float = 8.0


@dataclass(slots=True, kw_only=True)
class Ends:
    """What goes out in one message with a transaction's BEGIN and with its COMMIT, and what came back: round trips spared."""

    first: Statement | None = None
    first_rows: list[TupleRow] = field(default_factory=list)
    last: Callable[[], Sequence[Statement]] = tuple
    """Asked when the block has ended well. Where one of them fails nothing is committed."""
    last_rows: list[list[TupleRow]] = field(default_factory=list)


async def together(connection: Connection, *statements: Statement) -> list[list[TupleRow]]:
    """Send statements in one message, and answer the rows of each. After one that fails none is carried out.

    Outside a transaction they are one of their own; each still sees what others have committed before it began. They
    leave in one piece: in the middle of a message the server waits for its end with every lock held and no timeout.
    """
    try:
        async with connection.pipeline() as pipeline, _one_message(pipeline):
            cursors = [await connection.execute(query, values, prepare=True) for query, values in statements]
    except psycopg.DatabaseError as error:
        if error.sqlstate is None and connection.closed:
            raise psycopg.OperationalError("the connection was lost") from None  # the driver knows it by no class here
        raise
    return [await cursor.fetchall() if _has_rows(cursor) else [] for cursor in cursors]


@asynccontextmanager
async def _one_message(pipeline: psycopg.AsyncPipeline) -> AsyncIterator[None]:
    """Queue what is executed, and send it with its end. The driver has no public way to; two habits of it are changed.

    By itself it sends each statement as it comes; and a Flush after the end, upon which the server forgets its timer for
    idle transactions.
    """

    def nothing_yet() -> Generator[Any, Any, None]:
        yield from ()

    def ended() -> Generator[Any, Any, None]:
        pipeline._enqueue_sync()
        try:
            yield from pipeline._communicate_gen()
        except psycopg.Error:
            if pipeline.pgconn.status == ConnStatus.OK:  # what is left says only that it was not carried out
                with suppress(psycopg.Error):
                    yield from pipeline._fetch_gen(flush=False)
            raise
        yield from pipeline._fetch_gen(flush=False)

    pipeline._exit_gen = ended  # type: ignore[method-assign]
    pipeline._communicate_gen = nothing_yet  # type: ignore[method-assign]
    try:
        yield
    finally:
        del pipeline._communicate_gen


def _has_rows(cursor: psycopg.AsyncCursor[TupleRow]) -> bool:
    # Not by `description`, which makes an object for every column.
    return cursor.pgresult is not None and cursor.pgresult.nfields > 0


class Database:
    """One database as one role. Made by `connect`, which does not wait for the server; ended by `close`."""

    def __init__(self, pool: psycopg_pool.AsyncConnectionPool[Connection], limits: PoolLimits) -> None:
        self._pool = pool
        self._limits = limits
        self._in_use = 0

    @classmethod
    async def connect(cls, address: PostgresAddress, limits: PoolLimits = PoolLimits()) -> Self:
        """Open a pool. Raises Misconfigured if the address is unsafe or its password file cannot be read.

        The password file is read again for every new connection, so that a password can be changed under us.
        """
        require_private_path(host=address.host, tls_ca=address.tls_ca, key="postgres")
        connection_arguments(address, limits)  # fails here rather than in the pool's workers
        pool: psycopg_pool.AsyncConnectionPool[Connection] = psycopg_pool.AsyncConnectionPool(
            kwargs=lambda: connection_arguments(address, limits),
            connection_class=psycopg.AsyncConnection[TupleRow],
            min_size=limits.min_size,
            max_size=limits.max_size,
            max_waiting=limits.max_waiting,
            timeout=limits.wait_s,
            reconnect_timeout=_RECONNECT_WITHIN_S,
            open=False,
            name=f"infosec-{address.user}",
        )
        await pool.open()
        return cls(pool, limits)

    async def close(self) -> None:
        """Close every connection; what is still running fails."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def transaction(
        self, isolation: Isolation = Isolation.READ_COMMITTED, *, ends: Ends | None = None
    ) -> AsyncIterator[Connection]:
        """One transaction: committed if the block ends well, rolled back if it raises. `ends` travel with its two ends.

        Raises Unavailable (the server is away, or a statement took too long), ResourceExhausted (no free connection),
        Aborted (lost against another transaction; do it again from the start), AlreadyExists (an uncaught unique
        violation), Internal. An Unavailable with `outcome=unknown` was lost at the commit itself: it may have happened.
        """
        connection = await self._begun(isolation, ends)
        try:
            try:
                with _mapped():
                    yield connection
                    if connection.pgconn.transaction_status == TransactionStatus.INERROR:
                        # A statement failed and somebody caught it: COMMIT would now quietly roll back.
                        raise Internal(Reason.INTERNAL, detail="a failed transaction was to be committed")
            except BaseException:
                await _roll_back(connection)
                raise
            await _commit(connection, ends)
        finally:
            await self._put_back(connection)

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Connection]:
        """A connection on which every statement is a transaction of its own. Errors as for `transaction`."""
        connection = await self._taken()
        try:
            with _mapped(outcome="unknown"):
                yield connection
        finally:
            await self._put_back(connection)

    async def read_one(self, query: LiteralString, parameters: tuple[object, ...] = ()) -> TupleRow | None:
        """The first row of one read, or None. Tried again once if the connection turns out to be a dead one."""
        rows = await self.read_all(query, parameters)
        return rows[0] if rows else None

    async def read_all(self, query: LiteralString, parameters: tuple[object, ...] = ()) -> list[TupleRow]:
        """All rows of one read. Tried again once if the connection turns out to be a dead one."""
        for is_last in (False, True):
            connection = await self._taken()
            try:
                with _mapped():
                    return await (await connection.execute(query, parameters)).fetchall()
            except Unavailable:
                if is_last or not connection.closed:
                    raise
            finally:
                await self._put_back(connection)
            await self._pool.check()
        raise AssertionError("unreachable")

    async def health(self) -> None:
        """Raises Unavailable unless the server answers within two seconds."""
        try:
            async with asyncio.timeout(_HEALTH_WITHIN_S):
                await self.read_one("SELECT 1")
        except TimeoutError:
            raise Unavailable(Reason.STORAGE_UNAVAILABLE, retry_after=_RETRY_LATER) from None

    async def _begun(self, isolation: Isolation, ends: Ends | None) -> Connection:
        """A connection with a transaction begun; a dead one from the pool is replaced once, as nothing was done yet."""
        for is_last in (False, True):
            connection = await self._taken()
            try:
                with _mapped():
                    if ends is None or ends.first is None:
                        await connection.execute(isolation.value, prepare=False)
                    else:
                        _, ends.first_rows = await together(connection, (isolation.value, ()), ends.first)
                return connection
            except Unavailable:
                await _roll_back(connection)
                dead = connection.closed
                await self._put_back(connection)
                if is_last or not dead:
                    raise
                await self._pool.check()
            except BaseException:
                await _roll_back(connection)
                await self._put_back(connection)
                raise
        raise AssertionError("unreachable")

    async def _taken(self) -> Connection:
        try:
            connection = await self._pool.getconn()
        except (psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests):
            # Waiting in vain while connections are missing is the server's absence, not our own load.
            if self._in_use >= self._limits.max_size:
                raise ResourceExhausted(Reason.OVERLOADED, retry_after=_RETRY_LATER) from None
            raise Unavailable(Reason.STORAGE_UNAVAILABLE, retry_after=_RETRY_LATER) from None
        except psycopg_pool.PoolClosed:
            raise Unavailable(Reason.STORAGE_UNAVAILABLE) from None
        self._in_use += 1
        return connection

    async def _put_back(self, connection: Connection) -> None:
        self._in_use -= 1
        await asyncio.shield(self._pool.putconn(connection))


def connection_arguments(address: PostgresAddress, limits: PoolLimits) -> dict[str, object]:
    """What libpq is told. Explicit, so that PG* variables and files in somebody's home change nothing."""
    options = {
        "statement_timeout": limits.statement_s,
        "lock_timeout": limits.lock_s,
        "idle_in_transaction_session_timeout": limits.idle_in_transaction_s,
    }
    return {
        "host": address.host,
        "port": address.port,
        "dbname": address.dbname,
        "user": address.user,
        "password": read_secret(address.password_file).reveal() if address.password_file else "",
        "passfile": "/dev/null",
        "require_auth": "scram-sha-256" if address.password_file else "",
        "sslmode": "verify-full" if address.tls_ca else "disable",
        "sslrootcert": str(address.tls_ca) if address.tls_ca else "",
        "gssencmode": "disable",
        "connect_timeout": limits.connect_s,
        "application_name": "infosec",
        "options": " ".join(f"-c {name}={int(seconds * 1000)}" for name, seconds in options.items()),
        "autocommit": True,
    }


class _mapped:
    """Turns the driver's errors into ours. A class, not a generator: it is entered for every statement."""

    __slots__ = ("_details",)

    def __init__(self, **details: str) -> None:
        self._details = details
        """Added where the server was lost in the middle of it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, psycopg.Error):
            raise storage_error(error, self._details) from None


def storage_error(error: psycopg.Error, details: Mapping[str, str] = MappingProxyType({})) -> InfosecError:
    """The one table from the driver's errors to ours. `details` go with an absent server alone."""
    _LOG.warning("PostgreSQL refused: %s %s", type(error).__name__, error.sqlstate or "no SQLSTATE")
    if isinstance(error, _CHANGED_BY_OTHERS):
        return Aborted(Reason.STATE_CONFLICT, retry_after=_RETRY_SOON)
    if isinstance(error, psycopg.errors.UniqueViolation):
        return AlreadyExists(Reason.ALREADY_EXISTS)
    if isinstance(error, _LOST):
        absent = Unavailable(Reason.STORAGE_UNAVAILABLE, retry_after=_RETRY_LATER)
        absent.details.update(details)
        return absent
    return Internal(Reason.INTERNAL)


async def _commit(connection: Connection, ends: Ends | None) -> None:
    try:
        last = ends.last() if ends is not None else ()
        with _mapped(outcome="unknown"):
            if ends is None or not last:
                await connection.execute("COMMIT", prepare=False)
            else:
                ends.last_rows = (await together(connection, *last, ("COMMIT", ())))[:-1]
    except BaseException:
        await _roll_back(connection)
        raise


async def _roll_back(connection: Connection) -> None:
    """Leave the transaction; a connection on which that fails is closed, and the pool replaces it."""
    if connection.pgconn.transaction_status in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
        return
    try:
        await asyncio.shield(connection.rollback())
    except (psycopg.Error, asyncio.CancelledError):
        await connection.close()
