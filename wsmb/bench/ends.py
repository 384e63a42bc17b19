"""A receiving and a sending connection of a load: non-blocking, many messages a system call."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable, Sequence
from functools import partial

from wsmb.bench.dialect import Dialect, pong_frame
from wsmb.bench.marks import MarkCounter, SampleFinder, Samples, body, find_pings
from wsmb.bench.opening import BenchError

READ_BYTES = 1_048_576
BLOCK_BYTES = 65_536
MOST_PIECES = 64
LONGEST_ANSWER_BYTES = 200
_REFUSAL = re.compile(rb'"response_code":"(?!00)..","response_text":"([^"]*)"')

_buffer = bytearray(READ_BYTES)  # what is read is counted at once


def _read(connection: socket.socket, who: str, say: Callable[[bytes], object]) -> int:
    """Read into the buffer; how many bytes. Pings are answered by `say`."""
    try:
        size = connection.recv_into(_buffer)
    except BlockingIOError:
        return 0
    except OSError as error:
        raise BenchError(f"lost a {who}: {error.strerror}") from None
    if not size:
        raise BenchError(f"the broker has ended the connection of a {who}")
    for payload in find_pings(_buffer, size):
        say(pong_frame(payload))
    return size


def _say(connection: socket.socket, frame: bytes) -> None:
    """Send a short frame on a connection that sends little else."""
    try:
        connection.send(frame)
    except OSError as error:
        raise BenchError(f"lost a receiver: {error.strerror}") from None


class Receiver:
    """One receiving connection. Only one that `observes` looks for timed messages."""

    def __init__(
        self, connection: socket.socket, dialect: Dialect, message_bytes: int, samples: Samples | None
    ) -> None:
        self.socket = connection
        self.received = 0
        self.has_answered = False
        self._dialect = dialect
        self._counter = MarkCounter(message_bytes)
        self._samples = samples
        self._finder = SampleFinder()
        self._tail: bytes | None = None

    def begin(self) -> None:
        """A new round begins."""
        self.received = 0
        self.has_answered = False
        self._tail = None

    def ask(self) -> None:
        """Ask for an answer, which comes behind all that is on its way to us."""
        self._tail = b""
        _say(self.socket, self._dialect.ping)

    def ready(self, mask: int) -> int:
        """There is something to read: how many messages it was."""
        size = _read(self.socket, "receiver", partial(_say, self.socket))
        marks = self._counter.feed(_buffer, size)
        self.received += marks
        if self._samples is not None and (ids := self._finder.feed(_buffer, size)):
            self._samples.arrived(ids)
        if self._tail is not None:
            data = self._tail + _buffer[:size]
            self.has_answered = self.has_answered or self._dialect.answer in data
            self._tail = data[-100:]
        return marks


class Sender:
    """One sending connection, which goes round its channels.

    What is not timed is sent from a block of frames that is built once.
    """

    def __init__(
        self,
        connection: socket.socket,
        dialect: Dialect,
        channels: Sequence[str],
        size: int,
        samples: Samples,
    ) -> None:
        self.socket = connection
        self.sent = 0
        self._dialect = dialect
        self._channels = channels
        self._samples = samples
        self._body_bytes = dialect.body_bytes(channels[0], size)
        frames = [dialect.publish(channel, body(self._body_bytes)) for channel in channels]
        self._frame_bytes = len(frames[0])
        turns = max(1, BLOCK_BYTES // (self._frame_bytes * len(frames)))
        self._block = memoryview(b"".join(frames) * turns)
        self._block_frames = turns * len(frames)
        self._pending: list[memoryview | bytes] = []

    @property
    def is_blocked(self) -> bool:
        """Whether the broker does not take what we have to say."""
        return bool(self._pending)

    def begin(self) -> None:
        """A new round begins."""
        self.sent = 0

    def put(self, count: int) -> None:
        """Send the next `count` messages; to be followed by `flush`."""
        frame_bytes = self._frame_bytes
        while count:
            at = self.sent % self._block_frames
            run = min(count, self._block_frames - at)
            self._pending.append(self._block[at * frame_bytes : (at + run) * frame_bytes])
            self.sent += run
            count -= run

    def put_timed(self, stamp: Callable[[], float]) -> None:
        """Send one message that is timed from what `stamp` gives."""
        channel = self._channels[self.sent % len(self._channels)]
        sample = self._samples.new_id()
        self._pending.append(self._dialect.publish(channel, body(self._body_bytes, sample)))
        self.sent += 1
        self._samples.sent(sample, stamp())

    def flush(self) -> None:
        """Send what the kernel takes."""
        pending = self._pending
        try:
            while pending:
                self._forget(self.socket.sendmsg(pending[:MOST_PIECES]))
        except BlockingIOError:
            pass
        except OSError as error:
            raise BenchError(f"lost a sender: {error.strerror}") from None

    def ready(self, mask: int) -> int:
        """The socket takes more, or there is something to read, which is no message for us."""
        if mask & ~select.EPOLLOUT:
            self._read()
        self.flush()
        return 0

    def _read(self) -> int:
        return _read(self.socket, "sender", self._pending.append)

    def _forget(self, sent: int) -> None:
        pending = self._pending
        gone = 0
        for piece in pending:
            if sent < len(piece):
                break
            sent -= len(piece)
            gone += 1
        del pending[:gone]
        if sent:
            pending[0] = memoryview(pending[0])[sent:]


class ConfirmedSender(Sender):
    """A sender that is told of each message. What it has been told counts as arrived."""

    def __init__(
        self,
        connection: socket.socket,
        dialect: Dialect,
        channels: Sequence[str],
        size: int,
        samples: Samples,
    ) -> None:
        super().__init__(connection, dialect, channels, size, samples)
        self._counter = MarkCounter(LONGEST_ANSWER_BYTES)
        self._finder = SampleFinder()
        self._tail = b""

    def ready(self, mask: int) -> int:
        """The socket takes more, or there is something to read: how many messages were confirmed."""
        marks = 0
        if mask & ~select.EPOLLOUT and (size := self._read()):
            marks = self._counter.feed(_buffer, size)
            if ids := self._finder.feed(_buffer, size):
                self._samples.arrived(ids)
            self._check(size)
        self.flush()
        return marks

    def _check(self, size: int) -> None:
        """Raises BenchError if a message was refused: that is answered as well."""
        data = self._tail + _buffer[:size]
        self._tail = data[-LONGEST_ANSWER_BYTES:]
        if refusal := _REFUSAL.search(data):
            raise BenchError(f"the broker has refused a message: {refusal[1].decode('utf-8', 'replace')}")
