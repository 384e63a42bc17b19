"""One broker on the tables at a time, by a lock that the server keeps for a connection."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pymysql  # type: ignore[import-untyped]
from twisted.logger import Logger

# The server's lock names are the same for all databases, and of 64 characters at most.
_NAME = "CONCAT('wsmb.', SHA1(CONCAT(DATABASE(), '.', %s)))"
_GET = f"SELECT GET_LOCK({_NAME}, %s)"
_HOLDER = f"SELECT IS_USED_LOCK({_NAME})"
_KILL = "KILL CONNECTION %s"
_UPTIME = "SHOW GLOBAL STATUS LIKE 'Uptime'"

# Long enough for the server to notice that a broker has died, or to end what one of ours has left running.
FIRST_WAIT_S, WAIT_S, OWN_WAIT_S = 2, 1, 5


class LockTaken(pymysql.OperationalError):  # type: ignore[misc]
    """Another broker has the tables. (Among the errors that pass, for a broker that had them before.)"""


class MysqlLock:
    """The lock of one table, taken anew on each connection."""

    _log = Logger()

    def __init__(self, table: str) -> None:
        self._table = table
        # Each of our connections that may hold it, by the server's number for it, with when it began:
        # a claim on a server that hangs is given up here, and carried out there all the same.
        self._ours: dict[int, float] = {}
        self._has_told = False

    def take(self, cursor: Any) -> None:
        """Take it for the cursor's connection; LockTaken if another broker has it.

        The server may not have noticed yet that our last connection is gone: that one is ended.
        """
        first = not self._ours
        session = cursor.connection.thread_id()
        self._ours[session] = time.monotonic()
        holder = None
        if not self._get(cursor, FIRST_WAIT_S if first else 0):
            holder = self._holder(cursor)
            ours = self._is_ours(cursor, holder)
            if ours:
                with suppress(pymysql.MySQLError):
                    cursor.execute(_KILL, (holder,))
            if first or not self._get(cursor, OWN_WAIT_S if ours else WAIT_S):
                del self._ours[session]
                if not (first or ours):
                    self._tell(holder)
                raise LockTaken(f"another broker uses {self._table} (the server's connection {holder})")
        self._ours = {session: self._ours[session]}
        self._has_told = False

    def _get(self, cursor: Any, wait_s: int) -> bool:
        cursor.execute(_GET, (self._table, wait_s))
        return bool(cursor.fetchone()[0] == 1)

    def _is_ours(self, cursor: Any, holder: int | None) -> bool:
        """Whether `holder` is a connection of ours. After a restart the server's numbers begin anew."""
        if holder not in self._ours:
            return False
        cursor.execute(_UPTIME)
        uptime_s = int(cursor.fetchone()[1])
        return time.monotonic() - self._ours[holder] <= uptime_s + 1

    def _holder(self, cursor: Any) -> int | None:
        cursor.execute(_HOLDER, (self._table,))
        holder: int | None = cursor.fetchone()[0]
        return holder

    def _tell(self, holder: int | None) -> None:
        if not self._has_told:
            self._has_told = True
            self._log.error(
                "another broker has taken {table} while the database was away (the server's connection"
                " {holder}): nothing is stored or read until that one ends",
                table=self._table,
                holder=holder,
            )
