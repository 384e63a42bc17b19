"""A sender's process: `python -m chaos.sender`, started by chaos.actors.

It keeps a window of unconfirmed frames in flight. When its connection ends, it opens another one and sends
again what was not confirmed. After SIGTERM it makes no new frames, and ends once all are confirmed. Its
record (chaos.records) tells what was confirmed.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chaos.connection import TEXT, Connection, client_frame
from chaos.items import Plan
from chaos.records import SenderRecord

_TRY_AGAIN_S = 0.02
_POLL_S = 0.05
_PATIENCE_S = 8.0
"""Without a confirm for so long, the connection is taken to be dead."""


class Sender:
    """Sends what `plan` says, at most `rate` items a second, `window` frames unconfirmed at a time."""

    def __init__(self, port: int, plan: Plan, record: SenderRecord, rate: float, window: int) -> None:
        self._port = port
        self._plan = plan
        self._record = record
        self._frames_per_s = rate / plan.items
        self._window = window
        self._next = 0
        # What is to be confirmed, in the order of its sending, and what is to be sent again.
        self._open: dict[int, None] = {}
        self._refused: list[int] = []
        self.finishing = False

    def run(self) -> None:
        """Returns when all is confirmed after `finishing` was set."""
        while not (self.finishing and not self._open and not self._refused):
            try:
                connection = Connection(self._port)
            except (OSError, EOFError):
                time.sleep(_TRY_AGAIN_S)
                continue
            try:
                self._converse(connection)
            except (OSError, EOFError):
                connection.close()
        self._record.ended(self._next)

    def _converse(self, connection: Connection) -> None:
        self._record.opened()
        again = sorted({*self._open, *self._refused})
        self._refused = []
        self._open = {}
        self._record.sent_again(again)
        self._send(connection, again)
        due, last_word_s = 0.0, time.monotonic()
        last_s = last_word_s
        while not (self.finishing and not self._open and not self._refused):
            now_s = time.monotonic()
            due = min(due + (now_s - last_s) * self._frames_per_s, float(self._window))
            last_s = now_s
            due -= self._send_new(connection, int(due))
            timeout_s = _POLL_S if len(self._open) >= self._window else min(_POLL_S, 1 / self._frames_per_s)
            if self._read(connection, timeout_s) or not self._open:
                last_word_s = time.monotonic()
            elif time.monotonic() - last_word_s > _PATIENCE_S:
                raise EOFError("no confirm has come for long")

    def _send_new(self, connection: Connection, most: int) -> int:
        """Send what is due, refused frames first; how many."""
        room = min(most, self._window - len(self._open))
        if room <= 0:
            return 0
        frames, self._refused = self._refused[:room], self._refused[room:]
        if not self.finishing:
            new = room - len(frames)
            frames += range(self._next, self._next + new)
            self._next += new
        self._send(connection, frames)
        return len(frames)

    def _send(self, connection: Connection, frames: Iterable[int]) -> None:
        self._open.update(dict.fromkeys(frames))
        connection.send(b"".join(client_frame(self._plan.command(frame)) for frame in frames))

    def _read(self, connection: Connection, timeout_s: float) -> bool:
        """Take the confirms that have come; whether there were any."""
        lines = []
        for opcode, payload in connection.frames(timeout_s):
            if opcode != TEXT:
                continue
            reply = json.loads(payload)
            if reply["command"] == "confirm":
                lines.append(self._confirmed(reply))
        self._record.confirmed(lines)
        return bool(lines)

    def _confirmed(self, reply: dict[str, Any]) -> tuple[int, str, int, bool]:
        frame, code, data = reply["confirm"], reply["response_code"], reply["data"][0]
        if next(iter(self._open), None) != frame:
            self._record.odd(f"confirm {frame} came out of turn")
        self._open.pop(frame, None)
        if code != "00":
            self._refused.append(frame)
        return frame, code, int(data.get("stored", 0)), bool(data.get("duplicate", False))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--channels", required=True)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--ids", action="store_true")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--window", type=int, required=True)
    given = parser.parse_args()
    plan = Plan(given.number, given.channels.split(","), given.items, given.ids)
    sender = Sender(given.port, plan, SenderRecord(given.record, plan), given.rate, given.window)

    def finish(*_: object) -> None:
        sender.finishing = True

    signal.signal(signal.SIGTERM, finish)
    sender.run()


if __name__ == "__main__":
    main()
