"""The MySQL and MariaDB dialect, over PyMySQL."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from typing import Any

import pymysql  # type: ignore[import-untyped]
from pymysql.constants import CR, ER  # type: ignore[import-untyped]

from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings
from wsmb.store.dialects import Fault, check_columns, schema_statements, table_name
from wsmb.store.mysql_table import MysqlTable

# Strict: without it a long name is stored under its first 100 characters.
_SQL_MODE = "STRICT_ALL_TABLES"
# A connection that was cut in mid-transaction holds its rows' locks until the server notices; with
# these the next one gets them within seconds. (MariaDB reads the comment, MySQL does not know that.)
_SESSION = """
SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 10
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

_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT_S = 30

_TOO_LARGE = {ER.NET_PACKET_TOO_LARGE, ER.DATA_TOO_LONG}
# PyMySQL has classes for these that mean "never", or means "later" where it should be "never".
_LATER = {ER.NO_SUCH_TABLE}
_ER_SIGNAL, _ER_CHECK_MYSQL = 1644, 3819
_NEVER = {ER.CANT_AGGREGATE_2COLLATIONS, ER.CONSTRAINT_FAILED, _ER_SIGNAL, _ER_CHECK_MYSQL}
_NO_ACCESS = {ER.ACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR, 1698}
_NO_SERVER = {CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR, CR.CR_SERVER_LOST, CR.CR_SERVER_GONE_ERROR}


def _code(error: BaseException) -> int:
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else 0


class MysqlDialect:
    """One database on one server."""

    module = "pymysql"

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._name = table_name(settings.prefix)
        self._connection: Any = None
        self.table = MysqlTable(self._name)

    def connect_arguments(self) -> dict[str, Any]:
        """See Dialect.connect_arguments. It connects in `prepare`, where it can be interrupted."""
        settings = self._settings
        return {
            "host": settings.host or "localhost",
            "port": settings.port,
            "unix_socket": settings.host if settings.host.startswith("/") else None,
            "user": settings.username,
            # PyMySQL would encode text as latin1.
            "password": settings.password.encode(),
            "database": settings.name,
            "charset": "utf8mb4",
            "sql_mode": _SQL_MODE,
            "autocommit": False,
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "read_timeout": _STATEMENT_TIMEOUT_S,
            "write_timeout": _STATEMENT_TIMEOUT_S,
            "defer_connect": True,
        }

    def prepare(self, connection: Any) -> None:
        """See Dialect.prepare. Reads what one statement may weigh."""
        self._connection = connection
        connection.connect()
        with closing(connection.cursor()) as cursor:
            cursor.execute(_SESSION)
            cursor.execute(_ISOLATION)
            cursor.execute(_PACKET)
            self.table.max_statement_bytes = int(cursor.fetchone()[0])

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
        passes = isinstance(error, pymysql.OperationalError | pymysql.InternalError | pymysql.InterfaceError)
        if code in _LATER or (passes and code not in _NEVER):
            return Fault.PASSING
        return Fault.POISON

    def open(self) -> int:
        """See Dialect.open."""
        arguments = self.connect_arguments()
        arguments |= {"read_timeout": _CONNECT_TIMEOUT_S, "write_timeout": _CONNECT_TIMEOUT_S}
        try:
            with closing(pymysql.connect(**arguments)) as connection:
                self.prepare(connection)
                return self._open_table(connection)
        except (pymysql.MySQLError, OSError, ValueError) as error:
            raise SettingError(self._explain(error)) from None
        finally:
            self._connection = None

    def _open_table(self, connection: Any) -> int:
        with closing(connection.cursor()) as cursor:
            if not cursor.execute(_COLUMNS, (self._name,)):
                for statement in schema_statements("mysql", 1, self._settings.prefix):
                    cursor.execute(statement)
                cursor.execute(_COLUMNS, (self._name,))
            columns = {name.lower(): (charset, length) for name, charset, length in cursor.fetchall()}
            check_columns(self._name, columns)
            self.table.channel_charset, self.table.channel_length = columns["channel"]
            self.table.use_index(cursor.fetchone()[0] if cursor.execute(_INDEX, (self._name,)) else None)
            cursor.execute(_LARGEST.format(table=self._name), (self._name,))
            return int(cursor.fetchone()[0])

    def _explain(self, error: Exception) -> str:
        settings = self._settings
        code = _code(error)
        if code in _NO_ACCESS:
            return (
                f"[database] username: the database refuses {settings.username!r} ({error.args[1]});"
                f" check username, password and its rights on {settings.name}"
            )
        if code == ER.BAD_DB_ERROR:
            return f"[database] name: there is no database {settings.name!r}; make it or change name"
        if code in _NO_SERVER:
            where = settings.host if settings.host.startswith("/") else f"{settings.host}:{settings.port}"
            return f"[database] host: no server answers at {where} ({error.args[1]}); start it or change host"
        return f"[database] name: {settings.name!r} cannot be used ({error}); check the server and its rights"
