"""What waits in the original's table, by channel: in portions, and of single rows. In the pool's thread.

The same statements for every dialect, but for the few words that each has its own of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from wsmb.stock import Rows
from wsmb.store.json_text import as_bytes
from wsmb.store.operations import Count, Operation

_PORTION = """
SELECT name, COUNT(*), SUM(size), MAX(data_id)
FROM (
    SELECT data_id, {channel} AS name, COALESCE({size}, 0) AS size FROM {table}
    WHERE data_id > {mark} ORDER BY data_id LIMIT {mark}
) AS seen
GROUP BY name"""
# Mostly they are of one channel, and to group takes longer than all else.
_OF_ONE = """
SELECT MIN(name), MAX(name), MIN(data_id), MAX(data_id), COUNT(*), SUM(size)
FROM (
    SELECT data_id, {channel} AS name, COALESCE({size}, 0) AS size FROM {table} WHERE data_id IN ({marks})
) AS seen"""
_OF_IDS = """
SELECT name, is_ahead, COUNT(*), SUM(size)
FROM (
    SELECT {channel} AS name, COALESCE({size}, 0) AS size, data_id > {mark} AS is_ahead FROM {table}
    WHERE data_id IN ({marks})
) AS seen
GROUP BY name, is_ahead"""

_LARGEST_ID = 2**63 - 1
_SIZES = (1, 10, 30, 100)


class CensusWords(NamedTuple):
    """What the dialects say each in their own way."""

    mark: str
    """Where a parameter goes."""
    table: str
    """The original's table, with what stands around a name."""
    channel: str
    """The channel, compared byte by byte."""
    size: str
    """The bytes of `data`."""


class Census:
    """The statements. It remembers how far the count that is under way has come."""

    def __init__(self, words: CensusWords) -> None:
        self._portion = _PORTION.format(**words._asdict())
        marks = {size: ", ".join([words.mark] * size) for size in _SIZES}
        self._of_one = {size: _OF_ONE.format(**words._asdict(), marks=marks[size]) for size in _SIZES}
        self._of_ids = {size: _OF_IDS.format(**words._asdict(), marks=marks[size]) for size in _SIZES}
        self._counted_to = _LARGEST_ID

    def begin_again(self, operations: Iterable[Operation]) -> None:
        """Before a transaction, which may be tried for the second time: the counts in it have counted
        nothing yet."""
        for operation in operations:
            if type(operation) is Count:
                self._counted_to = operation.after_id
                return

    def portion(self, connection: Any, after_id: int, most: int) -> tuple[list[Rows], int | None]:
        """The next `most` rows above `after_id`, and the id of the last one; None if there are no more."""
        with closing(connection.cursor()) as cursor:
            cursor.execute(self._portion, (after_id, most))
            found = cursor.fetchall()
        rows = [Rows(_text(name), items, int(size)) for name, items, size, _ in found]
        is_last = sum(each.items for each in rows) < most
        self._counted_to = _LARGEST_ID if is_last else max(row[3] for row in found)
        return rows, None if is_last else self._counted_to

    def of(self, connection: Any, ids: Sequence[int]) -> list[Rows]:
        """What is there with these ids."""
        rows: list[Rows] = []
        with closing(connection.cursor()) as cursor:
            for piece in _pieces(ids):
                cursor.execute(self._of_one[len(piece)], piece)
                name, other, first, last, items, size = cursor.fetchone()
                if name != other or (items and first <= self._counted_to < last):
                    rows += self._of_several(cursor, piece)
                elif items:
                    rows.append(Rows(_text(name), items, int(size), last <= self._counted_to))
        return rows

    def _of_several(self, cursor: Any, ids: Sequence[int]) -> Iterator[Rows]:
        cursor.execute(self._of_ids[len(ids)], (self._counted_to, *ids))
        for name, is_ahead, items, size in cursor.fetchall():
            yield Rows(_text(name), items, int(size), not is_ahead)


def _text(channel: object) -> str:
    """NULL is as no channel is called."""
    return (as_bytes(channel) or b"").decode("utf-8", "replace")


def _pieces(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """Of few lengths, filled up with the last id: so there are few texts, which drivers keep prepared."""
    for start in range(0, len(ids), _SIZES[-1]):
        piece = ids[start : start + _SIZES[-1]]
        size = next(size for size in _SIZES if size >= len(piece))
        yield [*piece, *[piece[-1]] * (size - len(piece))]
