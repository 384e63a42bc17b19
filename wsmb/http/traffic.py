"""What all WebSockets have sent and received, in one look."""

from __future__ import annotations

from typing import NamedTuple

from wsmb.factory import BrokerFactory


class Traffic(NamedTuple):
    """Since the start, but for what is queued now."""

    frames_in: int
    frames_out: int
    queued_bytes: int


def traffic(factory: BrokerFactory) -> Traffic:
    """Of those that are open, and of those that were."""
    frames_in, frames_out, queued_bytes = factory.frames_in_before, factory.frames_out_before, 0
    for connection in factory.connections:
        frames_in += connection.frames_in
        frames_out += connection.outbox.frames_out
        queued_bytes += connection.outbox.queued_bytes
    return Traffic(frames_in, frames_out, queued_bytes)
