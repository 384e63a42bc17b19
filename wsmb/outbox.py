"""What goes out on one connection: gathered during a turn of the reactor, sent at its end.

What the peer does not take waits here, as the very frames that all receivers share, and goes to the
transport in chunks when it asks for more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.tcp import Server
from twisted.logger import Logger
from zope.interface import implementer

from wsmb.frames import Bundle

CHUNK_BYTES = 131_072
FULL_BYTES = 262_144
LARGE_BYTES = 16_384
MOST_PIECES = 1_024  # IOV_MAX of Linux

_log = Logger()

Piece = bytes | memoryview


class Flusher:
    """The outboxes that have something to send; one call at the end of the turn empties them all."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._outboxes: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        """Flush `outbox` at the end of this turn."""
        if not self._outboxes:
            self._reactor.callLater(0, self._flush)
        self._outboxes.append(outbox)

    def _flush(self) -> None:
        outboxes, self._outboxes = self._outboxes, []
        for outbox in outboxes:
            try:
                outbox.flush()
            except Exception:
                # The others are not to wait for ever for what one of them has met.
                _log.failure("an outbox could not be flushed")


@implementer(IPushProducer)
class Outbox:
    """The outgoing bytes of one connection, in order, over any transport.

    `overflow` is called when more than `max_bytes` wait for a peer that does not read; what waits
    is dropped then, but for the rest of a frame that has begun to go, and nothing is taken any more
    until `go_on`.
    """

    __slots__ = (
        "_blocked",
        "_closed",
        "_drops",
        "_flusher",
        "_fresh",
        "_is_attached",
        "_is_ending",
        "_max_bytes",
        "_overflow",
        "_queue",
        "_queued_bytes",
        "_transport",
        "frames_out",
        "has_moved",
    )

    def __init__(
        self, transport: Any, flusher: Flusher, max_bytes: int, overflow: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._flusher = flusher
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._queue: list[Piece] = []
        self._queued_bytes = 0  # counted only while blocked
        # What came since the first bundle of this turn; behind the queue.
        self._fresh: list[bytes | Bundle] = []
        self._blocked = False
        self._closed = False
        self._drops = False
        self._is_ending = False
        self.frames_out = 0
        self.has_moved = False
        """Set whenever the peer has taken something of what had to wait."""
        self._attach()

    def put(self, frame: bytes) -> None:
        """Send `frame` after all that was put before, at the end of this turn of the reactor."""
        self.frames_out += 1
        if self._blocked or self._fresh:
            self._put_aside(frame)
            return
        queue = self._queue
        queue.append(frame)
        if len(queue) == 1:
            self._flusher.add(self)

    def put_bundle(self, bundle: Bundle) -> None:
        """Send what `bundle` will hold then, as `put` does."""
        if not self._closed:
            if not self._fresh:
                self._flusher.add(self)
            self._fresh.append(bundle)

    @property
    def queued_bytes(self) -> int:
        """How much waits here for a peer that does not read; what the transport has is not counted."""
        return self._queued_bytes

    def is_full(self) -> bool:
        """Whether more waits for the peer than it should."""
        return self._queued_bytes > FULL_BYTES

    def flush(self) -> None:
        """Hand the transport what it will take."""
        self._unpack()
        while self._queue and not self._blocked:
            self._transport.write(self._take_chunk())

    def end(self) -> None:
        """Hand over the rest, behind which the transport is to be closed.

        (Twisted does not end TLS while there is a producer.)
        """
        self._is_ending = True
        self.flush()
        self._let_go()

    def go_on(self) -> None:
        """Take frames again after an overflow."""
        self._drops = False

    def close(self) -> None:
        """Drop what waits and take nothing any more. The transport is free to be closed."""
        if not self._closed:
            self._closed = self._blocked = True
            self._queue.clear()
            self._fresh.clear()
            self._queued_bytes = 0
            self._detach()

    # IPushProducer

    def pauseProducing(self) -> None:
        """The transport has enough (called by Twisted)."""
        self._blocked = True
        self._queued_bytes = sum(map(len, self._queue))

    def resumeProducing(self) -> None:
        """The transport wants more (called by Twisted)."""
        self.has_moved = True
        if not self._closed:
            self._blocked = False
            self._queued_bytes = 0
            self.flush()
            self._let_go()

    def stopProducing(self) -> None:
        """The connection has ended (called by Twisted)."""
        self.close()

    def _attach(self) -> None:
        self._is_attached = True
        self._transport.registerProducer(self, True)

    def _detach(self) -> None:
        if self._is_attached:
            self._is_attached = False
            self._transport.unregisterProducer()

    def _let_go(self) -> None:
        if self._is_ending and not self._queue:
            self._detach()

    def _put_aside(self, frame: bytes) -> None:
        if self._fresh:
            self._fresh.append(frame)
        elif not self._closed:
            self._append(frame)

    def _unpack(self) -> None:
        """Close the bundles, and put them at the end of the queue."""
        fresh, self._fresh = self._fresh, []
        for piece in fresh:
            if self._closed:
                return
            if isinstance(piece, bytes):
                self._append(piece)
            else:
                self._append(piece.seal())
                self.frames_out += piece.count

    def _append(self, data: bytes) -> None:
        if self._drops:
            return
        self._queue.append(data)
        if self._blocked:
            self._queued_bytes += len(data)
            if self._queued_bytes > self._max_bytes:
                # A view is what is left of something that has begun to go.
                del self._queue[1 if isinstance(self._queue[0], memoryview) else 0 :]
                self._queued_bytes = sum(map(len, self._queue))
                self._drops = True
                self._overflow()

    def _take_chunk(self) -> bytes:
        """Up to CHUNK_BYTES from the front of the queue."""
        room = CHUNK_BYTES
        taken: list[Piece] = []
        for piece in self._queue:
            if len(piece) > room:
                break
            taken.append(piece)
            room -= len(piece)
        del self._queue[: len(taken)]
        if self._queue and room:
            rest = memoryview(self._queue[0])
            taken.append(rest[:room])
            self._queue[0] = rest[room:]
        return b"".join(taken)


@implementer(IPullProducer)
class SocketOutbox(Outbox):
    """An Outbox for TCP, which asks the socket itself first.

    Twisted's `transport.write` costs two `epoll_ctl` calls and a wake-up for each receiver. Here the
    transport only gets, chunk by chunk, what the kernel did not take; until that is gone the outbox
    is blocked, so that nothing can pass it.
    """

    __slots__ = ("_send", "_sendmsg")

    def flush(self) -> None:
        """Send what has gathered with one call."""
        if self._fresh:
            self._unpack()
        queue = self._queue
        if self._blocked or not queue:
            return
        try:
            sent = self._send_queue(queue)
        except BlockingIOError:
            sent = 0
        except OSError:
            # The peer is gone. The reactor finds out as soon as it has read what came before.
            queue.clear()
            return
        if sent:
            self._forget(sent)
        if queue:
            self._blocked = True
            self._queued_bytes = sum(map(len, queue))
            self._transport.registerProducer(self, False)

    def end(self) -> None:
        """Hand over the rest; Twisted does not mind its producer."""
        self.flush()

    def _send_queue(self, queue: list[Piece]) -> int:
        if len(queue) == 1:
            return self._send(queue[0])
        if len(queue[0]) < LARGE_BYTES:
            return self._send(b"".join(queue))
        return self._sendmsg(queue[:MOST_PIECES])

    def _forget(self, sent: int) -> None:
        queue = self._queue
        gone = 0
        for piece in queue:
            if sent < len(piece):
                break
            sent -= len(piece)
            gone += 1
        del queue[:gone]
        if sent:
            queue[0] = memoryview(queue[0])[sent:]

    def resumeProducing(self) -> None:
        """The transport has nothing left to send (called by Twisted)."""
        self.has_moved = True
        self._unpack()
        if self._queue:
            chunk = self._take_chunk()
            self._queued_bytes -= len(chunk)
            self._transport.write(chunk)
        elif not self._closed:
            self._blocked = False
            self._transport.unregisterProducer()

    def _attach(self) -> None:
        self._send: Callable[[Piece], int] = self._transport.socket.send
        self._sendmsg: Callable[[list[Piece]], int] = self._transport.socket.sendmsg

    def _detach(self) -> None:
        if self._transport.producer is self:
            self._transport.unregisterProducer()
        del self._send, self._sendmsg


def make_outbox(transport: Any, flusher: Flusher, max_bytes: int, overflow: Callable[[], None]) -> Outbox:
    """The fastest outbox for `transport`."""
    kind = SocketOutbox if isinstance(transport, Server) else Outbox
    return kind(transport, flusher, max_bytes, overflow)
