"""The corpus of tests/corpus, and mutations of it, against one running broker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import poll
from tests.integration.hostile_player import explain, requests, streams
from tests.integration.raw_client import CLOSE, RawClient, client_frame, opening
from tests.mutations import MUTATIONS, SEED, Case, corpus, expected, mutations

AT_ONCE = 25
MAX_GROWTH_KB = 10_000
"""Of the second round, as many mutations as the first."""
SETTINGS = """
[server]
keep_data = false
max_buffer_bytes = 1048576
[limits]
max_failures = 10000
max_failures_per_address = 10000
max_failures_per_user = 10000
max_control_frames_per_second = 1000000
[channel kept]
keep_data = true
"""
OFFER = opening(headers=["Sec-WebSocket-Protocol: wsmb"])
CLOSING = client_frame((1000).to_bytes(2, "big"), CLOSE)


def batches(cases: Iterator[Case]) -> Iterator[list[Case]]:
    while batch := list(islice(cases, AT_ONCE)):
        yield batch


def framed(cases: Iterator[Case]) -> Iterator[Case]:
    return (Case(name, client_frame(data)) for name, data in cases)


class CorpusTests(BrokerCase):
    """Each file as it is has the end that its name says."""

    def setUp(self) -> None:
        self.one = self.broker(SETTINGS)

    def test_requests(self) -> None:
        cases = corpus("requests")
        for case, answer in zip(cases, requests(self.one.port, cases), strict=True):
            self.assertIsNone(explain(case.data, answer), case.name)
            status = answer.split(b" ", 2)[1].decode() if answer else "none"
            self.assertEqual(status, expected(case), case.name)

    def test_frames(self) -> None:
        for case in corpus("frames"):
            client = self.client(self.one)
            client.send(case.data)
            end = expected(case)
            if end == "none":
                client.end_sending()
            else:
                client.send(CLOSING)
            codes = [] if end == "none" else [1000 if end == "ok" else int(end)]
            self.assertEqual(self.close_codes(client), codes, case.name)

    def close_codes(self, client: RawClient) -> list[int]:
        """The codes of the Close frames that come until the broker ends the connection."""
        codes = []
        try:
            while True:
                frame = client.read_frame()
                if frame.first == 0x80 | CLOSE:
                    codes.append(int.from_bytes(frame.payload[:2], "big") or 1000)
                    client.end_sending()
        except (EOFError, ConnectionError):
            return codes

    def test_commands(self) -> None:
        for case in corpus("commands"):
            client = self.client(self.one, OFFER)
            client.fence()
            client.send_text(case.data)
            answers = [json.loads(answer) for answer in client.fence()]
            codes = [answer["response_code"] for answer in answers if "response_code" in answer] or ["00"]
            self.assertEqual(codes, [expected(case)], case.name)
            client.close()


class MutationTests(BrokerCase):
    def setUp(self) -> None:
        self.one = self.broker(SETTINGS, database="sqlite:///messages.sqlite3")
        self.log_read = 0

    def play(self, count: int, seed: str) -> None:
        """`count` mutations, a third of each kind."""
        for batch in batches(mutations("requests", count // 3, seed)):
            answers = requests(self.one.port, batch)
            for case, answer in zip(batch, answers, strict=True):
                self.assertIsNone(explain(case.data, answer), case.name)
            self.check_log(batch)
        for kind in (mutations("frames", count // 3, seed), framed(mutations("commands", count // 3, seed))):
            for batch in batches(kind):
                streams(self.one.port, batch)
                self.check_log(batch)

    def check_log(self, batch: Sequence[Case]) -> None:
        """No traceback, and nothing that a terminal would obey, since the last look."""
        with (self.one.folder / "log").open("rb") as log:
            log.seek(self.log_read)
            told = log.read()
            self.log_read = log.tell()
        if re.search(rb"Traceback|#error|#critical|Unhandled|[^\n -~]", told):
            self.fail(f"after one of {[case.name for case in batch]}:\n{told[-3_000:]!r}")

    def check_pair(self, receiver: RawClient, sender: RawClient) -> None:
        self.assertEqual(receiver.fence(), [])
        sent = sender.publish("well-behaved", {"number": 1})
        self.assertEqual(receiver.read_text(), sent)

    def test_nothing_is_left_of_them(self) -> None:
        pair = self.receiver(self.one, "well-behaved"), self.sender(self.one)
        sockets = self.one.sockets()
        # Connections that have ended are collected in generations: memory rises to a level, and stays there.
        self.play(MUTATIONS, SEED)
        before_kb = self.one.rss_kb()
        self.play(MUTATIONS, f"{SEED} again")
        self.check_pair(*pair)
        poll(lambda: self.one.sockets() <= sockets, "connections to end")
        self.assertLess(self.one.rss_kb() - before_kb, MAX_GROWTH_KB)
        for client in pair:
            client.close()
        self.check_pair(self.receiver(self.one, "well-behaved"), self.sender(self.one))
        self.one.stop()
