"""Tests for wsmb.outbox, over Twisted's string transport and over a socket pair."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from wsmb.frames import Bundle
from wsmb.outbox import CHUNK_BYTES, FULL_BYTES, Flusher, Outbox, SocketOutbox

MAX_BYTES = 2_000_000


class SocketTransport:
    """What a SocketOutbox needs of `twisted.internet.tcp.Server`, with the kernel's buffers below it."""

    def __init__(self) -> None:
        self.socket, self.peer = socket.socketpair()
        for end in (self.socket, self.peer):
            end.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        self.producer: Any = None
        self.buffer = b""

    def write(self, data: bytes) -> None:
        self.buffer += data

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if streaming or self.producer is not None:
            raise AssertionError("one pull producer at a time")
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def pump(self) -> bytes:
        """Let the peer read and the transport write until nothing moves; what the peer has read."""
        read = b""
        while True:
            before = len(read), len(self.buffer)
            with contextlib.suppress(BlockingIOError):
                while data := self.peer.recv(1 << 20):
                    read += data
            with contextlib.suppress(BlockingIOError):
                self.buffer = self.buffer[self.socket.send(self.buffer) :] if self.buffer else b""
            if not self.buffer and self.producer is not None:
                self.producer.resumeProducing()
            elif before == (len(read), len(self.buffer)):
                return read

    def close(self) -> None:
        self.socket.close()
        self.peer.close()


class OutboxTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.overflows = 0

    def overflow(self) -> None:
        self.overflows += 1

    def string_outbox(self) -> tuple[Outbox, StringTransport]:
        transport = StringTransport()
        return Outbox(transport, Flusher(self.clock), MAX_BYTES, self.overflow), transport

    def socket_outbox(self) -> tuple[SocketOutbox, SocketTransport]:
        transport = SocketTransport()
        self.addCleanup(transport.close)
        return SocketOutbox(transport, Flusher(self.clock), MAX_BYTES, self.overflow), transport


