"""10,000 frames through a running broker: each to as many receivers as it should, in order."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.integration.broker_process import BrokerProcess
from tests.integration.keeping_case import MariaDBCase, SqliteCase
from tests.integration.raw_client import TIMEOUT_S, RawClient, client_frame, command

FRAMES, SENDERS, RECEIVERS, CHANNELS = 10_000, 4, 4, 20
LIMITS = (0, 1, 2)
FRAMES_AT_ONCE = 50
DELIVERIES = SENDERS * sum(LIMITS[number % len(LIMITS)] or RECEIVERS for number in range(FRAMES // SENDERS))

Item = tuple[int, int]
"""Which sender, and its how manieth frame, counted from 0."""


def channel(number: int) -> str:
    """Coprime to the limits' number: every channel sees all limits."""
    return f"channel{number % CHANNELS}"


def send_all(sender: RawClient, index: int) -> None:
    """One sender's share; returns when the broker has carried it out."""
    for start in range(0, FRAMES // SENDERS, FRAMES_AT_ONCE):
        sender.send(
            b"".join(
                client_frame(
                    command(
                        "send-message",
                        channel(number),
                        data=[[index, number]],
                        number_of_receiver=LIMITS[number % len(LIMITS)],
                    )
                )
                for number in range(start, start + FRAMES_AT_ONCE)
            )
        )
    if sender.fence():
        raise AssertionError("a sender got a frame")


def read_all(receiver: RawClient) -> list[Item]:
    """What comes until a ping is answered."""
    items: list[Item] = []
    while (frame := receiver.read_json())["command"] == "send-message":
        items += [(sender, number) for sender, number in frame["data"]]
    return items


class ManyFramesTests:
    """The same for each kind of keeping."""

    def assert_each_arrives(self, broker: BrokerProcess) -> None:
        names = [channel(number) for number in range(CHANNELS)]
        receivers = [self.receiver(broker, *names) for _ in range(RECEIVERS)]
        senders = [self.sender(broker) for _ in range(SENDERS)]
        with ThreadPoolExecutor(SENDERS + RECEIVERS) as pool:
            got: list[list[Item]] = [[] for _ in receivers]
            readings = [pool.submit(read_all, receiver) for receiver in receivers]
            list(pool.map(send_all, senders, range(SENDERS)))
            deadline = time.monotonic() + TIMEOUT_S
            while True:
                for receiver in receivers:
                    receiver.send_text(json.dumps({"command": "ping", "channel": "-"}).encode())
                for items, reading in zip(got, readings, strict=True):
                    items.extend(reading.result())
                # What one was sent while it had not proved enough comes later than the answer to its ping.
                if sum(map(len, got)) >= DELIVERIES or time.monotonic() > deadline:
                    break
                readings = [pool.submit(read_all, receiver) for receiver in receivers]
        self.assert_counts(got)
        for items in got:
            self.assert_in_order(items)
        with ThreadPoolExecutor(RECEIVERS) as pool:
            endings = [pool.submit(receiver.answer_to_the_end) for receiver in receivers]
            broker.stop()
            for ending in endings:
                ending.result()

    def assert_counts(self, got: Sequence[Sequence[Item]]) -> None:
        for items in got:
            self.assertEqual(len(set(items)), len(items), "a receiver got a frame twice")
        times = Counter(item for items in got for item in items)
        for sender in range(SENDERS):
            for number in range(FRAMES // SENDERS):
                limit = LIMITS[number % len(LIMITS)] or RECEIVERS
                self.assertEqual(times.pop((sender, number), 0), limit, (sender, number))
        self.assertEqual(times, {})

    def assert_in_order(self, items: Sequence[Item]) -> None:
        by_channel: dict[tuple[int, str], list[int]] = {}
        for sender, number in items:
            by_channel.setdefault((sender, channel(number)), []).append(number)
        for numbers in by_channel.values():
            self.assertEqual(numbers, sorted(numbers))


class RelayTests(ManyFramesTests, SqliteCase):
    def test_each_arrives_where_nothing_is_kept(self) -> None:
        self.assert_each_arrives(self.broker())

    def test_each_arrives_where_what_finds_no_receiver_is_kept(self) -> None:
        broker = self.keeping()
        self.assert_each_arrives(broker)
        self.assertEqual(self.query("SELECT * FROM mq_data"), [])

    def test_each_arrives_where_all_is_kept(self) -> None:
        broker = self.keeping(keep_data="always")
        self.assert_each_arrives(broker)
        self.assertEqual(self.query("SELECT * FROM mq_data"), [])


class MariaDBTests(ManyFramesTests, MariaDBCase):
    def test_each_arrives_where_what_finds_no_receiver_is_kept(self) -> None:
        broker = self.keeping()
        self.assert_each_arrives(broker)
        self.assertEqual(self.query("SELECT * FROM mq_data"), ())
