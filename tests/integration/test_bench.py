"""`wsmb bench` against the real broker: what is counted is what was sent. No figure decides a test."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import LIMIT_S, PASSWORD, USER, BrokerProcess, environment, free_port

RESULTS = {"messages", "deliveries", "lost", "duplicated", "messages_per_s", "deliveries_per_s", "load_cpu"}
LATENCIES = {"p50_us", "p90_us", "p99_us", "p99.9_us", "max_us"}


class BenchTests(BrokerCase):
    def bench(self, port: int, *argv: str, password: str = PASSWORD) -> tuple[int, str, str]:
        """Run it to its end: (exit status, output, errors)."""
        own = {"WSMB_URL": f"ws://127.0.0.1:{port}/", "WSMB_USER": USER, "WSMB_PASSWORD": password}
        done = subprocess.run(
            [sys.executable, "-m", "wsmb.cli.main", "bench", *argv],
            env=environment(own),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        self.assertNotIn(PASSWORD, done.stdout + done.stderr)
        return done.returncode, done.stdout, done.stderr

    def found(self, broker: BrokerProcess, *argv: str) -> dict[str, Any]:
        """What it says with `--json -`."""
        status, out, err = self.bench(broker.port, *argv, "--json", "-")
        self.assertEqual(status, 0, err)
        return json.loads(out)

    def assert_counted(self, broker: BrokerProcess, messages: int, deliveries: int, *argv: str) -> None:
        result = self.found(broker, "--messages", str(messages), *argv)["result"]
        counted = [result[name] for name in ("messages", "deliveries", "lost", "duplicated")]
        self.assertEqual(counted, [messages, deliveries, 0, 0])
        self.assertLessEqual(LATENCIES, set(result))

    def test_each_pace(self) -> None:
        broker = self.broker()
        self.assert_counted(broker, 2_000, 2_000)
        self.assert_counted(broker, 50, 50, "--window", "1")
        self.assert_counted(broker, 50, 50, "--rate", "5000")

    def test_many_connections(self) -> None:
        broker = self.broker()
        self.assert_counted(broker, 500, 10_000, "--receivers", "20", "--senders", "3")
        self.assert_counted(broker, 500, 1_000, "--receivers", "8", "--channels", "4")
        self.assert_counted(broker, 500, 500, "--receivers", "2", "--channels", "6", "--senders", "4")
        self.assert_counted(broker, 500, 1_500, "--receivers", "5", "--number-of-receiver", "3")

    def test_each_way_of_counting(self) -> None:
        broker = self.broker()
        for size in ("66", "600", "70000"):
            self.assert_counted(broker, 200, 400, "--receivers", "2", "--size", size, "--window", "16")

    def test_seconds_and_rounds(self) -> None:
        found = self.found(self.broker(), "--seconds", "0.1", "--rounds", "2")
        self.assertEqual(len(found["rounds"]), 2)
        self.assertLessEqual(RESULTS, set(found["result"]))
        self.assertEqual((found["load"]["seconds"], found["result"]["lost"]), (0.1, 0))

    def test_where_messages_are_kept(self) -> None:
        for keep_data in ("true", "always"):
            broker = self.broker(database="memory:", keep_data=keep_data)
            self.assert_counted(broker, 500, 500)

    def test_confirms(self) -> None:
        broker = self.broker(database="sqlite:///kept.sqlite3", keep_data="true")
        self.assert_counted(broker, 500, 500, "--confirm")
        self.assert_counted(broker, 20, 20, "--confirm", "--window", "1")
        self.assert_counted(broker, 500, 500, "--confirm", "--senders", "3", "--channels", "5")
        self.assert_counted(broker, 50, 50, "--confirm", "--rate", "5000")
        with closing(sqlite3.connect(broker.folder / "kept.sqlite3")) as kept:
            self.assertEqual(kept.execute("SELECT COUNT(*) FROM mq_data").fetchone(), (1_070,))

    def test_table_and_file(self) -> None:
        file = Path(self.mktemp()).absolute()
        status, out, err = self.bench(self.broker().port, "--messages", "100", "--json", str(file))
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"messages sent +[\d,.]+ a second\n(?s:.*)latency p99\.9 ")
        self.assertEqual(json.loads(file.read_text())["result"]["deliveries"], 100)

    def test_what_is_lost_is_counted(self) -> None:
        broker = self.broker("[server]\nnumber_of_receiver = 1\n")
        status, out, _ = self.bench(broker.port, "--receivers", "2", "--messages", "10")
        self.assertEqual(status, 1)
        self.assertRegex(out, r"lost +10\n")

    def test_too_big_for_the_broker(self) -> None:
        status, out, err = self.bench(self.broker().port, "--size", "2000000", "--messages", "1")
        self.assertEqual((status, out, err.count("\n")), (1, "", 1))
        self.assertRegex(err, "ended the connection of a sender|lost a sender")

    def test_refused(self) -> None:
        status, out, err = self.bench(self.broker().port, password="wrong")
        self.assertEqual((status, out, err.count("\n")), (1, "", 1))
        self.assertIn("refused: 401 Unauthorized", err)

    def test_nobody_there(self) -> None:
        status, out, err = self.bench(free_port())
        self.assertEqual((status, out, err.count("\n")), (1, "", 1))
        self.assertIn("Connection refused", err)
