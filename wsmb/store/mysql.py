"""The MySQL and MariaDB dialect, over PyMySQL."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing, suppress
from typing import Any

import pymysql  # type: ignore[import-untyped]
from pymysql.constants import CR, ER  # type: ignore[import-untyped]
from twisted.logger import Logger

from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings
from wsmb.store.census import Census, CensusWords
from wsmb.store.dialects import Fault, Opened
from wsmb.store.migrations import check_columns, table_name, upgrade
from wsmb.store.mysql_lock import LockTaken, MysqlLock
from wsmb.store.mysql_table import MysqlTable
from wsmb.store.mysql_tls import tls_context
from wsmb.store.side_tables import SideTables, Words

# Strict: without it a long name is stored under its first 100 characters.
_SQL_MODE = "STRICT_ALL_TABLES"
# A connection that was cut in mid-transaction holds its rows' locks until the server notices; with
# these the next one gets them within seconds. After a power cut of the broker's machine the server
# keeps the broker's own lock for as long as it waits for a word; the store has one every minute.
# (MariaDB reads the comment, MySQL does not know that.)
_SESSION = """
SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 10, wait_timeout = 150
    /*M!100300 , idle_write_transaction_timeout = 10 */"""
_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_PACKET = "SELECT @@max_allowed_packet"
_COLUMNS = """
SELECT COLUMN_NAME, CHARACTER_SET_NAME, CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"""
# In InnoDB every index ends with the primary key: `channel` is (channel, data_id).
_INDEX = """
SELECT INDEX_NAME FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s AND INDEX_TYPE = 'BTREE'
GROUP BY INDEX_NAME
HAVING GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) IN ('channel', 'channel,data_id')
   AND MAX(SUB_PART) IS NULL
