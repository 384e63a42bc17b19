"""Which items a frame carries, and which frame carried an item: every item is there once.

An item is a number that tells its sender and its place among the sender's items of its channel; now and
then it comes within an object, with a filler.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

ALWAYS = "always"
"""What the names of channels begin with that keep everything (`keep_data = always`)."""
PER_SENDER = 1_000_000_000
"""More than a sender's items of one channel."""
_FILLED_EVERY, _FILLER_BYTES = 97, 3_000


class Stream(NamedTuple):
    """A sender's items of one channel, which are to come in their order."""

    sender: int
    channel: str


@dataclass(frozen=True)
class Plan:
    """What a sender sends: frame `n` goes to the channels in turn, with the next `items` items."""

    sender: int
    channels: Sequence[str]
    items: int
    with_ids: bool
    """Whether its frames have a message_id, so that nothing may be stored twice."""

    def channel(self, frame: int) -> str:
        """Where a frame goes."""
        return self.channels[frame % len(self.channels)]

    def numbers(self, frame: int) -> range:
        """The items of a frame, counted from 0 in their stream."""
        first = frame // len(self.channels) * self.items
        return range(first, first + self.items)

    def frame(self, channel: str, number: int) -> int:
        """The frame that carries an item."""
        return number // self.items * len(self.channels) + self.channels.index(channel)

    def command(self, frame: int) -> bytes:
        """The `send-message`, as JSON."""
        base = self.sender * PER_SENDER
        numbers = self.numbers(frame)
        data = ",".join(str(base + number) for number in numbers)
        if frame % _FILLED_EVERY == 0:
            filled = {"id": base + numbers[0], "filler": "x" * _FILLER_BYTES}
            data = ",".join([json.dumps(filled), *(str(base + number) for number in numbers[1:])])
        identity = f',"message_id":"{self.sender}-{frame}"' if self.with_ids else ""
        return (
            f'{{"command":"send-message","channel":"{self.channel(frame)}","data":[{data}]'
            f',"confirm":{frame}{identity}}}'
        ).encode()


def identify(item: Any) -> tuple[int, int]:
    """(sender, number) of an item as it came."""
    return divmod(item if type(item) is int else item["id"], PER_SENDER)
