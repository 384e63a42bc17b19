"""The statements on the original's table, in the words of MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from wsmb.errors import Code, StoreError
from wsmb.store.dialects import Row, chunks

_INSERT = "INSERT INTO `{table}` (data_id, channel, data, created) VALUES "
_VALUES = "(%s, %s, %s, UTC_TIMESTAMP())"
_DELETE = "DELETE FROM `{table}` WHERE data_id IN %s"
# The first comparison finds the index, under the column's own collation; the second is exact.
_OF_CHANNEL = "channel = %s AND CAST(CONVERT(channel USING utf8mb4) AS BINARY) = %s AND data_id > %s"
_SIZES = """
SELECT data_id, COALESCE(LENGTH(data), 0) FROM `{table}` {hint}
WHERE {of_channel} ORDER BY data_id LIMIT %s"""
_READ = """
SELECT data_id, channel, data FROM `{table}` {hint}
WHERE {of_channel} AND data_id <= %s ORDER BY data_id LIMIT %s"""
_ROWS = "SELECT data_id, channel, data FROM `{table}` WHERE data_id IN %s"
# The place in the list is told by a number: the server may give names in another character set.
_AGE = """
(SELECT {place}, TIMESTAMPDIFF(SECOND, created, UTC_TIMESTAMP()) FROM `{table}` {hint}
WHERE {of_channel} ORDER BY data_id LIMIT 1)"""
_LARGEST = "SELECT COALESCE(MAX(data_id), 0) FROM `{table}`"

# MySQL's latin1 is cp1252. For a character set that is not here the server itself refuses.
_CODECS = {"latin1": "cp1252", "ascii": "ascii", "utf8mb4": "utf-8"}
_BMP_ONLY = {"utf8", "utf8mb3", "ucs2"}
_IDS_PER_STATEMENT = 500
_NAMES_PER_STATEMENT = 50
_STATEMENT_BYTES = 1_000_000
_FIRST_SIZES, _MOST_SIZES = 32, 512


class MysqlTable:
    """The statements. The dialect tells it about the column and the server."""

    def __init__(self, name: str) -> None:
        self._insert = _INSERT.format(table=name)
        self._delete = _DELETE.format(table=name)
        self._rows = _ROWS.format(table=name)
        self._largest = _LARGEST.format(table=name)
        self._name = name
        self.use_index(None)
        self.max_statement_bytes = 1_048_576
        self.channel_charset: str | None = "utf8mb4"
        self.channel_length: int | None = 100

    def use_index(self, index: str | None) -> None:
        """Read through this index on (channel, data_id).

        Left to itself, the server looks up the channel and walks over all rows before the page.
        """
        hint = f"FORCE INDEX (`{index.replace('`', '``')}`)" if index else ""
        self._sizes = _SIZES.format(table=self._name, of_channel=_OF_CHANNEL, hint=hint)
        self._read = _READ.format(table=self._name, of_channel=_OF_CHANNEL, hint=hint)
        self._age = partial(_AGE.format, table=self._name, of_channel=_OF_CHANNEL, hint=hint)

    def refusal(self, connection: Any, channel: str, texts: Sequence[str]) -> StoreError | None:
        """Names that the column cannot hold, statements over max_allowed_packet."""
        if not self._holds(channel):
            return StoreError(Code.UNAVAILABLE, "the table's channel column cannot hold this name")
        # Escaping doubles a character at most: only what is large gets a closer look.
        limit = self.max_statement_bytes - 1
        for text in texts:
            if len(text) * 2 + 2048 > limit and self._statement_bytes(connection, channel, text) > limit:
                return StoreError(Code.TOO_LARGE, "the item is over the database's max_allowed_packet")
        return None

    def insert(self, connection: Any, rows: Sequence[tuple[int, str, str]]) -> None:
        """See Table.insert. As many rows in a statement as fit, whatever must be escaped in them."""
        limit = min(self.max_statement_bytes, _STATEMENT_BYTES) - 2048
        values: list[object] = []
        size = 0
        with closing(connection.cursor()) as cursor:
            for row in rows:
                row_size = 2 * len(row[2]) + 8 * len(row[1]) + 64
                if values and size + row_size > limit:
                    self._insert_values(cursor, values)
                    values, size = [], 0
                values += row
                size += row_size
            self._insert_values(cursor, values)

    def delete(self, connection: Any, ids: Sequence[int]) -> None:
        """See Table.delete."""
        with closing(connection.cursor()) as cursor:
            for piece in chunks(ids, _IDS_PER_STATEMENT):
                cursor.execute(self._delete, (tuple(piece),))

    def read(
        self, connection: Any, channel: str, after_id: int, max_items: int, max_bytes: int
    ) -> Generator[Row, None, None]:
        """See Table.read. Lengths first: PyMySQL fetches all that a statement finds."""
        if not self._holds(channel):
            return
        exact = channel.encode()
        limit, room = min(max_items, _FIRST_SIZES), max_bytes
        with closing(connection.cursor()) as cursor:
            while cursor.execute(self._sizes, (channel, exact, after_id, limit)):
                last_id, size, count = _first_page(cursor.fetchall(), room)
                cursor.execute(self._read, (channel, exact, after_id, last_id, count))
                yield from cursor.fetchall()
                # What came so far was passed over, or there would be no next turn.
                room = room - size if size < room else max_bytes
                limit, after_id = min(limit * 4, _MOST_SIZES), last_id

    def ages(self, connection: Any, channels: Sequence[str]) -> dict[str, float]:
        """See Table.ages."""
        names = [name for name in channels if self._holds(name)]
        ages: dict[str, float] = {}
        with closing(connection.cursor()) as cursor:
            for start in range(0, len(names), _NAMES_PER_STATEMENT):
                piece = names[start : start + _NAMES_PER_STATEMENT]
                values = [value for name in piece for value in (name, name.encode(), 0)]
                parts = [self._age(place=place) for place in range(len(piece))]
                cursor.execute(" UNION ALL ".join(parts), values)
                ages.update((piece[place], age_s) for place, age_s in cursor.fetchall() if age_s is not None)
        return ages

    def taken(self, connection: Any, ids: Sequence[int]) -> tuple[list[Row], int]:
        """See Table.taken."""
        rows: list[Row] = []
        with closing(connection.cursor()) as cursor:
            for piece in chunks(ids, _IDS_PER_STATEMENT):
                cursor.execute(self._rows, (tuple(piece),))
                rows += cursor.fetchall()
            cursor.execute(self._largest)
            return rows, int(cursor.fetchone()[0])

    def _insert_values(self, cursor: Any, values: Sequence[object]) -> None:
        cursor.execute(self._insert + ", ".join([_VALUES] * (len(values) // 3)), values)

    def _statement_bytes(self, connection: Any, channel: str, text: str) -> int:
        with closing(connection.cursor()) as cursor:
            # One more for the command's own byte.
            return len(cursor.mogrify(self._insert + _VALUES, (2**63, channel, text)).encode()) + 1

    def _holds(self, channel: str) -> bool:
        charset = self.channel_charset
        try:
            channel.encode(_CODECS.get(charset or "", "utf-8"))
        except UnicodeEncodeError:
            return False
        if charset in _BMP_ONLY and any(character > "\uffff" for character in channel):
            return False
        length = len(channel) if charset else len(channel.encode())
        return self.channel_length is None or length <= self.channel_length


def _first_page(sizes: Sequence[tuple[int, int]], max_bytes: int) -> tuple[int, int, int]:
    """Last id, bytes and number of the rows that fit, at least one."""
    last_id, total, count = sizes[0][0], int(sizes[0][1]), 1
    for item_id, size in sizes[1:]:
        if total + size > max_bytes:
            break
        last_id, total, count = item_id, total + int(size), count + 1
    return last_id, total, count
