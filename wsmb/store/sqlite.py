"""The SQLite dialect: WAL, every commit on the disk before it is confirmed."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress

from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings
from wsmb.stock import Disk
from wsmb.store.census import Census, CensusWords
from wsmb.store.dialects import Fault, Opened
from wsmb.store.migrations import check_columns, table_name, upgrade
from wsmb.store.side_tables import SideTables, Words
from wsmb.store.sqlite_file import SqliteFile
from wsmb.store.sqlite_table import SqliteTable

_HAS_VERSION = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
_VERSION = 'SELECT MAX(number) FROM "{prefix}version"'
_CENSUS_WORDS = CensusWords(
    mark="?", table="", channel="CAST(channel AS BLOB)", size="LENGTH(CAST(data AS BLOB))"
)
_WORDS = Words(mark="?", quote='"', put="REPLACE INTO {item} (data_id, tries, expires_at) VALUES {rows}")

_OPEN_TIMEOUT_S = 5.0
_LOCK_TIMEOUT_S = 1.0  # short, because close waits for the thread; the writer tries again anyway

_TAKEN = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID}
# The module raises OperationalError for these as well, but they do not pass.
_LASTING = {sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH}


class SqliteDialect:
    """One file."""

    module = "sqlite3"

    def __init__(self, settings: DatabaseSettings) -> None:
        self._prefix = settings.prefix
        self._name = table_name(settings.prefix)
        self._file = SqliteFile(settings.path)
        self._connection: sqlite3.Connection | None = None
        self._opened: sqlite3.Connection | None = None
        self.table = SqliteTable(self._name)
        self.side = SideTables(settings.prefix, _WORDS)
        self.census = Census(_CENSUS_WORDS._replace(table=f'"{self._name}"'))

    def open(self) -> Opened:
        """See Dialect.open. A damaged file is moved aside."""
        self._file.take()
        try:
            self._file.check()
            self._opened = self._connect(_OPEN_TIMEOUT_S)
            opened = self._open_tables(self._opened)
            self._opened.execute(f"PRAGMA busy_timeout = {_LOCK_TIMEOUT_S * 1000:.0f}")
        except SettingError:
            self.close()
            raise
        except sqlite3.Error as error:
            self.close()
            raise SettingError(self._file.explain(error)) from None
        return opened

    def connect(self) -> sqlite3.Connection:
        """See Dialect.connect."""
        connection, self._opened = self._opened, None
        return connection or self._connect(_LOCK_TIMEOUT_S)

    def disk(self, connection: sqlite3.Connection) -> Disk:
        """See Dialect.disk. The file never shrinks: what has been removed leaves room in it."""
        ((unused_pages,),) = connection.execute("PRAGMA freelist_count")
        ((page_bytes,),) = connection.execute("PRAGMA page_size")
        return self._file.disk(unused_pages * page_bytes)

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
        if code == sqlite3.SQLITE_FULL:
            return Fault.FULL
        if isinstance(error, sqlite3.OperationalError) and code not in _LASTING:
            return Fault.PASSING
        return Fault.POISON

    def close(self) -> None:
        """See Dialect.close."""
        if self._opened is not None:
            self._opened.close()
        self._connection = self._opened = None
        self._file.let_go()

    def _connect(self, timeout_s: float) -> sqlite3.Connection:
        # The pool's thread uses what another has opened, and is closed from a third.
        connection = sqlite3.connect(
            self._file.path, timeout=timeout_s, isolation_level="IMMEDIATE", check_same_thread=False
        )
        try:
            self._connection = connection
            # A column may hold bytes that are not UTF-8; as text they would raise on every read.
            connection.text_factory = bytes
            connection.execute("PRAGMA journal_mode = WAL")
            # NORMAL loses confirmed rows in a power cut; in groups FULL is as fast.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_tables(self, connection: sqlite3.Connection) -> Opened:
        connection.execute("BEGIN IMMEDIATE")
        with connection, closing(connection.cursor()) as cursor:
            upgrade(cursor, "sqlite", self._prefix, self._version(connection))
            check_columns(self._name, self.table.columns(connection))
            largest_id = self.table.largest_id(connection)
            return Opened(largest_id, self.side.open(connection, largest_id, time.time()))

    def _version(self, connection: sqlite3.Connection) -> int:
        if connection.execute(_HAS_VERSION, (f"{self._prefix}version",)).fetchone()[0]:
            ((number,),) = connection.execute(_VERSION.format(prefix=self._prefix))
            return int(number or 1)
        return 1 if self.table.columns(connection) else 0
