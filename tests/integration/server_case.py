"""A test case of the store on a database server of the tests' own, whichever it is."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.contracts.store_contract import ask
from tests.integration.tcp_proxy import LossyProxy
from wsmb.interfaces import MessageStore
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store


def store_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.daemon and "PoolThread" in thread.name]


def append_numbers(store: MessageStore, numbers: Iterable[int], **options: Any) -> list[Deferred[Any]]:
    """Each in an operation of its own, all asked for at once."""
    return [ask(store.append, "sms", [b"%d" % number], **options) for number in numbers]


class ServerCase(TestCase):
    """Each test has a database of its own."""

    timeout = 120

    server: Any
    settings: DatabaseSettings

    def start_server(self) -> Any:
        """The tests' server, started for the first of them."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.server = self.start_server()
        self.settings = self.server.new_database()

    def open(self, settings: DatabaseSettings | None = None) -> MessageStore:
        store = open_store(settings or self.settings, reactor)
        self.addCleanup(lambda: ask(store.close))
        return store

    def through_proxy(self) -> tuple[LossyProxy, MessageStore]:
        """A store that talks to the server through a proxy on its own."""
        proxy = LossyProxy(self.server.port)
        self.addCleanup(proxy.close)
        return proxy, self.open(replace(self.settings, host="127.0.0.1", port=proxy.port))

    def sql(self, statement: str, *values: object) -> Any:
        """As the administrator."""
        return self.server.query(statement, *values, database=self.settings.name)

    def rows(self) -> list[tuple[str, str]]:
        return list(self.sql("SELECT channel, data FROM mq_data ORDER BY data_id"))

    def assert_numbers(self, numbers: Iterable[int]) -> None:
        """These, and nothing else, are in the table, each once and in this order."""
        self.assertEqual([data for _, data in self.rows()], [str(number) for number in numbers])
