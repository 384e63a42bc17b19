"""Tests for wsmb.frames."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support import parse_frames
from tests.support_protocol import client_frame
from wsmb import frames
from wsmb.frames import BINARY, PONG, TEXT
from wsmb.reading import unmask_large


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


def take(data: bytes, most_bytes: int = 1_000_000) -> frames.Taken:
    return frames.take_frames(data, most_bytes, frames.unmask)


class TakeFramesTests(SynchronousTestCase):
    """The fast reader on its own; tests/test_differential.py holds it against Autobahn's parser."""

    def test_nothing(self) -> None:
        self.assertEqual(take(b""), ([], 0, 0, 0))

    def test_frames_and_the_beginning_of_another(self) -> None:
        whole = client_frame(b"one") + client_frame(b"x" * 200) + client_frame(b"")
        self.assertEqual(
            take(whole + client_frame(b"four")[:-1]), ([b"one", b"x" * 200, b""], TEXT, len(whole), 1)
        )

    def test_a_header_that_is_not_complete(self) -> None:
        for size, header in ((3, 6), (200, 8), (70_000, 14)):
            frame = client_frame(b"x" * size)
            for cut in range(header):
                self.assertEqual(take(frame[:cut])[0::2], ([], 0))
                self.assertEqual(take(frame[:cut]).missing_bytes, 0)
            self.assertEqual(take(frame[:header]), ([], TEXT, 0, size))

    def test_pongs(self) -> None:
        pongs = client_frame(b"", 10) + client_frame(b"wsmb 1", 10)
        self.assertEqual(take(pongs), ([b"", b"wsmb 1"], PONG, len(pongs), 0))
        self.assertEqual(take(client_frame(b"x" * 126, 10)), ([], PONG, 0, 0))

    def test_one_kind_at_a_time(self) -> None:
        text, binary = client_frame(b"a"), client_frame(b"b", 2)
        self.assertEqual(take(text + binary), ([b"a"], TEXT, len(text), 0))
        self.assertEqual(take(binary + text), ([b"b"], BINARY, len(binary), 0))

    def test_what_is_left_to_the_parser(self) -> None:
        for frame in (
            client_frame(b"ping", 9),
            client_frame(b"\x03\xe8", 8),
            client_frame(b"a", final=False),
            client_frame(b"a", 0),
            client_frame(b"a", 3),
            client_frame(b"abcdef", masked=False),
            client_frame(b"\xff"),
            client_frame(b"\xc3"),
            client_frame(b"x" * 100, long=True),
            b"\xc1" + client_frame(b"a")[1:],
            b"\x81\xfe\x00\x03" + b"mask" + b"abc",
            client_frame(b"x" * 20),
        ):
            first = client_frame(b"first")
            self.assertEqual(take(first + frame, most_bytes=19), ([b"first"], TEXT, len(first), 0))

    def test_no_more_than_may_come(self) -> None:
        one = client_frame(b"a")
        taken = frames.take_frames(one * 5 + one[:3], 100, frames.unmask, 2)
        self.assertEqual(taken, ([b"a"] * 2, TEXT, 2 * len(one), 0))

    def test_binary_need_not_be_utf_8(self) -> None:
        self.assertEqual(take(client_frame(b"\xff", 2)).payloads, [b"\xff"])

    def test_65535_bytes_with_a_64_bit_length(self) -> None:
        payload = b"x" * 65_535
        self.assertEqual(take(client_frame(payload, long=True)).payloads, [payload])

    @given(st.binary(max_size=100), st.binary(min_size=4, max_size=4))
    def test_unmask(self, payload: bytes, mask: bytes) -> None:
        expected = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self.assertEqual(frames.unmask(payload, mask), expected)
        self.assertEqual(unmask_large(payload, mask), expected)
