"""Tests for wsmb.frames."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support import parse_frames
from wsmb import frames


class TextFrameTests(SynchronousTestCase):
    def test_shortest_form_of_each_length(self) -> None:
        for size, header in (
            (0, b"\x81\x00"),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\x00\x7e"),
            (65_535, b"\x81\x7e\xff\xff"),
            (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ):
            self.assertEqual(frames.text_frame(b"x" * size), header + b"x" * size)

    @given(st.lists(st.binary()))
    def test_frames_in_a_row(self, payloads: list[bytes]) -> None:
        stream = b"".join(map(frames.text_frame, payloads))
        self.assertEqual(parse_frames(stream), [(0x81, payload) for payload in payloads])

    def test_ping(self) -> None:
        self.assertEqual(frames.ping_frame(b"wsmb"), b"\x89\x04wsmb")
