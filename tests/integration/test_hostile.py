"""The corpus of tests/corpus, and mutations of it, against one running broker."""

from __future__ import annotations

import json

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import poll
from tests.integration.hostile_player import SETTINGS, Player, explain, requests
from tests.integration.raw_client import CLOSE, RawClient, client_frame, opening
from tests.mutations import MUTATIONS, SEED, corpus, expected

MAX_GROWTH_KB = 10_000
"""Of the second round, as many mutations as the first."""
OFFER = opening(headers=["Sec-WebSocket-Protocol: wsmb"])
CLOSING = client_frame((1000).to_bytes(2, "big"), CLOSE)


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
        self.player = Player(self.one)

    def check_pair(self, receiver: RawClient, sender: RawClient) -> None:
        self.assertEqual(receiver.fence(), [])
        sent = sender.publish("well-behaved", {"number": 1})
        self.assertEqual(receiver.read_text(), sent)

    def test_nothing_is_left_of_them(self) -> None:
        pair = self.receiver(self.one, "well-behaved"), self.sender(self.one)
        sockets = self.one.sockets()
        # Connections that have ended are collected in generations: memory rises to a level, and stays there.
        self.player.play(MUTATIONS, SEED)
        before_kb = self.one.rss_kb()
        self.player.play(MUTATIONS, f"{SEED} again")
        self.check_pair(*pair)
        poll(lambda: self.one.sockets() <= sockets, "connections to end")
        self.assertLess(self.one.rss_kb() - before_kb, MAX_GROWTH_KB)
        for client in pair:
            client.close()
        self.check_pair(self.receiver(self.one, "well-behaved"), self.sender(self.one))
        self.one.stop()
