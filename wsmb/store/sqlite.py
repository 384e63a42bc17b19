"""The SQLite dialect: WAL, every commit on the disk before it is confirmed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from wsmb.errors import Code, SettingError, StoreError
from wsmb.settings import DatabaseSettings
from wsmb.store.dialects import Fault, Row, check_columns, chunks, schema_statements, table_name

_COLUMNS = "PRAGMA table_info({table})"
_INSERT = "INSERT INTO {table} (data_id, channel, data, created) VALUES "
_VALUES = "(?, ?, ?, datetime('now'))"
_DELETE = "DELETE FROM {table} WHERE data_id IN ({marks})"
_READ = """
SELECT data_id, channel, data FROM {table}
WHERE channel = ? AND CAST(channel AS BLOB) = ? AND data_id > ? ORDER BY data_id"""
_ROWS = "SELECT data_id, channel, data FROM {table} WHERE data_id IN ({marks})"
_LARGEST = """
SELECT MAX(COALESCE((SELECT MAX(data_id) FROM {table}), 0),
           COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?), 0))"""
_LARGEST_THERE = "SELECT COALESCE(MAX(data_id), 0) FROM {table}"
_HAS_SEQUENCE = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'sqlite_sequence'"

_OPEN_TIMEOUT_S = 5.0
_LOCK_TIMEOUT_S = 1.0  # short, because close waits for the thread; the writer tries again anyway
_ROWS_PER_INSERT = 100
_IDS_PER_STATEMENT = 100

_TAKEN = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
# The module raises OperationalError for these as well, but they do not pass.
_LASTING = {sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH}


class SqliteTable:
    """The statements, in SQLite's words."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._quoted = f'"{name}"'
        insert = _INSERT.format(table=self._quoted)
        self._insert_one = insert + _VALUES
        # One statement for many rows: each step of a statement lets go of the interpreter lock,
        # and while the reactor is busy it takes up to 5 ms to get it back.
        self._insert_many = insert + ", ".join([_VALUES] * _ROWS_PER_INSERT)
        self._read = _READ.format(table=self._quoted)

    def refusal(self, connection: Any, channel: str, texts: Sequence[str]) -> StoreError | None:
        """Only what is no text at all: SQLite takes any name."""
        try:
            channel.encode()
        except UnicodeEncodeError:
            return StoreError(Code.UNAVAILABLE, "the channel's name is not valid Unicode")
        return None

    def insert(self, connection: Any, rows: Sequence[tuple[int, str, str]]) -> None:
        """See Table.insert."""
        whole = len(rows) - len(rows) % _ROWS_PER_INSERT
        for start in range(0, whole, _ROWS_PER_INSERT):
            values = [value for row in rows[start : start + _ROWS_PER_INSERT] for value in row]
            connection.execute(self._insert_many, values)
        connection.executemany(self._insert_one, rows[whole:])

    def delete(self, connection: Any, ids: Sequence[int]) -> None:
        """See Table.delete."""
        for piece in chunks(ids, _IDS_PER_STATEMENT):
            connection.execute(self._with_marks(_DELETE, piece), piece)

    def read(
        self, connection: Any, channel: str, after_id: int, max_items: int, max_bytes: int
    ) -> Generator[Row, None, None]:
        """See Table.read: SQLite itself stops where the cursor is closed."""
        with closing(connection.cursor()) as cursor:
            yield from cursor.execute(self._read, (channel, channel.encode(), after_id))

    def taken(self, connection: Any, ids: Sequence[int]) -> tuple[list[Row], int]:
        """See Table.taken."""
        rows: dict[int, Row] = {}
        for piece in chunks(ids, _IDS_PER_STATEMENT):
            rows.update((row[0], row) for row in connection.execute(self._with_marks(_ROWS, piece), piece))
        return list(rows.values()), self.largest_id(connection)

    def largest_id(self, connection: Any) -> int:
        """The largest id that was ever given, as far as SQLite remembers."""
        if connection.execute(_HAS_SEQUENCE).fetchone()[0]:
            return int(connection.execute(_LARGEST.format(table=self._quoted), (self._name,)).fetchone()[0])
        return int(connection.execute(_LARGEST_THERE.format(table=self._quoted)).fetchone()[0])

    def columns(self, connection: Any) -> list[str]:
        """The names of the columns; none if there is no table."""
        return [row[1].decode() for row in connection.execute(_COLUMNS.format(table=self._quoted))]

    def _with_marks(self, statement: str, ids: Sequence[int]) -> str:
        return statement.format(table=self._quoted, marks=", ".join("?" * len(ids)))


