"""Just enough of MQTT and NATS over WebSocket to put a load on brokers that speak them (see wsmb.bench)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from wsmb.bench.dialect import binary_frame


class MqttDialect:
    """MQTT 3.1.1, QoS 0. A message is its payload; the topic comes on top."""

    subprotocol = "mqtt"
    is_patient = True
    answer = b"\xd0\x00"  # PINGRESP

    def __init__(self) -> None:
        self._mask = secrets.token_bytes(4)
        self.ping = self._frame(b"\xc0\x00")

    def hello(self) -> bytes:
        """CONNECT: clean session, no keep-alive, an id of the broker's choice."""
        return self._frame(_packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + _text(""))) + self.ping

    def receive(self, channels: Sequence[str]) -> bytes:
        """SUBSCRIBE, one packet each."""
        packets = (_packet(0x82, b"\x00\x01" + _text(channel) + b"\x00") for channel in channels)
        return b"".join(map(self._frame, packets))

    def publish(self, channel: str, body: bytes) -> bytes:
        """PUBLISH, QoS 0."""
        return self._frame(_packet(0x30, _text(channel) + body))

    def body_bytes(self, channel: str, size: int) -> int:
        """All of it."""
        return size

    def _frame(self, packet: bytes) -> bytes:
        return binary_frame(packet, self._mask)


class NatsDialect:
    """NATS. A message is its payload; the subject comes on top."""

    subprotocol = ""
    is_patient = True
    answer = b"PONG\r\n"

    def __init__(self) -> None:
        self._mask = secrets.token_bytes(4)
        self.ping = self._frame(b"PING\r\n")

    def hello(self) -> bytes:
        """CONNECT."""
        return self._frame(b'CONNECT {"verbose":false,"pedantic":false}\r\n') + self.ping

    def receive(self, channels: Sequence[str]) -> bytes:
        """SUB."""
        return b"".join(
            self._frame(f"SUB {channel} {number}\r\n".encode()) for number, channel in enumerate(channels, 1)
        )

    def publish(self, channel: str, body: bytes) -> bytes:
        """PUB."""
        return self._frame(b"PUB %s %d\r\n%s\r\n" % (channel.encode(), len(body), body))

    def body_bytes(self, channel: str, size: int) -> int:
        """All of it."""
        return size

    def _frame(self, line: bytes) -> bytes:
        return binary_frame(line, self._mask)


def _packet(first: int, rest: bytes) -> bytes:
    size, length = len(rest), b""
    while size >= 128:
        length += bytes((size & 127 | 128,))
        size >>= 7
    return bytes((first,)) + length + bytes((size,)) + rest


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()
