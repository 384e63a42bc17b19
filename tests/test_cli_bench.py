"""Tests for the pure parts of `wsmb bench`: percentiles, marks in cut bytes, paces, arguments."""

from __future__ import annotations

import select
import socket
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb import frames, replies, wire
from wsmb.bench.dialect import WsmbDialect, client_frame
from wsmb.bench.ends import ConfirmedSender
from wsmb.bench.load import Load, Rate, Window, channel_names, dealt, expected
from wsmb.bench.marks import (
    LEAST_BODY_BYTES,
    MARK,
    SPARSE_BYTES,
    MarkCounter,
    SampleFinder,
    Samples,
    body,
    find_pings,
    is_countable,
)
from wsmb.bench.opening import BenchError
from wsmb.bench.results import AT_LIMIT_LINE, Round, percentile, summary, table
from wsmb.cli import bench
from wsmb.cli.arguments import UsageError
from wsmb.errors import Code, CommandError

ENVIRON = {"WSMB_USER": "qa", "WSMB_PASSWORD": "s3cret"}
DIALECT = WsmbDialect()
CHANNEL = "b.xyz.0"


def message(size: int, sample: bytes = b"") -> bytes:
    """A message as it arrives."""
    payload = DIALECT._message(CHANNEL, body(DIALECT.body_bytes(CHANNEL, size), sample))
    return frames.text_frame(payload)


