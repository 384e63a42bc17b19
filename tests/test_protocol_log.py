"""What is logged of a connection: one line when it opens, one with its counters when it ends."""

from __future__ import annotations

from typing import Any

from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support_protocol import World, client_frame


class EndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def test_two_lines_and_the_counters(self) -> None:
        self.world.clock.advance(1_000)
        connection = self.world.open()
        connection.receive(client_frame(b'{"command":"ping"}') + client_frame(b"!"))
        self.world.clock.advance(7.5)
        connection.lose()
        lines = [event for event in self.events if event["log_namespace"] == "wsmb.factory"]
        end = lines[-1]
        told = {name: end[name] for name in ("user", "seconds", "frames_in", "refused", "unproved")}
        expected = {"user": "qa", "seconds": 7.5, "frames_in": 2, "refused": 1, "unproved": 0}
        self.assertEqual((len(lines), told), (2, expected))
        self.assertIn("after 7.5 s: 2 frames in, 1 refused", formatEvent(end))
