"""The MySQL store while the server is away, frozen, slow, or takes no more connections."""

from __future__ import annotations

from typing import Any

import pymysql
from pymysql.constants import ER
from twisted.internet.defer import gatherResults

from tests.contracts.store_contract import ask, data_of
from tests.integration.away_contract import AwayContract
from tests.integration.mariadb_case import MariaDBCase
from tests.integration.server_case import append_numbers, store_threads
from wsmb.errors import Code
from wsmb.interfaces import MessageStore


class AwayTest(AwayContract, MariaDBCase):
    async def test_a_server_that_takes_no_more_connections(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        before = self.server.query("SELECT @@GLOBAL.max_connections")[0][0]
        self.addCleanup(self.server.query, "SET GLOBAL max_connections = %s", before)
        self.server.query("SET GLOBAL max_connections = 10")
        others = self.take_all_connections(store)
        answers = append_numbers(store, range(1, 50))
        self.assertIs(await ask(store.check), False)
        for other in others:
            other.close()
        await gatherResults(answers)
        self.assert_numbers(range(50))

    def take_all_connections(self, store: MessageStore) -> list[Any]:
        """All that there are, and the store's own among them."""
        others = [self.connection()]
        holder = self.holder()
        with others[0].cursor() as cursor:
            cursor.execute("KILL %s", holder)
        for _ in range(100):
            try:
                others.append(self.connection())
            except pymysql.OperationalError as error:
                self.assertEqual(error.args[0], ER.CON_COUNT_ERROR)
                return others
        raise AssertionError("it takes any number of connections")

    def connection(self) -> Any:
        connection = pymysql.connect(
            unix_socket=self.server.socket,
            user=self.settings.username,
            password=self.settings.password.encode(),
            database=self.settings.name,
        )
        self.addCleanup(lambda: connection.open and connection.close())
        return connection

    async def test_a_slow_server_is_waited_for(self) -> None:
        """Each statement is quick to come and slow to be answered; a check tells that it lives."""
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        self.sql(
            "CREATE TRIGGER slow BEFORE INSERT ON mq_data FOR EACH ROW "
            "SET NEW.created = IF(SLEEP(0.2), NULL, NOW())"
        )
        answers = append_numbers(store, range(1, 9))
        page = ask(store.page, "sms", 0, 99, 999)
        self.assertIs(await ask(store.check), True)
        await gatherResults(answers)
        self.assertEqual(data_of(await page), [b"%d" % number for number in range(9)])
        self.assert_numbers(range(9))

    async def test_a_server_that_freezes_before_the_first_connection_does_not_hold_up_close(self) -> None:
        store = self.open()
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        answer = ask(store.append, "sms", [b"1"])
        await ask(store.close)
        self.assertFalse(store_threads())
        self.assertIs((await answer).code, Code.UNAVAILABLE)
