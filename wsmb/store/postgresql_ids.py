"""The sequence behind `data_id`: other programs that insert rows take their ids from it."""

from __future__ import annotations

from typing import Any

from wsmb.errors import SettingError

_FIND = "SELECT pg_get_serial_sequence(%s, 'data_id')"
_INCREMENT = "SELECT seqincrement FROM pg_sequence WHERE seqrelid = %s::regclass"
_LAST = "SELECT COALESCE(pg_sequence_last_value(%s::regclass), 0)"
_CLAIM = """
SELECT MIN(id), MAX(id), COUNT(*)
FROM (SELECT nextval(%s::regclass) AS id FROM generate_series(1, %s::bigint)) AS claimed"""
_RAISE = "SELECT setval(%s::regclass, %s::bigint)"


class IdsPassedError(Exception):
    """Somebody else has asked the sequence for some of the ids."""


class IdSequence:
    """The ids are the writer's, so that a batch can be tried again under the same ones; but they are
    claimed from the sequence first. Set to our last id instead, it could go back behind a number that
    another program has just been given, and that program's row would meet ours.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._sequence: str | None = None
        self._first = self._last = 0
        """The ids that need no claim: claimed, or found to be free after a try that had claimed them."""

    def open(self, cursor: Any, largest: int) -> int:
        """Find the sequence; returns the largest id ever given. `largest` is the largest that is there."""
        cursor.execute(_FIND, (f'"{self._table}"',))
        (self._sequence,) = cursor.fetchone()
        if self._sequence is None:
            return largest
        cursor.execute(_INCREMENT, (self._sequence,))
        if cursor.fetchone()[0] != 1:
            message = (
                f"[database] prefix: the sequence {self._sequence} does not count by 1;"
                f" ALTER SEQUENCE {self._sequence} INCREMENT BY 1, or choose another prefix"
            )
            raise SettingError(message)
        return max(self.largest(cursor), largest)

    def largest(self, cursor: Any) -> int:
        """The largest id that the sequence has ever given; 0 if there is no sequence."""
        if self._sequence is None:
            return 0
        cursor.execute(_LAST, (self._sequence,))
        return int(cursor.fetchone()[0])

    def claim(self, cursor: Any, first: int, last: int) -> None:
        """Take these ids out of the sequence. IdsPassedError if it had got beyond them."""
        if self._sequence is None or self._first <= first <= last <= self._last:
            return
        cursor.execute(_CLAIM, (self._sequence, last - first + 1))
        lowest, highest, count = cursor.fetchone()
        if highest < last:  # rows were inserted with ids of their own, past the sequence
            cursor.execute(_RAISE, (self._sequence, last))
        elif lowest > first or highest - lowest + 1 != count:
            raise IdsPassedError(f"the sequence is at {highest} instead of {last}")
        self.need_no_claim(first, last)

    def need_no_claim(self, first: int, last: int) -> None:
        """No row has these ids, and an earlier try may have claimed them."""
        if first != self._last + 1:
            self._first = first
        self._last = last
