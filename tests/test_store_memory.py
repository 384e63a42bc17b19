"""The memory store."""

from __future__ import annotations

from functools import partial

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.contracts.store_contract import StoreContract
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store
from wsmb.store.memory import MemoryStore


class MemoryStoreContract(StoreContract, TestCase):
    examples = 200

    def open_store(self) -> MemoryStore:
        return MemoryStore(partial(reactor.callLater, 0))


class MemoryStoreTest(SynchronousTestCase):
    def test_open_store_gives_it(self) -> None:
        self.assertIsInstance(open_store(DatabaseSettings(driver="memory"), reactor), MemoryStore)

    def test_a_drained_channel_leaves_nothing_behind(self) -> None:
        later: list = []
        store = MemoryStore(later.append)
        store.append("sms", [b"1", b"2"], store.remove)
        while later:
            later.pop()()
        self.assertEqual((store._lines, store._line_of), ({}, {}))

    def test_removed_items_at_the_head_are_not_walked_again(self) -> None:
        store = MemoryStore(lambda _call: None)
        store.append("sms", [b"1"] * 1000, lambda _ids: None)
        store.remove(range(1, 400))
        self.assertEqual(store._lines["sms"].head, 399)
        store.remove(range(400, 700))
        self.assertEqual(len(store._lines["sms"].ids) - store._lines["sms"].head, 301)