def cut(data: bytes, places: list[int]) -> list[bytearray]:
    """`data` in pieces, as a socket may give it."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [bytearray(data[start:end]) for start, end in pairwise(edges)]


def a_round(**changed: object) -> Round:
    fields = {
        "messages": 100,
        "deliveries": 200,
        "lost": 0,
        "duplicated": 0,
        "elapsed_s": 2.0,
        "cpu_s": 1.0,
        "latencies_s": [0.001, 0.003, 0.002],
    }
    return Round(**{**fields, **changed})  # type: ignore[arg-type]


class PercentileTests(SynchronousTestCase):
    def test_nearest_rank(self) -> None:
        hundred = [float(value) for value in range(1, 101)]
        for percent, value in ((50, 50), (90, 90), (99, 99), (99.9, 100), (100, 100), (0, 1)):
            self.assertEqual(percentile(hundred, percent), value)

    def test_few_values(self) -> None:
        self.assertEqual(percentile([7.0], 99.9), 7.0)
        self.assertEqual(percentile([1.0, 2.0], 50), 1.0)
        self.assertEqual(percentile([1.0, 2.0], 51), 2.0)

    @given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.1, 100))
    def test_so_many_are_not_above_it(self, values: list[float], percent: float) -> None:
        ordered = sorted(values)
        found = percentile(ordered, percent)
        self.assertIn(found, ordered)
        self.assertGreaterEqual(100 * sum(value <= found for value in ordered) + 1e-6, percent * len(ordered))


class MarkTests(SynchronousTestCase):
    SIZES = (64, 125, 126, SPARSE_BYTES - 1, SPARSE_BYTES, 1_024, 65_536)

    @given(
        st.sampled_from(SIZES),
        st.lists(st.sampled_from([b"", b"abc", b"other", b"ping"]), max_size=12),
        st.lists(st.integers(0, 1_000_000), max_size=20),
    )
    def test_counted_over_any_cut(self, size: int, kinds: list[bytes], places: list[int]) -> None:
        others = {b"other": frames.text_frame(b'{"data":"^|x~"}'), b"ping": frames.ping_frame(b"wsmb")}
        stream = b"".join(others.get(kind) or message(size, kind) for kind in kinds)
        counter, finder = MarkCounter(size), SampleFinder()
        pieces = cut(stream, places)
        marks = sum(counter.feed(piece, len(piece)) for piece in pieces)
        self.assertEqual(marks, sum(kind not in others for kind in kinds))
        ids = [sample for piece in pieces for sample in finder.feed(piece, len(piece))]
        self.assertEqual(ids.count(b"abc"), kinds.count(b"abc"))

    def test_what_is_behind_the_end_is_old(self) -> None:
        data = bytearray(message(64) * 3)
        self.assertEqual(MarkCounter(64).feed(data, len(message(64))), 1)
        self.assertEqual(SampleFinder().feed(bytearray(message(64, b"abc")), 10), [])

    @given(st.integers(60, 70_000))
    def test_a_header_is_no_mark(self, size: int) -> None:
        if is_countable(size):
            data = bytearray(message(size))
            self.assertEqual(MarkCounter(size).feed(data, len(data)), 1)

    def test_the_size_that_looks_like_a_mark(self) -> None:
        self.assertEqual([size for size in range(66_000) if not is_countable(size)], [0x7C7E])

    def test_size(self) -> None:
        for size in self.SIZES:
            self.assertEqual(len(DIALECT._message(CHANNEL, body(DIALECT.body_bytes(CHANNEL, size)))), size)
        self.assertGreaterEqual(DIALECT.body_bytes(CHANNEL, 64), LEAST_BODY_BYTES)

    def test_a_confirm_counts_like_a_message_that_arrives(self) -> None:
        dialect = WsmbDialect(confirm=True)
        for size in (128, 70_000):
            payload = dialect._message(CHANNEL, body(dialect.body_bytes(CHANNEL, size), b"abc"))
            command = wire.decode(payload)
            self.assertEqual((len(payload), len(command.confirm)), (size, LEAST_BODY_BYTES))
            self.assertNotIn(MARK, bytes(command.data))
            answer = bytearray(
                frames.text_frame(replies.sent(command.confirm, "T", 0, 1, is_duplicate=False))
            )
            self.assertEqual(MarkCounter(size).feed(answer, len(answer)), 1)
            self.assertEqual(SampleFinder().feed(answer, len(answer)), [b"abc"])

    def test_pings(self) -> None:
        ping = frames.ping_frame(b"wsmb")
        for size in (64, 0x89, 0x0489, 0x1089):  # these have the byte of a ping in their header
            data = bytearray(message(size) + ping + message(size))
            self.assertEqual(find_pings(data, len(data)), [b"wsmb"])
        self.assertEqual(find_pings(bytearray(ping), len(ping)), [b"wsmb"])

    def test_latency(self) -> None:
        times = iter((5.0, 7.0))
        samples = Samples(lambda: next(times))
        sample = samples.new_id()
        samples.sent(sample, 4.0)
        samples.arrived([sample])
        samples.arrived([sample, b"???"])
        self.assertEqual(samples.latencies_s, [1.0, 3.0])


class ConfirmedSenderTests(SynchronousTestCase):
    def setUp(self) -> None:
        ours, self.broker = socket.socketpair()
        for one in (ours, self.broker):
            self.addCleanup(one.close)
        samples = Samples(lambda: 7.0)
        self.sender = ConfirmedSender(ours, WsmbDialect(confirm=True), [CHANNEL], 128, samples)
        self.samples = samples

    def answered(self, *answers: bytes) -> int:
        self.broker.sendall(b"".join(map(frames.text_frame, answers)))
        return self.sender.ready(select.EPOLLIN)

    def test_counted_and_timed(self) -> None:
        self.samples.sent(b"abc", 4.0)
        confirms = ("|~^abc", "|~xxxx")
        answers = [replies.sent(confirm, "T", 0, 1, is_duplicate=False) for confirm in confirms]
        self.assertEqual(self.answered(*answers, replies.greeting(Code.ACCEPTED, "T")), 2)
        self.assertEqual(self.samples.latencies_s, [3.0])

    def test_refused_even_if_it_comes_in_pieces(self) -> None:
        refused = frames.text_frame(replies.refused("|~xxxx", "T", CommandError(Code.UNAVAILABLE, "full")))
        self.broker.sendall(refused[:70])
        self.sender.ready(select.EPOLLIN)
        self.broker.sendall(refused[70:])
        with self.assertRaisesRegex(BenchError, "refused a message: Unavailable: full"):
            self.sender.ready(select.EPOLLIN)


class LoadTests(SynchronousTestCase):
    def test_dealt(self) -> None:
        self.assertEqual([list(dealt(index, 4, 2)) for index in range(4)], [[0], [1], [0], [1]])
        self.assertEqual([list(dealt(index, 2, 5)) for index in range(2)], [[0, 2, 4], [1, 3]])

    def test_channel_names_have_one_length(self) -> None:
        names = channel_names("b", "xyz", 10_000)
        self.assertEqual((len(set(names)), {len(name) for name in names}), (10_000, {9}))
        self.assertEqual(channel_names("b", "xyz", 1), ["b.xyz.0"])

    def test_expected(self) -> None:
        self.assertEqual(expected([10], Load(receivers=3)), [10, 10, 10])
        self.assertEqual(expected([7], Load(channels=3, receivers=3)), [3, 2, 2])
        self.assertEqual(expected([7], Load(channels=3)), [7])
        self.assertEqual(expected([2, 3, 4], Load(senders=3, channels=2, receivers=4)), [6, 3, 6, 3])

    def test_deliveries_a_message(self) -> None:
        for load, count in (
            (Load(receivers=6, channels=2), 3),
            (Load(receivers=6, number_of_receiver=2), 2),
            (Load(receivers=6, number_of_receiver=0), 6),
            (Load(receivers=6, number_of_receiver=9), 6),
        ):
            self.assertEqual(load.deliveries_a_message, count)

    def test_window(self) -> None:
        window = Window(4, 2)
        self.assertEqual([window.due(0.0, sent, 10) for sent in (10, 14, 15, 18)], [8, 4, 0, 0])
        one = Window(1, 1)
        self.assertEqual([one.due(0.0, 1, arrived) for arrived in (0, 1)], [0, 1])

    def test_rate(self) -> None:
        rate = Rate(10)
        self.assertEqual([rate.due(now, 0, 0) for now in (0.0, 0.05, 0.1, 0.95)], [1, 1, 2, 10])
        self.assertEqual(rate.due(0.95, 10, 0), 0)
        self.assertAlmostEqual(rate.wait_s(0.95, 10), 0.05)
        self.assertEqual((rate.wait_s(0.0, 100), rate.wait_s(20.0, 100)), (rate.longest_wait_s, 0.0))
        self.assertEqual(rate.stamp(5, lambda: 99.0), 0.5)


class ResultTests(SynchronousTestCase):
    def test_figures(self) -> None:
        figures = a_round().figures()
        self.assertEqual((figures["messages_per_s"], figures["deliveries_per_s"]), (50, 100))
        self.assertEqual((figures["p50_us"], figures["p99.9_us"], figures["max_us"]), (2000, 3000, 3000))

    def test_nothing_was_timed(self) -> None:
        found = summary(Load(), [a_round(latencies_s=[])])
        self.assertNotIn("p50_us", found["result"])
        self.assertNotIn("latency", table(found))

    def test_confirms(self) -> None:
        shown = table(summary(Load(receivers=0, confirm=True), [a_round()]))
        self.assertRegex(shown, "(?s)confirmed +100 a second.* 3 confirms were timed")
        self.assertNotIn("deliveries", shown)

    def test_medians_and_sums(self) -> None:
        found = summary(Load(), [a_round(messages=100 * n, lost=n) for n in (1, 2, 9)])
        self.assertEqual((found["result"]["messages_per_s"], found["result"]["lost"]), (100, 12))
        self.assertIn("median of 3 rounds", table(found))

    def test_the_load_generator_at_its_limit_says_so(self) -> None:
        self.assertIn(AT_LIMIT_LINE, table(summary(Load(), [a_round(cpu_s=1.9)])))
        self.assertNotIn(AT_LIMIT_LINE, table(summary(Load(), [a_round()])))


class FrameTests(SynchronousTestCase):
    @given(st.sampled_from((0, 1, 125, 126, 65_535, 65_536)))
    def test_the_broker_reads_it(self, size: int) -> None:
        payload = b"x" * size
        taken = frames.take_frames(client_frame(payload, b"\1\2\3\4"), 100_000, frames.unmask)
        self.assertEqual((taken.payloads, taken.missing_bytes), ([payload], 0))


class ArgumentTests(SynchronousTestCase):
    def assert_refused(self, text: str, *argv: str) -> None:
        with self.assertRaisesRegex(UsageError, text) as caught:
            bench.main(argv, ENVIRON)
        self.assertNotIn("\n", str(caught.exception))

    def test_numbers(self) -> None:
        for name in ("senders", "receivers", "channels", "size", "messages", "window", "rate", "rounds"):
            for value in ("0", "-1", "x", "1.5", ""):
                self.assert_refused("is needed", f"--{name}={value}")

    def test_what_does_not_go_together(self) -> None:
        self.assert_refused("not allowed with", "--messages", "1", "--seconds", "1")
        self.assert_refused("not allowed with", "--window", "1", "--rate", "1")
        self.assert_refused("must be a multiple", "--receivers", "3", "--channels", "2")
        self.assert_refused("must be longer than", "--seconds", "5", "--timeout", "5")

    def test_confirm(self) -> None:
        self.assert_refused("without receivers", "--confirm", "--receivers", "1")
        self.assert_refused("at least 79 bytes", "--confirm", "--size", "78")

    def test_sizes(self) -> None:
        self.assert_refused("at least 66 bytes", "--size", "65")
        self.assert_refused("at most 16777216", "--size", "16777217")
        self.assert_refused("cannot be counted", "--size", "31870")

    def test_channel(self) -> None:
        for name in ("", 'a"b', "a b", "é", "a~"):
            self.assert_refused("letters, digits", "--channel", name)
        self.assert_refused("at most 100", "--channel", "x" * 92)

    def test_tls(self) -> None:
        self.assert_refused("over ws:// only", "--url", "wss://h/")

    def test_password_as_an_argument(self) -> None:
        self.assert_refused("a password is never", "--password", "x")
