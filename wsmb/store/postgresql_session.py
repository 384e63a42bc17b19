"""Sessions of the PostgreSQL dialect: their settings, and the lock that keeps a second broker out."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import closing, suppress
from typing import Any

import psycopg
from twisted.logger import Logger

from wsmb.settings import DatabaseSettings, DatabaseTls, TlsCheck

_CONNECT_TIMEOUT_S = 5

# Only what this server knows is set. A session whose client has gone lets go of its locks and rows
# within seconds; a statement that gets no lock or takes too long fails, and is tried again.
_SETTINGS = """
SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES
    ('statement_timeout', '30s'),
    ('lock_timeout', '3s'),
    ('idle_in_transaction_session_timeout', '10s'),
    ('idle_session_timeout', '0'),
    ('tcp_keepalives_idle', '10'),
    ('tcp_keepalives_interval', '5'),
    ('tcp_keepalives_count', '3'),
    ('tcp_user_timeout', '30s'),
    ('default_transaction_isolation', 'read committed'),
    ('synchronous_commit', 'on'),
    ('TimeZone', 'UTC')
) AS of_ours (name, wanted) USING (name)
WHERE name <> 'synchronous_commit' OR setting <> 'remote_apply'"""
_SCHEMA = """
SELECT COALESCE((SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass(%s)),
    current_schema())"""
_TRY = "SELECT pg_try_advisory_lock(%s::bigint)"
_WAIT = "SELECT pg_advisory_lock(%s::bigint)"
_HOLDER = """
SELECT pid, backend_start::text FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint = %s::bigint"""
_OURSELVES = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END = "SELECT pg_terminate_backend(%s)"


class AnotherBrokerError(Exception):
    """Another broker uses the table."""


def connect(settings: DatabaseSettings) -> Any:
    """A new session, not set up yet; raises psycopg's errors."""
    return psycopg.connect(
        host=settings.host or "localhost",
        port=settings.port,
        user=settings.username or None,
        password=settings.password or None,
        dbname=settings.name,
        client_encoding="UTF8",
        application_name="wsmb",
        connect_timeout=_CONNECT_TIMEOUT_S,
        # A server that is gone from the network is noticed within half a minute.
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
        **_tls(settings.tls),
    )


def _tls(tls: DatabaseTls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    if tls.check in (TlsCheck.PREFERRED, TlsCheck.DISABLED):
        return {"sslmode": tls.check.value}
    if not tls.ca_file and tls.check is TlsCheck.NOTHING:
        return {"sslmode": tls.check.value}
    return {"sslmode": tls.check.value, "sslrootcert": tls.ca_file or "system"}


def set_up(connection: Any, one_broker: OneBroker) -> None:
    """Give a new session its settings and the lock. Autocommit is off then."""
    connection.autocommit = True
    with closing(connection.cursor()) as cursor:
        cursor.execute(_SETTINGS)
        one_broker.take(cursor)
    connection.autocommit = False


def interrupt(connection: Any) -> None:
    """Make what runs on `connection` fail soon; from any thread.

    Not by its `cancel`: that asks the server, and waits until it has answered.
    """
    with (
        suppress(psycopg.Error, OSError),
        closing(socket.socket(fileno=os.dup(connection.pgconn.socket))) as waiting_on,
    ):
        waiting_on.shutdown(socket.SHUT_RDWR)


class OneBroker:
    """An advisory lock on a table's name, held by the session for as long as that lives.

    Two brokers would both hand out what waits, and get in each other's way with the ids.
    """

    _log = Logger()

    def __init__(self, table: str) -> None:
        self._table = table
        self._key: int | None = None
        self._ours: tuple[object, ...] | None = None
        self._has_told = False

    def take(self, cursor: Any) -> None:
        """Lock out other brokers. AnotherBrokerError if there still is one after lock_timeout.

        The server may not have noticed yet that a connection of ours was lost: that session is ended.
        """
        if self._key is None:
            self._key = self._find_key(cursor)
        cursor.execute(_TRY, (self._key,))
        if not cursor.fetchone()[0]:
            self._wait(cursor)
        cursor.execute(_OURSELVES)
        self._ours = cursor.fetchone()
        self._has_told = False

    def _find_key(self, cursor: Any) -> int:
        cursor.execute(_SCHEMA, (f'"{self._table}"',))
        name = f"wsmb {cursor.fetchone()[0]}.{self._table}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)

    def _wait(self, cursor: Any) -> None:
        cursor.execute(_HOLDER, (self._key,))
        holder = cursor.fetchone()
        # The time as well: a process's number is given again, after a restart of the server soon.
        if holder is not None and holder == self._ours:
            cursor.execute(_END, holder[:1])
        try:
            cursor.execute(_WAIT, (self._key,))
        except psycopg.errors.LockNotAvailable:
            who = f" (process {holder[0]} of the server)" if holder else ""
            self._tell(who)
            raise AnotherBrokerError(f"another broker uses the table {self._table}{who}") from None

    def _tell(self, who: str) -> None:
        if self._ours is not None and not self._has_told:
            self._has_told = True
            self._log.error(
                "another broker has taken the table {table} while the database was away{who}: nothing is"
                " stored or read until that one ends",
                table=self._table,
                who=who,
            )
