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
        self.later_s = 0
        return MemoryStore(partial(reactor.callLater, 0), lambda: reactor.seconds() + self.later_s)

    def grow_older(self, seconds: int) -> None:
        self.later_s += seconds


class MemoryStoreTest(SynchronousTestCase):
    def test_open_store_gives_it(self) -> None:
        self.assertIsInstance(open_store(DatabaseSettings(driver="memory"), reactor), MemoryStore)

    def test_a_drained_channel_leaves_nothing_behind(self) -> None:
        later: list = []
        store = MemoryStore(later.append, lambda: 0.0)
        store.append("sms", [b"1", b"2"], store.remove)
        while later:
            later.pop()()
        self.assertEqual((store._lines, store._home_of), ({}, {}))

    def test_removed_items_at_the_head_are_not_walked_again(self) -> None:
        store = MemoryStore(lambda _call: None, lambda: 0.0)
        store.append("sms", [b"1"] * 1000, lambda _ids: None)
        store.remove(range(1, 400))
        self.assertEqual(store._lines["sms"].head, 399)
        store.remove(range(400, 700))
        self.assertEqual(len(store._lines["sms"].ids) - store._lines["sms"].head, 301)
