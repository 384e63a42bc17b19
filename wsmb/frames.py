"""WebSocket framing (RFC 6455, section 5.2): of all that goes out, and of everyday frames that come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

TEXT = 0x81  # FIN and opcode 1
BINARY = 0x82
_PING = 0x89
PONG = 0x8A
_EVERYDAY = {TEXT, BINARY, PONG}
_LARGE_BYTES = 1_024
_SHORT_HEADERS = [bytes((TEXT, size)) for size in range(126)]


def text_frame(payload: bytes) -> bytes:
    """One unfragmented text frame, header and `payload` (UTF-8) in one piece."""
    size = len(payload)
    if size < 126:
        return _SHORT_HEADERS[size] + payload
    if size < 65536:
        return bytes((TEXT, 126, size >> 8, size & 0xFF)) + payload
    return bytes((TEXT, 127)) + size.to_bytes(8, "big") + payload


class Bundle:
    """Frames that all go to the same peers. It grows until the first of them is sent it."""

    __slots__ = ("_data", "_frames")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._data: bytes | None = None

    @property
    def is_sealed(self) -> bool:
        """Whether it is too late to add to it."""
        return self._data is not None

    @property
    def count(self) -> int:
        """How many frames it has."""
        return len(self._frames)

    def add(self, frame: bytes) -> None:
        """Add one complete frame. It must not be sealed."""
        self._frames.append(frame)

    def seal(self) -> bytes:
        """All frames in a row: one object, however many peers are sent it."""
        if self._data is None:
            self._data = b"".join(self._frames)
        return self._data


def ping_frame(payload: bytes) -> bytes:
    """A ping. `payload`: 1 to 125 bytes; the PHP client fails on an empty frame."""
    return bytes((_PING, len(payload))) + payload


Unmask = Callable[[bytes, bytes], bytes]
"""(payload, mask of 4 bytes) to the payload as it was before."""


def unmask(payload: bytes, mask: bytes) -> bytes:
    """Unmask as one large integer: the fastest that Python has for up to about 1,000 bytes."""
    size = len(payload)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


class Taken(NamedTuple):
    """What `take_frames` has found."""

    payloads: list[bytes]
    kind: int
    """Their first byte: TEXT, BINARY or PONG."""
    taken_bytes: int
    missing_bytes: int
    """If another everyday frame has begun behind them: how much of it has not come yet; else 0."""


ALL = 1 << 60
"""However many frames there are."""


def take_frames(data: bytes, most_bytes: int, unmask_large: Unmask, most: int = ALL) -> Taken:
    """Cut the everyday frames off the front of `data`, as long as they are of one kind, and `most` of them.

    Everyday frames are final, masked, without extension, text (in UTF-8), binary or pongs, and of at
    most `most_bytes`. All else is left to a general parser.
    """
    payloads: list[bytes] = []
    from_bytes = int.from_bytes
    start, end = 0, len(data)
    kind = data[0] if data else 0
    if kind not in _EVERYDAY:
        return Taken(payloads, kind, 0, 0)
    while end - start >= 6 and data[start] == kind:
        size = data[start + 1] - 0x80
        mask_at = start + 2
        if size >= 126:
            if kind == PONG:
                break
            size, mask_at = _long_size(data, start, size)
        payload_at = mask_at + 4
        next_at = payload_at + size
        if not 0 <= size <= most_bytes or payload_at > end:
            break
        if next_at > end:
            return Taken(payloads, kind, start, next_at - end)
        payload, mask = data[payload_at:next_at], data[mask_at:payload_at]
        if size < _LARGE_BYTES:
            # What `unmask` does, without a call for each frame.
            repeated = from_bytes((mask * (size // 4 + 1))[:size], "little")
            payload = (from_bytes(payload, "little") ^ repeated).to_bytes(size, "little")
        else:
            payload = unmask_large(payload, mask)
        if kind == TEXT and not payload.isascii() and not _is_utf_8(payload):
            break
        payloads.append(payload)
        start = next_at
        if len(payloads) >= most:
            break
    return Taken(payloads, kind, start, 0)


def _long_size(data: bytes, start: int, code: int) -> tuple[int, int]:
    """The extended length of the frame at `start`, and where it ends; -1 if it is written too long.

    65,535 may be written in 64 bits: the original's client does so.
    """
    end = start + (4 if code == 126 else 10)
    size = int.from_bytes(data[start + 2 : end], "big")
    return (size if size >= (126 if code == 126 else 65_535) else -1), end


def _is_utf_8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def frame_out(frame: bytes) -> tuple[int, bytes]:
    """(first byte, payload) of one frame that this module has made."""
    size = frame[1]
    return frame[0], frame[2 if size < 126 else 4 if size == 126 else 10 :]
