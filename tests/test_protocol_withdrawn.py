"""Tests for the end of connections whose user is not let in any more, and for other settings of a factory."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.support_protocol import Connection, World, basic, client_frame, request
from wsmb.settings import ChannelSettings, KeepData

RECEIVE = b'{"command":"receive-message","channel":"c"}'
SEND = b'{"command":"send-message","channel":"c","data":[%d]}'
CONFIRM = b'{"command":"ping","channel":"-","confirm":1}'


class WithdrawTests(SynchronousTestCase):
    def setUp(self) -> None:
        kept = ChannelSettings(keep_data=KeepData.OFFLINE)
        self.world = World(default_channel=kept)
        self.addCleanup(self.world.close)

    def connected(self, user: str, *payloads: bytes) -> Connection:
        connection = self.world.open(authorization=basic(user, "right"))
        for payload in payloads:
            connection.receive(client_frame(payload))
        self.settle()
        connection.taken()
        return connection

    def settle(self) -> None:
        self.world.store.settle()
        self.world.clock.advance(0)

    def withdraw(self, *users: str) -> None:
        self.world.factory.withdraw(set(users))
        self.world.clock.advance(0)

    def test_tcp_ends_for_a_client_of_the_original(self) -> None:
        gone, stays = self.connected("qb", RECEIVE), self.connected("qa", RECEIVE)
        self.withdraw("qb", "nobody")
        self.assertEqual((gone.is_open, gone.frames()), (False, []))
        self.assertEqual((stays.is_open, stays.frames()), (True, []))

    def test_who_uses_an_extension_is_told_1008(self) -> None:
        gone = self.connected("qb", CONFIRM)
        self.withdraw("qb")
        ((first, payload),) = gone.frames()
        self.assertEqual((first, payload[:2]), (0x88, (1008).to_bytes(2, "big")))

    def test_what_it_has_not_proved_is_for_others_before_it_has_gone(self) -> None:
        gone, sender = self.connected("qb", CONFIRM, RECEIVE), self.connected("qa", CONFIRM)
        sender.receive(client_frame(SEND % 1))
        self.assertIn(SEND % 1, gone.payloads())
        self.withdraw("qb")
        self.settle()
        self.assertEqual((gone.is_open, self.world.store.waiting("c")), (True, [1]))

    def test_what_it_says_then_is_not_carried_out(self) -> None:
        gone, stays = self.connected("qb", CONFIRM), self.connected("qa", RECEIVE)
        self.withdraw("qb")
        gone.receive(client_frame(SEND % 1))
        gone.receive(client_frame(RECEIVE))
        self.assertEqual(stays.frames(), [])
        self.assertEqual(len(self.world.broker.channels), 1)

    def test_who_does_not_go_is_thrown_out(self) -> None:
        gone = self.connected("qb", CONFIRM)
        self.withdraw("qb")
        self.world.factory.sweep(self.world.clock.seconds() + 1.9)
        self.assertFalse(gone.transport.aborted)
        gone.receive(client_frame(SEND % 1))
        self.world.factory.sweep(self.world.clock.seconds() + 2.1)
        self.assertTrue(gone.transport.aborted)


class FactorySettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def test_limits_of_new_connections(self) -> None:
        old = self.world.greeted()
        self.world.factory.use_settings(replace(self.world.settings, max_frame_bytes=1_024))
        new = self.world.greeted()
        for connection in (old, new):
            connection.receive(client_frame(b'{"command":"ping","channel":"%s"}' % (b"x" * 2_000)))
        self.assertEqual([first for first, _ in old.frames()], [0x81])
        self.assertEqual([first for first, _ in new.frames()], [0x88])

    def test_the_path_and_the_time_for_the_opening(self) -> None:
        self.world.factory.use_settings(replace(self.world.settings, path="/b", handshake_timeout_s=3.0))
        refused, late = self.world.connect(), self.world.connect()
        refused.receive(request())
        self.assertIn(b"404", refused.taken())
        self.world.clock.advance(3.1)
        self.assertFalse(late.is_open)

    def test_the_silence_before_a_ping(self) -> None:
        connection = self.world.greeted()
        self.world.factory.use_settings(replace(self.world.settings, ping_interval_s=5.0))
        for second in (1.0, 7.0):
            self.world.factory.sweep(self.world.clock.seconds() + second)
        self.assertEqual([first for first, _ in connection.frames()], [0x89])
