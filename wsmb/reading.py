"""What a connection's bytes hold: frames, cut out and counted.

Autobahn reads what is not an everyday frame. What it does behind our back is put right here; each
remedy has a test in tests/test_protocol.py.
"""

from __future__ import annotations

from autobahn.websocket import USES_NVX
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]

from wsmb import frames
from wsmb.pausing import FOR_RATE, HELD, PausingProtocol

SMALL_FRAGMENT_BYTES = 512
"""Reading one smaller than that costs more than its bytes do, so they are counted."""


class ReadingProtocol(PausingProtocol):
    """A connection as far as it is read."""

    heard = True
    """Whether anything has come, for the factory's sweep."""
    _fragments = 0
    _missing_bytes = 0  # of an everyday frame that has begun with _pieces
    _pieces: list[bytes]
    _half_since_s = 0.0  # since when one message has been coming
    _frames_then = -1  # so that the first look begins to count
    _pongs = 0

    # What becomes of it

    @property
    def frames_in(self) -> int:
        """How many messages have come."""
        raise NotImplementedError

    @property
    def pings(self) -> int:
        """How many pings it has been sent."""
        raise NotImplementedError

    def messages_received(self, payloads: list[bytes], is_binary: bool) -> None:
        """Complete messages have come, all text or all binary."""
        raise NotImplementedError

    def pong_received(self, payload: bytes) -> None:
        """A pong has come."""
        raise NotImplementedError

    # Reading

    def begin_reading(self) -> None:
        """The upgrade has been answered: read what came with the request."""
        early, self.data = self.data, b""
        if early:
            self.dataReceived(early)

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        self.heard = True
        if self.is_checking:
            self.early_data_received(data)
        elif self.state == self.STATE_OPEN or self._missing_bytes:
            if self.factory.rates.is_limited:
                self._read_counted(data)
            else:
                self._read(data)
        else:
            self._dataReceived(data)

    def _read(self, data: bytes, most: int = frames.ALL) -> None:
        """Cut out everyday frames, and leave all else to Autobahn's parser, which takes 20 µs a frame.

        `most`: how many messages may come, if that is limited.
        """
        if self._missing_bytes:
            data = self._completed(data)
        if self.data and self.current_frame is None:
            data, self.data = self.data + data, b""
        while (
            data
            and self.state == self.STATE_OPEN
            and self.current_frame is None
            and not self.inside_message
            and not self._pauses & HELD
        ):
            if not most and not data[0] & _CONTROL_BIT:
                self.wait_for(FOR_RATE)  # another of the user's connections has used it up
                break
            payloads, kind, taken_bytes, missing_bytes = frames.take_frames(
                data, self.maxMessagePayloadSize, unmask_large, most
            )
            if payloads and kind != frames.PONG:
                self.messages_received(payloads, kind == frames.BINARY)
                if most != frames.ALL:
                    most = self._count_messages(len(payloads))
            else:
                for payload in payloads:
                    self.onPong(payload)
            if taken_bytes:
                data = data[taken_bytes:]
            if missing_bytes:
                self._pieces, self._missing_bytes = [data], missing_bytes
                return
            if not taken_bytes:
                break
        if data or self.data:
            self._dataReceived(data)

    def _completed(self, data: bytes) -> bytes:
        """The frame that had begun, and what is behind it; empty while some of it is missing."""
        self._pieces.append(data)
        self._missing_bytes -= len(data)
        if self._missing_bytes > 0:
            return b""
        data = b"".join(self._pieces)
        self._pieces, self._missing_bytes = [], 0
        return data

    def _read_counted(self, data: bytes) -> None:
        """Read what the user's rate has left. Only messages and their pieces count."""
        rates, frames_in, now_s = self.factory.rates, self.frames_in, self.factory.reactor.seconds()
        self._read(data, rates.frames_left(self.user, now_s))
        if (self.frames_in > frames_in or self.is_half_read) and not rates.take(
            self.user, 0, len(data), now_s
        ):
            self.wait_for(FOR_RATE)

    def _count_messages(self, count: int) -> int:
        """So many have come. How many more may; if none, what is behind them waits."""
        rates, now_s = self.factory.rates, self.factory.reactor.seconds()
        if not rates.take(self.user, count, 0, now_s):
            self.wait_for(FOR_RATE)
        return rates.frames_left(self.user, now_s)

    @property
    def is_half_read(self) -> bool:
        """Whether a frame or message has begun to come, and has not come to its end."""
        return bool(self._missing_bytes or self.data or self.inside_message or self.current_frame is not None)

    def message_takes_s(self, now_s: float) -> float:
        """How long one message has been coming, as far as calls of this have seen. While it is not read
        here, it takes no time."""
        frames_in = self.frames_in
        if self._pauses or not self.is_half_read or frames_in != self._frames_then:
            self._half_since_s, self._frames_then = now_s, frames_in
        return now_s - self._half_since_s

    def processData(self) -> bool:
        """Parse on; the original's client writes a frame of 65,535 bytes with a 64-bit length."""
        if self._pauses & HELD:
            return False
        data = self.data
        if self.current_frame is None and data[1:2] in (b"\xff", b"\x7f") and data[2:10] == _LENGTH_65535:
            self.data = data[:1] + bytes((data[1] - 1,)) + data[8:]
        return bool(super().processData())

    def onMessageBegin(self, isBinary: bool) -> None:
        """A message begins."""
        self._fragments = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of a message begins."""
        self._fragments += 1
        if self._fragments > self.factory.settings.limits.max_fragments:
            self._max_message_size_exceeded(0, 0, "too many fragments")
        if length < SMALL_FRAGMENT_BYTES and not self.current_frame.fin:
            self.count_control()
        super().onMessageFrameBegin(length)

    def onMessageEnd(self) -> None:
        """A message is complete."""
        if not self.failedByMe and self.state == self.STATE_OPEN:
            self.messages_received([b"".join(self.message_data)], self.message_is_binary)
            if self.factory.rates.is_limited:
                self._count_messages(1)
        self.message_data = []

    def onPong(self, payload: bytes) -> None:
        """A pong has come."""
        self._pongs += 1
        if self._pongs > self.pings:
            self.count_control()
        self.pong_received(payload)

    def onPing(self, payload: bytes) -> None:
        """A ping has come."""
        self.count_control()
        super().onPing(payload)


_CONTROL_BIT = 0x08
_LENGTH_65535 = (65_535).to_bytes(8, "big")


def unmask_large(payload: bytes, mask: bytes) -> bytes:
    """Unmask with Autobahn's own C code, where it is there: from 1,000 bytes it is the faster one."""
    if USES_NVX:
        return bytes(create_xor_masker(mask, len(payload)).process(payload))
    return frames.unmask(payload, mask)
