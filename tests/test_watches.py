"""Tests for wsmb.watches: a sender is told once all of its frame has been proved."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer
from wsmb.deliveries import Message
from wsmb.watches import Watch, Watches


class WatchesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watches = Watches()
        self.told: list[str] = []
        self.peers = [RecordingPeer(name) for name in "ab"]
        for peer in self.peers:
            self.watches[peer] = Watch(lambda name=peer.name: self.told.append(name))

    def message(self, sender: RecordingPeer | None, *ids: int) -> Message:
        return Message(b"", (), 0, sender, ids=ids)

    def test_as_the_message_that_it_was(self) -> None:
        self.watches.proved([self.message(self.peers[1])])
        self.watches.proved([self.message(self.peers[1])])
        self.assertEqual(self.told, ["b"])

    def test_item_by_item(self) -> None:
        first, second = self.peers
        self.watches.stored(first, [1, 2])
        self.watches.stored(second, range(3, 5))
        self.watches.proved([self.message(None, 2, 3)])
        self.assertEqual(self.told, [])
        self.watches.proved([self.message(None, 1), self.message(None, 1, 4)])
        self.assertEqual(self.told, ["a", "b"])
        self.assertEqual([self.watches[peer].is_proved for peer in self.peers], [True, True])

    def test_of_others_nothing_is_known(self) -> None:
        stranger = RecordingPeer("c")
        self.watches.stored(stranger, [1])
        self.watches.stored(None, [1])
        self.watches.proved([self.message(stranger), self.message(None), self.message(None, 1)])
        self.assertEqual(self.told, [])
