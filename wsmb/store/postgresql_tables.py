"""What is looked at and made in a PostgreSQL database when the store is opened."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import psycopg
from twisted.logger import Logger

from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings
from wsmb.store.dialects import Opened
from wsmb.store.migrations import check_columns, table_name, upgrade
from wsmb.store.postgresql_table import PostgresqlTable
from wsmb.store.side_tables import SideTables

_ENCODING = "SELECT current_setting('server_encoding')"
_COLUMNS = """
SELECT attname, typname, CASE WHEN typname = 'varchar' AND atttypmod > 0 THEN atttypmod - 4 END
FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"""
_INDEX = """
SELECT COUNT(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE indrelid = to_regclass(%s) AND amname = 'btree' AND indisvalid AND indpred IS NULL
  AND pg_get_indexdef(indexrelid, 1, true) = 'channel' AND pg_get_indexdef(indexrelid, 2, true) = 'data_id'"""
_HAS_VERSION = "SELECT to_regclass(%s) IS NOT NULL"
_VERSION = 'SELECT MAX(number) FROM "{prefix}version"'

# Others do not give back what was put in: jsonb writes it anew, char fills it up with blanks.
_TYPES = {"channel": ("text", "varchar", "citext"), "data": ("text", "varchar")}
_LONGEST_PREFIX = 45
"""With `item_expires_at` behind it, it fits the 63 characters after which PostgreSQL cuts names."""

Columns = dict[str, tuple[str, int | None]]
"""Type and length by name."""


class PostgresqlTables:
    """Brings the tables up to date. SettingError for what cannot be used, and psycopg's errors."""

    _log = Logger()

    def __init__(self, settings: DatabaseSettings, table: PostgresqlTable, side: SideTables) -> None:
        self._settings = settings
        self._name = table_name(settings.prefix)
        self._table = table
        self._side = side
        if len(settings.prefix) > _LONGEST_PREFIX:
            message = f"[database] prefix: {settings.prefix!r} is too long for PostgreSQL; take at most"
            raise SettingError(f"{message} {_LONGEST_PREFIX} characters")

    def open(self, connection: Any) -> Opened:
        """All of it, in one transaction."""
        with closing(connection.cursor()) as cursor:
            self._check_encoding(cursor)
            columns = self._columns(cursor)
            if columns:
                check_columns(self._name, columns)
            self._upgrade(connection, bool(columns))
            columns = columns or self._columns(cursor)
            self._check_types(columns)
            self._table.channel_length = columns["channel"][1]
            self._look_for_index(cursor)
            largest_id = self._table.open(cursor)
        keys = self._side.open(connection, largest_id, time.time())
        connection.commit()
        return Opened(largest_id, keys)

    def _check_encoding(self, cursor: Any) -> None:
        encoding = cursor.execute(_ENCODING).fetchone()[0]
        if encoding != "UTF8":
            name = self._settings.name
            message = f"[database] name: the database {name!r} has the encoding {encoding}; make one with"
            raise SettingError(f"{message} CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0")

    def _columns(self, cursor: Any) -> Columns:
        cursor.execute(_COLUMNS, (f'"{self._name}"',))
        # PostgreSQL tells `"DATA"` from `data`, and means the latter.
        return {name: (kind, length) for name, kind, length in cursor.fetchall() if name.islower()}

    def _check_types(self, columns: Columns) -> None:
        for column, kinds in _TYPES.items():
            kind = columns[column][0]
            if kind not in kinds:
                message = (
                    f"[database] prefix: the column {column} of the table {self._name} has the type {kind};"
                    " make it text or choose another prefix"
                )
                raise SettingError(message)

    def _upgrade(self, connection: Any, has_table: bool) -> None:
        """Who has no more than the original's rights goes on with the original's table alone."""
        try:
            # A savepoint: after an error in a transaction PostgreSQL does nothing more in it.
            with connection.transaction(), closing(connection.cursor()) as cursor:
                upgrade(cursor, "postgresql", self._settings.prefix, self._version(cursor, has_table))
        except psycopg.errors.InsufficientPrivilege as error:
            if not has_table:
                raise
            self._side.are_there = False
            self._log.warn(
                "{user} may not make tables beside {table} ({error}): expiry, message ids and counts of tries"
                " last no longer than the broker runs; give it the right to, or make the tables of {files}",
                user=self._settings.username,
                table=self._name,
                error=str(error).partition("\n")[0],
                files="wsmb/store/schema/postgresql/0002.sql",
            )

    def _version(self, cursor: Any, has_table: bool) -> int:
        prefix = self._settings.prefix
        there = cursor.execute(_HAS_VERSION, (f'"{prefix}version"',)).fetchone()[0]
        if not (has_table and there):
            return int(has_table)
        return cursor.execute(_VERSION.format(prefix=prefix)).fetchone()[0] or 1

    def _look_for_index(self, cursor: Any) -> None:
        if not cursor.execute(_INDEX, (f'"{self._name}"',)).fetchone()[0]:
            self._log.warn(
                "the table {table} has no index on (channel, data_id), so that what waits is read slowly:"
                ' CREATE INDEX ON "{table}" (channel, data_id)',
                table=self._name,
            )
