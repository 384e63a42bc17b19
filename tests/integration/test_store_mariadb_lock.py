"""One broker on the tables of a MySQL database at a time."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent

from tests.contracts.store_contract import ask
from tests.integration.lock_contract import LockContract
from tests.integration.mariadb_case import MariaDBCase
from wsmb.errors import SettingError
from wsmb.store import open_store


class LockTest(LockContract, MariaDBCase):
    def test_a_second_broker_is_refused_while_the_first_is_idle(self) -> None:
        self.open()
        with self.assertRaises(SettingError) as caught:
            open_store(self.settings, reactor)
        self.assertIn("[database] prefix: another broker uses mq_data", str(caught.exception))
        self.assertIn(f"connection {self.holder()}", str(caught.exception))

    async def test_the_next_one_may_have_them_when_the_first_is_closed(self) -> None:
        first = self.open()
        await ask(first.append, "sms", [b"1"])
        await ask(first.close)
        self.assertIsNone(self.holder())
        second = self.open()
        await ask(second.append, "sms", [b"2"])
        self.assertEqual(len(self.rows()), 2)

    async def test_the_lock_is_kept_on_a_new_connection(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        old = self.holder()
        self.server.query(f"KILL {old}")
        await ask(store.append, "sms", [b"2"])
        self.assertNotIn(self.holder(), (None, old))
        self.assertEqual([data for _, data in self.rows()], ["1", "2"])

    async def test_another_broker_that_came_meanwhile_is_waited_for_and_named(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        self.server.query(f"KILL {self.holder()}")
        second = self.open()
        with capturedLogs() as events:
            answer: Deferred[Any] = ask(store.append, "sms", [b"2"])
            while not [event for event in events if "another broker has taken" in str(event["log_format"])]:
                await deferToThread(self.rows)
        self.assertFalse(answer.called)
        await ask(second.append, "sms", [b"3"])
        await ask(second.close)
        await answer
        self.assertEqual(sorted(data for _, data in self.rows()), ["1", "2", "3"])
        lines = [line for line in map(formatEvent, events) if line and "another broker" in line]
        self.assertEqual(len([line for line in lines if "nothing is stored or read" in line]), 1, lines)
