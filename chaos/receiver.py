"""A receiver's process: `python -m chaos.receiver`, started by chaos.actors.

One kind acknowledges; the other knows nothing of that, as the original's PHP receiver, and answers pings
with an empty pong. When its connection ends, it opens another one. SIGTERM ends it properly. After SIGUSR1
it kills itself (-9) at one of the bad moments of the next frames that come: before they are recorded, half
way, before they are proved, or right after.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from chaos.connection import BINARY, PING, PONG, TEXT, Connection, client_frame, now_us
from chaos.records import ReceiverRecord

_TRY_AGAIN_S = 0.02
_POLL_S = 0.05
_DELIVERY = re.compile(rb'"delivery": ?(\d+)')
BAD_MOMENTS = ("before recording", "half recorded", "before proof", "half proved", "after proof")


class Receiver:
    """`acknowledges`, or is like the original's."""

    def __init__(
        self, port: int, channels: Sequence[str], record: ReceiverRecord, acknowledges: bool, prefetch: int
    ) -> None:
        self._port = port
        self._record = record
        self._acknowledges = acknowledges
        extras = {"ack": True, "prefetch": prefetch} if acknowledges else {}
        self._asking = b"".join(
            client_frame(
                json.dumps({"command": "receive-message", "channel": channel, **extras}).encode(),
                TEXT if acknowledges else BINARY,
            )
            for channel in channels
        )
        self.ending = False
        self.bad_moment = ""

    def run(self) -> None:
        """Returns after `ending` was set."""
        while not self.ending:
            try:
                connection = Connection(self._port, self._asking)
            except (OSError, EOFError):
                time.sleep(_TRY_AGAIN_S)
                continue
            self._record.opened()
            try:
                while not self.ending:
                    self._take(connection)
            except (OSError, EOFError):
                pass
            connection.close()
            self._record.ended()

    def _take(self, connection: Connection) -> None:
        payloads: list[bytes] = []
        for opcode, payload in connection.frames(_POLL_S):
            if opcode == PING:
                self._answer(connection, payload, payloads)
                payloads = []
            elif opcode == TEXT and b'"command":"send-message"' in payload:
                payloads.append(payload)
        if payloads:
            self._carry(connection, payloads)

    def _answer(self, connection: Connection, ping: bytes, payloads: Sequence[bytes]) -> None:
        """A pong: for the receiver that does not acknowledge it proves what came before it."""
        if payloads:
            self._carry(connection, payloads)
        if self._acknowledges:
            connection.send(client_frame(ping, PONG))
            return
        self._die_at("before proof", "half proved")
        connection.send(client_frame(b"", PONG))
        self._record.proved()
        self._die_at("after proof")

    def _carry(self, connection: Connection, payloads: Sequence[bytes]) -> None:
        self._die_at("before recording")
        if self.bad_moment == "half recorded":
            self._record.received(payloads[: len(payloads) // 2])
        self._die_at("half recorded")
        self._record.received(payloads)
        if self._acknowledges:
            self._acknowledge(connection, payloads)

    def _acknowledge(self, connection: Connection, payloads: Sequence[bytes]) -> None:
        self._die_at("before proof")
        deliveries = [
            int(found[1])
            for payload in payloads
            if (found := _DELIVERY.search(payload, max(0, len(payload) - 60)))
        ]
        if self.bad_moment == "half proved":
            connection.send(_acknowledgement(deliveries[: len(deliveries) // 2]))
        self._die_at("half proved")
        connection.send(_acknowledgement(deliveries))
        self._record.proved()
        self._die_at("after proof")

    def _die_at(self, *moments: str) -> None:
        if self.bad_moment in moments:
            os.kill(os.getpid(), signal.SIGKILL)


def _acknowledgement(deliveries: Sequence[int]) -> bytes:
    if not deliveries:
        return b""
    return client_frame(json.dumps({"command": "ack-message", "delivery": deliveries}).encode())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--channels", required=True)
    parser.add_argument("--ack", action="store_true")
    parser.add_argument("--prefetch", type=int, default=64)
    given = parser.parse_args()
    channels = given.channels.split(",")
    record = ReceiverRecord(given.record, channels)
    receiver = Receiver(given.port, channels, record, given.ack, given.prefetch)

    def end(*_: object) -> None:
        receiver.ending = True

    def doom(*_: object) -> None:
        receiver.bad_moment = random.Random(now_us()).choice(BAD_MOMENTS)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGUSR1, doom)
    receiver.run()


if __name__ == "__main__":
    main()