class SqliteDialect:
    """One file."""

    module = "sqlite3"

    def __init__(self, settings: DatabaseSettings) -> None:
        self._path = settings.path
        self._prefix = settings.prefix
        self._name = table_name(settings.prefix)
        self._connection: sqlite3.Connection | None = None
        self.table = SqliteTable(self._name)

    def connect_arguments(self) -> dict[str, Any]:
        """See Dialect.connect_arguments. The pool closes connections from another thread."""
        return {
            "database": self._path,
            "timeout": _LOCK_TIMEOUT_S,
            "isolation_level": "IMMEDIATE",
            "check_same_thread": False,
        }

    def prepare(self, connection: Any) -> None:
        """See Dialect.prepare."""
        self._connection = connection
        # A column may hold bytes that are not UTF-8; as text they would raise on every read.
        connection.text_factory = bytes
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL loses confirmed rows in a power cut; in groups FULL is as fast.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")

    def interrupt(self) -> None:
        """See Dialect.interrupt."""
        if self._connection is not None:
            with suppress(sqlite3.ProgrammingError):
                self._connection.interrupt()

    def fault(self, error: BaseException) -> Fault:
        """See Dialect.fault."""
        code = getattr(error, "sqlite_errorcode", None)
        if code in _TAKEN:
            return Fault.TAKEN
        if code == sqlite3.SQLITE_TOOBIG:
            return Fault.TOO_LARGE
        if isinstance(error, sqlite3.OperationalError) and code not in _LASTING:
            return Fault.PASSING
        return Fault.POISON

    def open(self) -> int:
        """See Dialect.open."""
        self._make_file()
        try:
            arguments = self.connect_arguments() | {"timeout": _OPEN_TIMEOUT_S}
            with closing(sqlite3.connect(**arguments)) as connection:
                self.prepare(connection)
                return self._open_table(connection)
        except sqlite3.Error as error:
            raise SettingError(self._explain(error)) from None
        finally:
            self._connection = None

    def _open_table(self, connection: sqlite3.Connection) -> int:
        if not self.table.columns(connection):
            for statement in schema_statements("sqlite", 1, self._prefix):
                connection.execute(statement)
            connection.commit()
        check_columns(self._name, self.table.columns(connection))
        return self.table.largest_id(connection)

    def _make_file(self) -> None:
        path = Path(self._path)
        if not self._path or not path.parent.is_dir():
            message = f"[database] path: there is no folder {path.parent}; make it or change path"
            raise SettingError(message)
        try:
            # Made here and not by SQLite, so that only the broker's user can ever read it.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            pass
        except OSError as error:
            message = (
                f"[database] path: {path} cannot be made ({error.strerror}); give the broker the right to"
            )
            raise SettingError(message) from None

    def _explain(self, error: sqlite3.Error) -> str:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = {
            sqlite3.SQLITE_BUSY: "another program has locked it: end that first",
            sqlite3.SQLITE_NOTADB: "it is not an SQLite database: name another file",
            sqlite3.SQLITE_CANTOPEN: "name a file that the broker may read and write",
            sqlite3.SQLITE_READONLY: "give the broker the right to write it and its folder",
        }.get(code, "look at the file or name another")
        return f"[database] path: {self._path} cannot be used ({error}); {remedy}"
