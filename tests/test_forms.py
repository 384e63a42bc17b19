"""Tests for wsmb.forms."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer
from wsmb.deliveries import Message
from wsmb.fanout import Fanout
from wsmb.forms import Forms
from wsmb.interfaces import Peer


class FormsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.forms = Forms(Fanout())
        self.peers = [RecordingPeer(name) for name in "abcd"]
        self.message = Message(b"command", (), 0, None, texts=(b"one", b"two"))

    def read(self, *names: str) -> list[Peer]:
        """These, and that they read texts."""
        found: list[Peer] = [peer for peer in self.peers if peer.name in names]
        for peer in found:
            self.forms.join(peer)
        return found

    def sent(self) -> list[list[bytes]]:
        return [peer.payloads() for peer in self.peers]

    def test_each_in_its_form(self) -> None:
        self.read("a", "c")
        self.forms.send(self.message, self.peers)
        self.assertEqual(self.sent(), [[b"one", b"two"], [b"command"]] * 2)
        self.forms.send(Message(b"command", (), 0, None), self.peers)
        self.assertEqual(self.sent(), [[b"command"]] * 4)

    def test_one_for_all_if_they_read_the_same(self) -> None:
        readers = self.read("a", "b")
        self.assertEqual(self.forms.one_for_all(self.message, readers), (b"one", b"two"))
        self.assertEqual(self.forms.one_for_all(self.message, self.peers[2:]), (b"command",))
        self.assertIsNone(self.forms.one_for_all(self.message, self.peers))

    def test_who_goes_and_comes_again_may_read_something_else(self) -> None:
        self.read("a", "b")
        self.forms.send(self.message, self.peers)
        self.sent()
        self.forms.leave(self.peers[0])
        self.forms.send(self.message, self.peers)
        self.assertEqual(self.sent(), [[b"command"], [b"one", b"two"], [b"command"], [b"command"]])

    def test_what_goes_to_the_same_ones_goes_in_one_bundle(self) -> None:
        for names in ("", "abcd"):
            self.read(*names)
            peers = list(self.peers)
            for _ in range(3):
                self.forms.send(self.message, peers)
            self.assertEqual({len(peer.frames) for peer in peers}, {2})  # the first, and a bundle
            self.sent()
