"""A test case with a database of its own on the tests' MariaDB."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.contracts.store_contract import ask
from tests.integration.mariadb import MariaDB, mariadb
from tests.integration.tcp_proxy import LossyProxy
from wsmb.interfaces import MessageStore
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store

ORIGINAL_TABLE = """
CREATE TABLE `mq_data` (`data_id` bigint(20) NOT NULL AUTO_INCREMENT, `channel` varchar(100) DEFAULT NULL,
`data` longtext, `created` datetime DEFAULT NULL, PRIMARY KEY (`data_id`), KEY `channel` (`channel`))
ENGINE=InnoDB DEFAULT CHARSET={charset}
"""


def store_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.daemon and "PoolThread" in thread.name]


class MariaDBCase(TestCase):
    timeout = 120

    server: MariaDB
    settings: DatabaseSettings

    def setUp(self) -> None:
        self.server = mariadb()
        self.settings = self.server.new_database()

    def open(self, settings: DatabaseSettings | None = None) -> MessageStore:
        store = open_store(settings or self.settings, reactor)
        self.addCleanup(lambda: ask(store.close))
        return store

    def through_proxy(self) -> tuple[LossyProxy, MessageStore]:
        """A store that talks to the server through a proxy on its own."""
        proxy = LossyProxy(self.server.port)
        self.addCleanup(proxy.close)
        there = replace(self.settings, host="127.0.0.1", port=proxy.port)
        return proxy, self.open(there)

    def sql(self, statement: str, *values: object) -> Any:
        return self.server.query(statement, *values, database=self.settings.name)

    def rows(self) -> list[tuple[str, str]]:
        return list(self.sql("SELECT channel, data FROM mq_data ORDER BY data_id"))