ORDER BY INDEX_NAME LIMIT 1"""
_LARGEST = """
SELECT GREATEST(COALESCE((SELECT MAX(data_id) FROM `{table}`), 0), COALESCE(
    (SELECT AUTO_INCREMENT - 1 FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s), 0))"""

_HAS_VERSION = """
SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"""
_VERSION = "SELECT MAX(number) FROM `{prefix}version`"
_CENSUS_WORDS = CensusWords(
    mark="%s",
    table="",
    channel="CAST(CONVERT(channel USING utf8mb4) AS BINARY)",
    size="LENGTH(data)",
)
_WORDS = Words(mark="%s", quote="`", put="REPLACE INTO {item} (data_id, tries, expires_at) VALUES {rows}")

_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT_S = 30

_TOO_LARGE = {ER.NET_PACKET_TOO_LARGE, ER.DATA_TOO_LONG}
# PyMySQL has classes for these that mean "never", or means "later" where it should be "never".
_LATER = {ER.NO_SUCH_TABLE}
_ER_SIGNAL, _ER_CHECK_MYSQL = 1644, 3819
_NEVER = {ER.CANT_AGGREGATE_2COLLATIONS, ER.CONSTRAINT_FAILED, _ER_SIGNAL, _ER_CHECK_MYSQL}
# Of a statement, and not of a COMMIT, whose end would be unknown.
_FULL = {ER.RECORD_FILE_FULL, ER.DISK_FULL}
_NO_ACCESS = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, 1698}
_MAY_NOT = {ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR}
_NO_SERVER = {CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR, CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}


def _code(error: BaseException) -> int:
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else 0


class MysqlDialect:
    """One database on one server."""

    module = "pymysql"
    _log = Logger()

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._name = table_name(settings.prefix)
        self._connection: Any = None
        self._opened: Any = None
        self._lock = MysqlLock(self._name)
        self.table = MysqlTable(self._name)
        self.side = SideTables(settings.prefix, _WORDS)
        self.census = Census(_CENSUS_WORDS._replace(table=f"`{self._name}`"))

    def open(self) -> Opened:
        """See Dialect.open."""
        try:
            self._opened = self._connect(_CONNECT_TIMEOUT_S)
            opened = self._open_tables(self._opened)
            # PyMySQL has no word for it: what may take a while in the pool's thread, may not at the start.
            self._opened._read_timeout = self._opened._write_timeout = _STATEMENT_TIMEOUT_S
        except SettingError:
            self.close()
            raise
        except (pymysql.MySQLError, OSError, ValueError) as error:
            self.close()
            raise SettingError(self._explain(error)) from None
        return opened

    def connect(self) -> Any:
        """See Dialect.connect."""
        connection, self._opened = self._opened, None
        return connection or self._connect(_STATEMENT_TIMEOUT_S)

    def close(self) -> None:
        """See Dialect.close."""
        if self._opened is not None:
            self._opened.close()
        self._connection = self._opened = None

    def disk(self, connection: Any) -> None:
        """See Dialect.disk: only the server knows."""

    def interrupt(self) -> None:
        """See Dialect.interrupt. PyMySQL has no word for it: its socket is shut down."""
        waiting_on = getattr(self._connection, "_sock", None)
        if waiting_on is not None:
            with suppress(OSError):
                waiting_on.shutdown(socket.SHUT_RDWR)

    def fault(self, error: BaseException) -> Fault:
        """See Dialect.fault. Rights and tables can come back: an operator may be at work."""
        code = _code(error)
        if code == ER.DUP_ENTRY:
            return Fault.TAKEN
        if code in _TOO_LARGE:
            return Fault.TOO_LARGE
        if code in _FULL or (code == ER.GET_ERRNO and "28" in str(error.args[1:])):
            return Fault.FULL
        passes = isinstance(error, pymysql.OperationalError | pymysql.InternalError | pymysql.InterfaceError)
        if code in _LATER or (passes and code not in _NEVER):
            return Fault.PASSING
        return Fault.POISON

    def _connect(self, timeout_s: float) -> Any:
        settings = self._settings
        connection = pymysql.connect(
            host=settings.host or "localhost",
            port=settings.port,
            unix_socket=settings.host if settings.host.startswith("/") else None,
            user=settings.username,
            # PyMySQL would encode text as latin1.
            password=settings.password.encode(),
            database=settings.name,
            charset="utf8mb4",
            sql_mode=_SQL_MODE,
            autocommit=False,
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=timeout_s,
            write_timeout=timeout_s,
            defer_connect=True,
            ssl=tls_context(settings.tls) if settings.tls and self._has_tls else None,
        )
        # It connects where it can be interrupted.
        self._connection = connection
        try:
            connection.connect()
            self._check_tls(connection)
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def _has_tls(self) -> bool:
        return self._settings.tls is not None and not self._settings.host.startswith("/")

    def _check_tls(self, connection: Any) -> None:
        # PyMySQL before 1.2 goes on without TLS where the server, or who is between, says that it has none.
        if self._has_tls and not isinstance(connection._sock, ssl.SSLSocket):
            raise pymysql.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the server does not speak TLS")

    def _set_up(self, connection: Any) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(_SESSION)
            cursor.execute(_ISOLATION)
            self._lock.take(cursor)
            cursor.execute(_PACKET)
            self.table.max_statement_bytes = int(cursor.fetchone()[0])

    def _open_tables(self, connection: Any) -> Opened:
        with closing(connection.cursor()) as cursor:
            columns = self._columns(cursor)
            if columns:
                check_columns(self._name, columns)
            self._upgrade(cursor, bool(columns))
            columns = columns or self._columns(cursor)
            self.table.channel_charset, self.table.channel_length = columns["channel"]
            self.table.use_index(cursor.fetchone()[0] if cursor.execute(_INDEX, (self._name,)) else None)
            cursor.execute(_LARGEST.format(table=self._name), (self._name,))
            largest_id = int(cursor.fetchone()[0])
        keys = self.side.open(connection, largest_id, time.time())
        connection.commit()
        return Opened(largest_id, keys)

    def _columns(self, cursor: Any) -> dict[str, tuple[Any, Any]]:
        cursor.execute(_COLUMNS, (self._name,))
        return {name.lower(): (charset, length) for name, charset, length in cursor.fetchall()}

    def _upgrade(self, cursor: Any, has_table: bool) -> None:
        """Who has no more than the original's rights goes on with the original's table alone."""
        prefix = self._settings.prefix
        try:
            version = int(has_table)
            cursor.execute(_HAS_VERSION, (f"{prefix}version",))
            if has_table and cursor.fetchone()[0]:
                cursor.execute(_VERSION.format(prefix=prefix))
                version = cursor.fetchone()[0] or 1
            upgrade(cursor, "mysql", prefix, version)
        except pymysql.MySQLError as error:
            if not has_table or _code(error) not in _MAY_NOT:
                raise
            self.side.are_there = False
            self._log.warn(
                "{user} may not make tables beside {table} ({error}): expiry, message ids and counts of tries"
                " last no longer than the broker runs; give it the right to, or make the tables of {files}",
                user=self._settings.username,
                table=self._name,
                error=error.args[1],
                files="wsmb/store/schema/mysql/0002.sql",
            )

    def _explain(self, error: Exception) -> str:
        settings = self._settings
        code = _code(error)
        if isinstance(error, LockTaken):
            return f"[database] prefix: {error}; end that one, or choose another prefix or database"
        if code in _NO_ACCESS:
            return (
                f"[database] username: the database refuses {settings.username!r} ({error.args[1]});"
                f" check username, password and its rights on {settings.name}"
            )
        if code == ER.BAD_DB_ERROR:
            return f"[database] name: there is no database {settings.name!r}; make it or change name"
        if settings.tls and any(word in str(error) for word in ("certificate", "SSL", "TLS")):
            return f"[database] url: TLS with {settings.host}:{settings.port}: {error.args[-1]}; check ssl_ca"
        if code in _NO_SERVER:
            where = settings.host if settings.host.startswith("/") else f"{settings.host}:{settings.port}"
            return f"[database] host: no server answers at {where} ({error.args[1]}); start it or change host"
        return f"[database] name: {settings.name!r} cannot be used ({error}); check the server and its rights"
