"""What a database holds, so that it can be made to hold it again: a new copy writes and syncs hundreds of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

_FIRST = 16384
"""FirstNormalObjectId: what has a lower one is PostgreSQL's own, and the same in every database."""
_SHAPE = f"""
select md5(string_agg(one, ' ' order by one)) from (
    select format('class %s %s', oid, xmin) as one from pg_class where oid >= {_FIRST}
    union all select format('column %s %s %s', attrelid, attnum, xmin) from pg_attribute where attrelid >= {_FIRST}
    union all select format('constraint %s %s', oid, xmin) from pg_constraint where oid >= {_FIRST}
    union all select format('trigger %s %s', oid, xmin) from pg_trigger where oid >= {_FIRST}
    union all select format('function %s %s', oid, xmin) from pg_proc where oid >= {_FIRST}
    union all select format('schema %s %s', oid, xmin) from pg_namespace) as shape"""
"""Every definition and every right that is in force: what was altered has another xmin, also when it was altered back."""
_TABLES = f"""
select format('%I.%I', relnamespace::regnamespace, relname) from pg_class where relkind = 'r' and oid >= {_FIRST}"""
_SEQUENCES = """
select format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value), last_value is not null from pg_sequences"""
_BYTES = "select pg_database_size(current_database())"
_FREELY = "set local session_replication_role = replica"
"""No trigger is called, and no foreign key is looked at."""
_GROWN = 1 << 22
"""By how many bytes a database may have grown, dead rows and all, for tests to find it as a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The definitions, rows and sequences of one database. Its connections are those of a superuser."""

    shape: str
    bytes: int
    rows: dict[str, bytes]
    """By table, as COPY spells them."""
    sequences: list[tuple[str, int, bool]]

    @classmethod
    def of(cls, database: psycopg.Connection) -> Contents:
        """As they are now."""
        rows = {}
        for (table,) in database.execute(_TABLES).fetchall():
            with database.cursor() as cursor, cursor.copy(f"copy {table} to stdout") as copy:
                rows[table] = b"".join(map(bytes, copy))
        return cls(
            shape=_one(database, _SHAPE),
            bytes=_one(database, _BYTES),
            rows=rows,
            sequences=database.execute(_SEQUENCES).fetchall(),
        )

    def restore(self, copy_of_it: psycopg.Connection) -> bool:
        """Have a copy hold this again. False where that takes a new copy: somebody defined things there, or it has grown."""
        if _one(copy_of_it, _SHAPE) != self.shape or _one(copy_of_it, _BYTES) > self.bytes + _GROWN:
            return False
        with copy_of_it.transaction():
            copy_of_it.execute(_FREELY)
            copy_of_it.execute("; ".join(f"delete from {table}" for table in self.rows))
        # Rows are found in the order in which they are put in, as in a new copy, and not where there is room.
        copy_of_it.execute(f"vacuum (index_cleanup on) {', '.join(self.rows)}")
        with copy_of_it.transaction(), copy_of_it.cursor() as cursor:
            cursor.execute(_FREELY)
            for table, rows in self.rows.items():
                if rows:
                    with cursor.copy(f"copy {table} from stdin") as copy:
                        copy.write(rows)
            for sequence in self.sequences:
                cursor.execute("select setval(%s, %s, %s)", sequence)
        return True


def _one(database: psycopg.Connection, query: str) -> Any:
    row = database.execute(query).fetchone()
    assert row is not None
    return row[0]
