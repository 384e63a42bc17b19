"""The statements on the original's table, in SQLite's words."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from wsmb.errors import Code, StoreError
from wsmb.store.dialects import Row, chunks

_COLUMNS = "PRAGMA table_info({table})"
_INSERT = "INSERT INTO {table} (data_id, channel, data, created) VALUES "
_VALUES = "(?, ?, ?, datetime('now'))"
_DELETE = "DELETE FROM {table} WHERE data_id IN ({marks})"
_READ = """
SELECT data_id, channel, data FROM {table}
WHERE channel = ? AND CAST(channel AS BLOB) = ? AND data_id > ? ORDER BY data_id"""
# The index on the channel has the ids in their order, too. One row, since each row lets go of the
# interpreter lock: `0 17,2 0` are the ages of the first name and the third.
_AGES = """
WITH wanted (place, name) AS (VALUES {marks})
SELECT GROUP_CONCAT(place || ' ' || (
    SELECT strftime('%s', 'now') - strftime('%s', created) FROM {table}
    WHERE channel = name AND CAST(channel AS BLOB) = CAST(name AS BLOB) ORDER BY data_id LIMIT 1
)) FROM wanted"""
_ROWS = "SELECT data_id, channel, data FROM {table} WHERE data_id IN ({marks})"
_LARGEST = """
SELECT MAX(COALESCE((SELECT MAX(data_id) FROM {table}), 0),
           COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?), 0))"""
_LARGEST_THERE = "SELECT COALESCE(MAX(data_id), 0) FROM {table}"
_HAS_SEQUENCE = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'sqlite_sequence'"

_ROWS_PER_INSERT = 100
_IDS_PER_STATEMENT = 100
_NAMES_PER_STATEMENT = (25, 100)


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

    def ages(self, connection: Any, channels: Sequence[str]) -> dict[str, float]:
        """See Table.ages."""
        ages: dict[str, float] = {}
        few, many = _NAMES_PER_STATEMENT
        for piece in chunks(channels, few if len(channels) <= few else many):
            marks = ", ".join(f"({place}, ?)" for place in range(len(piece)))
            statement = _AGES.format(table=self._quoted, marks=marks)
            found = connection.execute(statement, piece).fetchone()[0] or b""
            for place, age_s in (entry.split() for entry in found.split(b",") if entry):
                ages[piece[int(place)]] = float(age_s)
        return ages

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
