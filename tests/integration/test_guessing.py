"""Guessing passwords at a running broker, and what fail2ban reads of it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, PASSWORD, USER, BrokerProcess
from tests.integration.raw_client import RawClient, basic, connect, opening

FILTER = CHECKOUT / "examples" / "fail2ban" / "wsmb.conf"
HOST = r"(?P<host>[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)"


def failregex() -> re.Pattern[str]:
    """The filter's expression, as fail2ban reads it."""
    (text,) = re.findall(r"^failregex = (.*)$", FILTER.read_text(), re.MULTILINE)
    return re.compile(text.replace("<HOST>", HOST))


class GuessingCase(BrokerCase):
    def answer(self, broker: BrokerProcess, user: str, password: str, *headers: str) -> RawClient:
        request = opening(authorization=basic(user, password), headers=headers)
        client = RawClient(connect(broker.port), request)
        self.addCleanup(client.close)
        return client

    def status(self, broker: BrokerProcess, user: str, password: str, *headers: str) -> int:
        return self.answer(broker, user, password, *headers).status


class ThrottleTests(GuessingCase):
    def test_after_some_failures_429_for_users_that_are_there_and_others(self) -> None:
        broker = self.broker("[limits]\nmax_failures = 3\n")
        for user in (USER, "nobody"):
            statuses = [self.status(broker, user, "wrong") for _ in range(5)]
            self.assertEqual(statuses, [401, 401, 401, 429, 429])
        late = self.answer(broker, USER, "wrong")
        (seconds,) = re.findall(r"\r\nRetry-After: (\d+)\r\n", late.head)
        self.assertIn(int(seconds), range(1, 21))

    def test_who_has_come_in_before_comes_in_again(self) -> None:
        broker = self.broker("[limits]\nmax_failures = 3\n")
        inside = self.sender(broker)
        for _ in range(10):
            self.status(broker, USER, "wrong")
        self.assertEqual(self.status(broker, USER, PASSWORD), 101)
        self.assertEqual(inside.fence(), [])

    def test_and_who_comes_from_elsewhere_does_as_well(self) -> None:
        broker = self.broker("[limits]\nmax_failures_per_user = 5\n[proxy]\ntrusted_proxies = 127.0.0.1\n")
        for number in range(20):
            self.status(broker, USER, "wrong", f"X-Forwarded-For: 203.0.113.{number % 4}")
        self.assertEqual(self.status(broker, USER, PASSWORD, "X-Forwarded-For: 203.0.113.0"), 429)
        self.assertEqual(self.status(broker, USER, PASSWORD, "X-Forwarded-For: 203.0.113.9"), 101)


class LogTests(GuessingCase):
    def test_fail2ban_reads_the_line(self) -> None:
        broker = self.broker("[proxy]\ntrusted_proxies[] = 127.0.0.0/8\n")
        forged = "x from 198.51.100.7: 5 in the last minute"
        for user, address in ((USER, "203.0.113.5"), (forged, "2001:db8::9"), ("caf\xe9", "203.0.113.6")):
            self.status(broker, user, "wrong", f"X-Forwarded-For: {address}")
        self.status(broker, USER, PASSWORD, "X-Forwarded-For: 203.0.113.7")
        # What it has not told yet it tells at its end.
        broker.stop()
        lines = [without_time(line) for line in broker.log().splitlines()]
        found = [match["host"] for match in map(failregex().match, lines) if match]
        self.assertEqual(found, ["203.0.113.5", "2001:db8::9", "203.0.113.6"])
        self.assertIn(
            f" [wsmb.guard#warn] failed login for {USER} from 203.0.113.5: 1 in the last minute", lines
        )

    def test_in_the_journal_too(self) -> None:
        line = "[wsmb.guard#warn] failed login for qa from 192.0.2.1: 7 in the last minute"
        for before in ("host twistd[17]: 2026-11-22T21:00:00+0000 ", "2026-11-22T21:00:00+0000 ", " ", ""):
            self.assertIsNotNone(failregex().match(before + line), before)
        for other in (f"qa {line}", f"qa at {line}", f"{line} x", line.replace("guard", "factory")):
            self.assertIsNone(failregex().match(other), other)

    def test_the_jail_names_the_filter(self) -> None:
        jail = Path(FILTER.parent / "jail.conf").read_text()
        self.assertIn(f"\nfilter = {FILTER.stem}\n", jail)


def without_time(line: str) -> str:
    """As fail2ban looks at it: the time is cut out."""
    return re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", "", line)
