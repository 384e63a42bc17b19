"""The PostgreSQL dialect, over psycopg 3."""

from __future__ import annotations

import threading
from typing import Any

import psycopg

from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings
from wsmb.store import postgresql_session
from wsmb.store.census import Census, CensusWords
from wsmb.store.dialects import Fault, Opened
from wsmb.store.migrations import table_name
from wsmb.store.postgresql_ids import IdsPassedError
from wsmb.store.postgresql_session import AnotherBrokerError, OneBroker
from wsmb.store.postgresql_table import PostgresqlTable
from wsmb.store.postgresql_tables import PostgresqlTables
from wsmb.store.side_tables import SideTables, Words

_CENSUS_WORDS = CensusWords(
    mark="%s",
    table="",
    channel='channel::text COLLATE "C"',
    size="OCTET_LENGTH(data)",
)
_WORDS = Words(
    mark="%s",
    quote='"',
    put="INSERT INTO {item} (data_id, tries, expires_at) VALUES {rows} "
    "ON CONFLICT (data_id) DO UPDATE SET tries = EXCLUDED.tries, expires_at = EXCLUDED.expires_at",
)

_READ_ONLY = "25006"
_STATES = {
    "22001": Fault.TOO_LARGE,
    "23505": Fault.TAKEN,
    # Of a statement: without room for the record of a COMMIT the server ends itself.
    "53100": Fault.FULL,
    # Not for writing; cut for idling or time; no right; the table or a column is not there.
    **dict.fromkeys((_READ_ONLY, "25P03", "25P04", "42501", "42P01", "42703"), Fault.PASSING),
}
# By the first two characters: the connection, its rights (an operator may be at work), the database,
# the transaction's luck, resources, locks, an operator's interruption, the disk.
_CLASSES = {
    "54": Fault.TOO_LARGE,
    **dict.fromkeys(("08", "28", "3D", "3F", "40", "53", "55", "57", "58"), Fault.PASSING),
}

# There is no SQLSTATE for what goes wrong before the session; where the server speaks another language
# than English, its text is shown without knowing what it says.
_NO_SERVER = ("Is the server running", "timeout expired", "resolve host", "closed the connection")
_NO_ACCESS = ("authentication failed", "no password supplied", "pg_hba.conf", "permission denied", 'role "')


class PostgresqlDialect:
    """One database on one server."""

    module = "psycopg"

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self.open_timeout_s = 20.0
        self._connection: Any = None
        self._opened: Any = None
        name = table_name(settings.prefix)
        self._one_broker = OneBroker(name)
        self.table = PostgresqlTable(name)
        self.side = SideTables(settings.prefix, _WORDS)
        self.census = Census(_CENSUS_WORDS._replace(table=f'"{name}"'))
        self._tables = PostgresqlTables(settings, self.table, self.side)

    def open(self) -> Opened:
        """See Dialect.open."""
        self._check_settings()
        try:
            self._connection = postgresql_session.connect(self._settings)
            return self._open_on(self._connection)
        except SettingError:
            self.close()
            raise
        except AnotherBrokerError as error:
            self.close()
            raise SettingError(f"[database] prefix: {error}; end that one or choose another prefix") from None
        except (psycopg.Error, OSError, ValueError) as error:
            self.close()
            raise SettingError(self._explain(error)) from None

    def connect(self) -> Any:
        """See Dialect.connect. Raises AnotherBrokerError as well."""
        connection, self._opened = self._opened, None
        if connection is not None:
            return connection
        connection = self._connection = postgresql_session.connect(self._settings)
        try:
            postgresql_session.set_up(connection, self._one_broker)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """See Dialect.close."""
        if self._opened is not None:
            self._opened.close()
        self._connection = self._opened = None

    def disk(self, connection: Any) -> None:
        """See Dialect.disk: only the server knows."""

    def interrupt(self) -> None:
        """See Dialect.interrupt."""
        if self._connection is not None:
            postgresql_session.interrupt(self._connection)

    def fault(self, error: BaseException) -> Fault:
        """See Dialect.fault."""
        if isinstance(error, AnotherBrokerError):
            return Fault.PASSING
        if isinstance(error, IdsPassedError):
            return Fault.TAKEN
        state = getattr(error, "sqlstate", None)
        if state is None:  # not from the server: it does not answer, or psycopg takes no such value
            away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            return Fault.PASSING if away else Fault.POISON
        if state == _READ_ONLY:  # the server to write to may be another by now
            self.interrupt()
        return _STATES.get(state) or _CLASSES.get(state[:2], Fault.POISON)

    def _open_on(self, connection: Any) -> Opened:
        """psycopg waits for an answer for ever: a server that never gives one is hung up on."""
        self._opened = connection
        guard = threading.Timer(self.open_timeout_s, postgresql_session.interrupt, (connection,))
        guard.daemon = True
        guard.start()
        try:
            postgresql_session.set_up(connection, self._one_broker)
            return self._tables.open(connection)
        finally:
            guard.cancel()

    def _check_settings(self) -> None:
        for key in ("host", "name", "username", "password"):
            if "\0" in getattr(self._settings, key):
                raise SettingError(f"[database] {key}: holds the character NUL; take it out")

    def _explain(self, error: Exception) -> str:
        settings = self._settings
        text = " ".join(str(error).split())
        where = settings.host if settings.host.startswith("/") else f"{settings.host}:{settings.port}"
        if settings.tls and any(word in text for word in ("certificate", "SSL")):
            return f"[database] url: TLS with {where}: {text}; check sslmode and sslrootcert"
        if any(words in text for words in _NO_SERVER):
            return f"[database] host: no server answers at {where} ({text}); start it or change host"
        if f'database "{settings.name}" does not exist' in text:
            return f"[database] name: there is no database {settings.name!r}; make it or change name"
        if any(words in text for words in _NO_ACCESS):
            return (
                f"[database] username: the database refuses {settings.username!r} ({text});"
                f" check username, password and its rights on {settings.name}"
            )
        return f"[database] name: {settings.name!r} cannot be used ({text}); check the server and its rights"
