"""Tests for wsmb.cli.lines: bytes of standard input, cut into lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import ReaderReactor
from wsmb.cli.lines import InputReader, Lines


class LinesTests(SynchronousTestCase):
    @given(st.lists(st.binary(max_size=6)))
    def test_any_pieces(self, pieces: list[bytes]) -> None:
        lines = Lines()
        found = [line for piece in pieces for _, line in lines.feed(piece)]
        found += [line for _, line in lines.end()]
        whole = b"".join(pieces).split(b"\n")
        self.assertEqual(found, whole if whole[-1] else whole[:-1])

    def test_too_long(self) -> None:
        lines = Lines(max_bytes=3)
        found = [
            *lines.feed(b"abc\nab"),
            *lines.feed(b"cd"),
            *lines.feed(b"e\nx\n"),
            *lines.feed(b"abcd"),
            *lines.end(),
        ]
        self.assertEqual(found, [(1, b"abc"), (2, None), (3, b"x"), (4, None)])


class InputReaderTests(SynchronousTestCase):
    def test_the_end_comes_once(self) -> None:
        ends: list[None] = []
        reader = InputReader(ReaderReactor(), -1, bytes, lambda: ends.append(None))
        reader.connectionLost(None)
        reader.connectionLost(None)
        self.assertEqual(len(ends), 1)
