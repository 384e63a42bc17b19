"""What is to be sent, by whom, to whom and how fast. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MOST_CHANNELS = len(DIGITS) ** 4
RUN_CHARS = 3
"""Of what tells one run's channels from another's."""
EVERY = 61
"""Of pipelined messages, each so-manieth is timed. A prime, so as not to go in step with windows."""


@dataclass(frozen=True, slots=True)
class Load:
    """One load. Either `messages` (in all) or `seconds` ends it; either `window` or `rate` paces it.

    Connections are dealt out to the channels in turn: with fewer senders than channels, a sender goes
    round several of them.
    """

    senders: int = 1
    receivers: int = 1
    channels: int = 1
    size: int = 128
    """Bytes of one message: of the JSON of a `send-message`."""
    messages: int | None = None
    seconds: float | None = None
    window: int = 256
    """Most messages in flight, for each sender; with several senders, on average."""
    rate: float | None = None
    """Messages a second, from all senders together."""
    number_of_receiver: int | None = None
    timeout_s: float = 120.0
    confirm: bool = False
    """A message has arrived once its sender has been told so; there are no receivers then."""

    def problem(self) -> str | None:
        """What is wrong with it, in one line."""
        if self.confirm and self.receivers:
            return "--confirm measures without receivers"
        if min(self.senders, self.receivers + self.confirm, self.channels, self.window) < 1:
            return "at least one sender, receiver and channel, and a window of 1, are needed"
        if self.receivers % self.channels and self.channels % self.receivers:
            return "the number of receivers must be a multiple of that of channels, or the other way round"
        if self.seconds is not None and self.seconds >= self.timeout_s:
            return "--timeout must be longer than --seconds"
        if self.channels > MOST_CHANNELS:
            return f"there are at most {MOST_CHANNELS} channels"
        return None

    @property
    def deliveries_a_message(self) -> int:
        """How many receivers each message has."""
        there = max(1, self.receivers // self.channels)
        return min(there, self.number_of_receiver) if self.number_of_receiver else there

    @property
    def goes_to_all(self) -> bool:
        """Whether each message goes to all receivers of its channel."""
        return self.deliveries_a_message == max(1, self.receivers // self.channels)

    @property
    def every(self) -> int:
        """Each so-manieth message is timed."""
        if self.rate is not None:
            return max(1, round(self.rate / 1_000))
        return 1 if self.window == 1 else EVERY

    def pace(self) -> Pace:
        """The pace from now on."""
        return Window(self.window, self.senders) if self.rate is None else Rate(self.rate)


def dealt(index: int, connections: int, channels: int) -> range:
    """The numbers of the channels that the connection `index` gets."""
    first = index % channels
    return range(first, first + 1) if connections >= channels else range(first, channels, connections)


def channel_names(prefix: str, run: str, count: int) -> list[str]:
    """Names that are all of one length: `bench.x7f3.0`."""
    width = 1
    while len(DIGITS) ** width < count:
        width += 1
    return [f"{prefix}.{run}.{_number(index, width)}" for index in range(count)]


def _number(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits


def expected(sent: Sequence[int], load: Load) -> list[int]:
    """How many messages each receiver must get, if each goes to all, after `sent` by each sender."""
    on_channel = [0] * load.channels
    for sender, count in enumerate(sent):
        numbers = dealt(sender, load.senders, load.channels)
        rounds, rest = divmod(count, len(numbers))
        for place, number in enumerate(numbers):
            on_channel[number] += rounds + (place < rest)
    return [
        sum(on_channel[number] for number in dealt(receiver, load.receivers, load.channels))
        for receiver in range(load.receivers)
    ]


class Pace(Protocol):
    """When the next messages are due. Times are seconds since the beginning."""

    longest_wait_s: float

    def due(self, now: float, sent: int, arrived: int) -> int:
        """How many messages to send now, if so many have been sent and have fully arrived."""

    def stamp(self, sequence: int, clock: Callable[[], float]) -> float:
        """From when the latency of the message with this number counts."""

    def wait_s(self, now: float, sent: int) -> float:
        """How long nothing will be due, if nothing arrives."""


class Window:
    """At most so many messages are in flight for each sender; refilled when half of them have arrived."""

    longest_wait_s = 0.1

    def __init__(self, window: int, senders: int) -> None:
        self._most = window * senders
        self._least = 1 if window == 1 else self._most // 2

    def due(self, now: float, sent: int, arrived: int) -> int:
        """See Pace."""
        room = self._most - (sent - arrived)
        return room if room >= self._least else 0

    def stamp(self, sequence: int, clock: Callable[[], float]) -> float:
        """Now."""
        return clock()

    def wait_s(self, now: float, sent: int) -> float:
        """Only arrivals make room."""
        return self.longest_wait_s


class Rate:
    """So many messages a second, whatever arrives.

    Latency counts from when a message was due, so that a broker that blocks its senders looks no better.
    """

    longest_wait_s = 0.1

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def due(self, now: float, sent: int, arrived: int) -> int:
        """See Pace."""
        return max(0, math.floor(now * self._rate) + 1 - sent)

    def stamp(self, sequence: int, clock: Callable[[], float]) -> float:
        """When it was due."""
        return sequence / self._rate

    def wait_s(self, now: float, sent: int) -> float:
        """Until the next message."""
        return min(self.longest_wait_s, max(0.0, sent / self._rate - now))