class OrdinaryTransportTests(OutboxTestCase):
    def test_gathered_and_written_once_at_the_end_of_the_turn(self) -> None:
        outbox, transport = self.string_outbox()
        outbox.put(b"a")
        outbox.put(b"b")
        self.assertEqual(transport.value(), b"")
        self.clock.advance(0)
        self.assertEqual((transport.value(), outbox.frames_out), (b"ab", 2))

    def test_a_transport_that_has_enough_gets_no_more(self) -> None:
        outbox, transport = self.string_outbox()
        transport.producer.pauseProducing()
        outbox.put(b"a")
        self.clock.advance(0)
        self.assertEqual(transport.value(), b"")
        transport.producer.resumeProducing()
        self.assertEqual(transport.value(), b"a")

    def test_at_its_end_the_transport_is_rid_of_its_producer_behind_the_rest(self) -> None:
        """Else Twisted would never end TLS."""
        outbox, transport = self.string_outbox()
        outbox.put(b"a")
        outbox.end()
        self.assertEqual((transport.value(), transport.producer), (b"a", None))
        outbox, transport = self.string_outbox()
        transport.producer.pauseProducing()
        outbox.put(b"a")
        outbox.end()
        transport.producer.resumeProducing()
        self.assertEqual((transport.value(), transport.producer), (b"a", None))
        outbox.close()

    def test_bundles_between_frames_grow_until_the_end_of_the_turn(self) -> None:
        outbox, transport = self.string_outbox()
        first, second = Bundle(), Bundle()
        outbox.put(b"a")
        outbox.put_bundle(first)
        first.add(b"b")
        outbox.put(b"d")
        outbox.put_bundle(second)
        first.add(b"c")
        second.add(b"e")
        self.clock.advance(0)
        self.assertEqual((transport.value(), outbox.frames_out), (b"abcde", 5))
        self.assertTrue(first.is_sealed)

    def test_no_bundle_after_the_end(self) -> None:
        outbox, transport = self.string_outbox()
        bundle = Bundle()
        bundle.add(b"a")
        outbox.put_bundle(bundle)
        outbox.close()
        outbox.put_bundle(bundle)
        self.clock.advance(0)
        self.assertEqual(transport.value(), b"")

    def test_overflow(self) -> None:
        outbox, transport = self.string_outbox()
        transport.producer.pauseProducing()
        for _ in range(3):
            outbox.put(bytes(MAX_BYTES // 2))
        self.assertEqual(self.overflows, 1)
        outbox.put(b"more")
        self.assertEqual(self.overflows, 1)
        outbox.go_on()
        outbox.put(b"last")
        outbox.resumeProducing()
        self.assertEqual(transport.value(), b"last")

    def test_full(self) -> None:
        outbox, transport = self.string_outbox()
        transport.producer.pauseProducing()
        outbox.put(bytes(FULL_BYTES))
        self.assertFalse(outbox.is_full())
        outbox.put(b"x")
        self.assertTrue(outbox.is_full())
        transport.producer.resumeProducing()
        self.assertFalse(outbox.is_full())

    def test_nothing_after_the_end(self) -> None:
        outbox, transport = self.string_outbox()
        outbox.put(b"a")
        outbox.close()
        outbox.close()
        outbox.put(b"b")
        self.clock.advance(0)
        self.assertEqual(transport.value(), b"")


class SocketTests(OutboxTestCase):
    def test_straight_into_the_socket(self) -> None:
        outbox, transport = self.socket_outbox()
        outbox.put(b"a")
        outbox.put(b"b")
        self.clock.advance(0)
        self.assertEqual(transport.peer.recv(10), b"ab")
        self.assertEqual(transport.buffer, b"", "nothing for the transport to do")

    def test_a_slow_reader_costs_no_copy_of_what_waits(self) -> None:
        outbox, transport = self.socket_outbox()
        frame = bytes(MAX_BYTES // 2)
        outbox.put(frame)
        self.clock.advance(0)
        outbox.put(frame)
        self.assertLessEqual(len(transport.buffer), CHUNK_BYTES)
        self.assertTrue(all(getattr(piece, "obj", piece) is frame for piece in outbox._queue))
        self.assertEqual((len(transport.pump()), outbox.frames_out), (MAX_BYTES, 2))

    def test_large_frames_are_not_joined(self) -> None:
        outbox, transport = self.socket_outbox()
        pieces = [bytes([number]) * 100_000 for number in range(5)]
        for piece in pieces:
            outbox.put(piece)
        self.clock.advance(0)
        self.assertEqual(transport.pump(), b"".join(pieces))

    def test_a_bundle_for_slow_readers_is_kept_once(self) -> None:
        outboxes = [self.socket_outbox()[0] for _ in range(2)]
        for outbox in outboxes:
            outbox.put(bytes(MAX_BYTES // 4))
        self.clock.advance(0)
        bundle = Bundle()
        for outbox in outboxes:
            outbox.put_bundle(bundle)
        for _ in range(3):
            bundle.add(bytes(100_000))
        self.clock.advance(0)
        for outbox in outboxes:
            self.assertIs(outbox._queue[-1], bundle.seal())
            self.assertTrue(outbox.is_full())

    def test_bundles_overflow_as_well(self) -> None:
        outbox, _ = self.socket_outbox()
        for _ in range(30):
            bundle = Bundle()
            outbox.put_bundle(bundle)
            bundle.add(bytes(100_000))
            self.clock.advance(0)
        self.assertEqual(self.overflows, 1)

    def test_overflow_of_a_reader_that_does_not_read(self) -> None:
        outbox, _ = self.socket_outbox()
        for _ in range(30):
            outbox.put(bytes(100_000))
            self.clock.advance(0)
        self.assertEqual(self.overflows, 1)

    def test_a_peer_that_is_gone(self) -> None:
        outbox, transport = self.socket_outbox()
        transport.peer.close()
        for _ in range(3):
            outbox.put(b"a")
            self.clock.advance(0)
        self.assertEqual((self.overflows, transport.producer), (0, None))

    def test_closed_while_it_waits(self) -> None:
        outbox, transport = self.socket_outbox()
        outbox.put(bytes(MAX_BYTES))
        self.clock.advance(0)
        outbox.close()
        outbox.put(b"b")
        self.assertEqual((transport.producer, outbox.is_full()), (None, False))

    @given(
        st.lists(
            st.one_of(
                st.integers(1, 300_000),
                st.integers(1, 100),
                st.just("turn"),
                st.just("bundle"),
                st.just("read"),
            ),
            max_size=30,
        )
    )
    @examples(50)
    def test_all_bytes_in_order(self, steps: list[Any]) -> None:
        outbox, transport = self.socket_outbox()
        outbox._max_bytes = 1 << 40
        expected, got = b"", b""
        for number, step in enumerate(steps):
            if step == "turn":
                self.clock.advance(0)
            elif step == "read":
                got += transport.pump()
            elif step == "bundle":
                bundle = Bundle()
                outbox.put_bundle(bundle)
                for _ in range(3):
                    bundle.add(number.to_bytes(2, "big"))
                    expected += number.to_bytes(2, "big")
            else:
                piece = number.to_bytes(2, "big") * (step // 2 + 1)
                expected += piece
                outbox.put(piece)
        self.clock.advance(0)
        got += transport.pump()
        self.assertTrue(got == expected)
        self.assertIsNone(transport.producer)
        transport.close()
