"""The rows of the original's table: reading them without a trace, and copying them to another database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice, zip_longest
from typing import Any, NamedTuple
from urllib.parse import quote

from wsmb import wire
from wsmb.errors import CommandError, SettingError
from wsmb.settings import DatabaseSettings
from wsmb.store import dialect_of
from wsmb.store.dialects import Dialect
from wsmb.store.json_text import as_bytes, from_column, to_ascii
from wsmb.store.migrations import table_name

_ROWS = "SELECT data_id, channel, data FROM {table} ORDER BY data_id"
_BATCH = 500
_TIMEOUT_S = 30

Rows = Callable[[], Iterator["Row"]]


class RefusedError(Exception):
    """It cannot be done. The text is one line without a password."""


class Row(NamedTuple):
    """One waiting item. `problem` says why it cannot be delivered, if so; then the rest is empty."""

    item_id: int
    channel: str = ""
    text: str = ""
    """JSON, in ASCII."""
    problem: str = ""


@contextmanager
def opened(settings: DatabaseSettings) -> Iterator[Rows]:
    """What gives all rows, oldest first, as they are at one moment; nothing in the database is changed."""
    if settings.driver not in _CONNECT:
        raise RefusedError(f"{settings.driver}: the original used mysql; nothing was looked at")
    try:
        with closing(_CONNECT[settings.driver](settings)) as connection:
            yield lambda: _rows(connection, settings)
    except (RefusedError, SettingError, OSError):
        raise
    except Exception as error:
        # Drivers' errors have no class in common. Their texts name tables and hosts.
        raise RefusedError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def copy(rows: Rows, target: DatabaseSettings) -> int | None:
    """Copy all good rows in one transaction, and read them again; how many, None if all were there.

    Raises RefusedError, and SettingError where the target cannot be opened.
    """
    dialect = dialect_of(target)
    dialect.open()
    try:
        with closing(dialect.connect()) as connection:
            if next(_rows(connection, target), None) is None:
                connection.rollback()
                return _copy(rows, dialect, connection, target)
            if not _are_equal(_good(rows()), _rows(connection, target)):
                raise RefusedError("--to: there are other items in it; name an empty database or prefix")
            return None
    finally:
        dialect.close()


def _copy(rows: Rows, dialect: Dialect, connection: Any, target: DatabaseSettings) -> int:
    count = _insert(dialect, connection, _good(rows()))
    connection.commit()
    if not _are_equal(_good(rows()), _rows(connection, target)):
        raise RefusedError("--to: what was copied is not what is there now; does a broker use it?")
    return count


def _insert(dialect: Dialect, connection: Any, rows: Iterator[Row]) -> int:
    count = 0
    while batch := list(islice(rows, _BATCH)):
        for row in batch:
            refusal = dialect.table.refusal(connection, row.channel, [row.text])
            if refusal is not None:
                raise RefusedError(f"data_id {row.item_id}: {refusal}")
        dialect.table.insert(connection, [(row.item_id, row.channel, row.text) for row in batch])
        count += len(batch)
    return count


def _good(rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if not row.problem)


def _are_equal(some: Iterable[Row], others: Iterable[Row]) -> bool:
    return all(one == other for one, other in zip_longest(some, others))


def _rows(connection: Any, settings: DatabaseSettings) -> Iterator[Row]:
    mark = "`" if settings.driver == "mysql" else '"'
    with closing(connection.cursor()) as cursor:
        cursor.execute(_ROWS.format(table=f"{mark}{table_name(settings.prefix)}{mark}"))
        while found := cursor.fetchmany(_BATCH):
            for item_id, channel, data in found:
                yield _row(int(item_id), channel, data)


def _row(item_id: int, channel: object, data: object) -> Row:
    name, text = as_bytes(channel), from_column(data)
    if name is None or text is None:
        return Row(item_id, problem="no channel" if name is None else "not JSON")
    try:
        return Row(item_id, wire.channel_name(name.decode()), to_ascii(text))
    except (CommandError, UnicodeDecodeError):
        return Row(item_id, problem="no channel's name")


def _sqlite(settings: DatabaseSettings) -> Any:
    connection = sqlite3.connect(
        f"file:{quote(settings.path)}?mode=ro", uri=True, timeout=_TIMEOUT_S, isolation_level=None
    )
    connection.text_factory = bytes
    connection.execute("BEGIN")
    return connection


def _mysql(settings: DatabaseSettings) -> Any:
    import pymysql  # type: ignore[import-untyped]  # noqa: PLC0415 (only who has such a database wants it)

    from wsmb.store.mysql_tls import tls_context  # noqa: PLC0415

    is_socket = settings.host.startswith("/")
    connection = pymysql.connect(
        host=settings.host or "localhost",
        port=settings.port,
        unix_socket=settings.host if is_socket else None,
        user=settings.username,
        password=settings.password.encode(),
        database=settings.name,
        charset="utf8mb4",
        cursorclass=pymysql.cursors.SSCursor,
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S,
        ssl=tls_context(settings.tls) if settings.tls and not is_socket else None,
    )
    with closing(connection.cursor()) as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    return connection


_CONNECT: dict[str, Callable[[DatabaseSettings], Any]] = {"sqlite": _sqlite, "mysql": _mysql}
