"""The statements on the original's table, in the words of PostgreSQL."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from wsmb.errors import Code, StoreError
from wsmb.store.dialects import Row
from wsmb.store.postgresql_ids import IdSequence

# Arrays in binary form need no escaping. OVERRIDING: the column may be GENERATED ALWAYS.
_INSERT = """
INSERT INTO "{table}" (data_id, channel, data, created) OVERRIDING SYSTEM VALUE
SELECT data_id, channel, data, now()
FROM unnest(%s::bigint[], %b::text[], %b::text[]) AS rows (data_id, channel, data)"""
_DELETE = 'DELETE FROM "{table}" WHERE data_id = ANY(%s::bigint[])'
# Both columns are compared together and ordered by: only an index on (channel, data_id) can do that.
# Asked for `channel = ...` in the order of data_id, the planner may well walk over the primary key and
# all rows of the other channels.
_READ = """
SELECT data_id, channel, data FROM (
    SELECT data_id, channel, data, size, SUM(size) OVER (ORDER BY data_id) AS total
    FROM (
        SELECT data_id, channel, data, COALESCE(OCTET_LENGTH(data), 0) AS size FROM "{table}"
        WHERE (channel, data_id) > (%s, %s::bigint) AND (channel, data_id) <= (%s, 9223372036854775807)
        ORDER BY channel, data_id LIMIT %s::bigint
    ) AS page
) AS sized
WHERE total <= %s::bigint OR total = size ORDER BY data_id"""
_AGES = """
SELECT name, EXTRACT(EPOCH FROM now() - created)::float8
FROM unnest(%s::text[]) AS wanted (name) CROSS JOIN LATERAL (
    SELECT created FROM "{table}"
    WHERE (channel, data_id) > (name, 0) AND (channel, data_id) <= (name, 9223372036854775807)
      AND channel::text COLLATE "C" = name
    ORDER BY channel, data_id LIMIT 1
) AS oldest WHERE created IS NOT NULL"""
_ROWS = 'SELECT data_id, channel, data FROM "{table}" WHERE data_id = ANY(%s::bigint[])'
_LARGEST = 'SELECT COALESCE(MAX(data_id), 0) FROM "{table}"'

_STATEMENT_BYTES = 4_194_304
_FIRST_LIMIT, _LARGEST_LIMIT = 32, 512
_CANNOT_HOLD = "the table's channel column cannot hold this name"


class PostgresqlTable:
    """The statements. The dialect tells it about the column."""

    def __init__(self, name: str) -> None:
        self._insert = _INSERT.format(table=name)
        self._delete = _DELETE.format(table=name)
        self._read = _READ.format(table=name)
        self._rows = _ROWS.format(table=name)
        self._ages = _AGES.format(table=name)
        self._largest = _LARGEST.format(table=name)
        self._ids = IdSequence(name)
        self.channel_length: int | None = 100
        self.max_text_bytes = 250_000_000
        """A value ends at 1 GB, and the server makes several copies. It hangs up on a larger message."""

    def open(self, cursor: Any) -> int:
        """Find the sequence of the ids; returns the largest id that was ever given."""
        cursor.execute(self._largest)
        return self._ids.open(cursor, int(cursor.fetchone()[0]))

    def refusal(self, connection: Any, channel: str, texts: Sequence[str]) -> StoreError | None:
        """Names that the column cannot hold, the character NUL, and what is too large for a value."""
        if not self._holds(channel):
            return StoreError(Code.UNAVAILABLE, _CANNOT_HOLD)
        for text in texts:
            if "\0" in text:
                return StoreError(Code.UNAVAILABLE, "PostgreSQL cannot hold the character NUL")
            if len(text) > self.max_text_bytes:
                return StoreError(Code.TOO_LARGE, "the item is too large for PostgreSQL")
        return None

    def insert(self, connection: Any, rows: Sequence[tuple[int, str, str]]) -> None:
        """See Table.insert."""
        with closing(connection.cursor()) as cursor:
            self._ids.claim(cursor, rows[0][0], rows[-1][0])
            for piece in pieces(rows):
                cursor.execute(self._insert, [list(column) for column in zip(*piece, strict=True)])

    def delete(self, connection: Any, ids: Sequence[int]) -> None:
        """See Table.delete."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(self._delete, (list(ids),))

    def read(
        self, connection: Any, channel: str, after_id: int, max_items: int, max_bytes: int
    ) -> Generator[Row, None, None]:
        """See Table.read. The server adds up the sizes: what is beyond `max_bytes` stays there."""
        if not self._holds(channel):
            return
        limit, room = min(max_items, _FIRST_LIMIT), max_bytes
        with closing(connection.cursor()) as cursor:
            while rows := cursor.execute(self._read, (channel, after_id, channel, limit, room)).fetchall():
                yield from rows
                size = sum(len(row[2] or "") for row in rows)
                # What came so far was passed over, or there would be no next turn.
                room = room - size if size < room else max_bytes
                limit, after_id = min(limit * 4, _LARGEST_LIMIT), rows[-1][0]

    def ages(self, connection: Any, channels: Sequence[str]) -> dict[str, float]:
        """See Table.ages."""
        names = [name for name in channels if self._holds(name)]
        with closing(connection.cursor()) as cursor:
            return {name: age_s // 1 for name, age_s in cursor.execute(self._ages, (names,))}

    def taken(self, connection: Any, ids: Sequence[int]) -> tuple[list[Row], int]:
        """See Table.taken."""
        with closing(connection.cursor()) as cursor:
            rows = cursor.execute(self._rows, (list(ids),)).fetchall()
            if not rows:
                self._ids.need_no_claim(ids[0], ids[-1])
            cursor.execute(self._largest)
            return rows, max(int(cursor.fetchone()[0]), self._ids.largest(cursor))

    def _holds(self, channel: str) -> bool:
        try:
            channel.encode()
        except UnicodeEncodeError:
            return False
        return "\0" not in channel and (self.channel_length is None or len(channel) <= self.channel_length)


def pieces(rows: Sequence[tuple[int, str, str]]) -> Iterator[Sequence[tuple[int, str, str]]]:
    """`rows` in pieces that one statement can carry, whatever their sizes."""
    start = size = 0
    for end, row in enumerate(rows):
        size += len(row[2])
        if size > _STATEMENT_BYTES and end > start:
            yield rows[start:end]
            start, size = end, len(row[2])
    yield rows[start:]
