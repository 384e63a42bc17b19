"""WebSocket framing of what goes out (RFC 6455, section 5.2)."""

from __future__ import annotations

_TEXT = 0x81  # FIN and opcode 1
_PING = 0x89


def text_frame(payload: bytes) -> bytes:
    """One unfragmented text frame, header and `payload` (UTF-8) in one piece."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65536:
        return bytes((_TEXT, 126, size >> 8, size & 0xFF)) + payload
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big") + payload


def ping_frame(payload: bytes) -> bytes:
    """A ping. `payload`: 1 to 125 bytes; the PHP client fails on an empty frame."""
    return bytes((_PING, len(payload))) + payload
