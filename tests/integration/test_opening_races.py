"""What comes, or goes, while a request is looked at, and what a live connection has been set to."""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import Any

from twisted.internet import reactor, threads
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import TestCase

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import USER, poll
from tests.integration.raw_client import CLOSE, RawClient, basic, client_frame, command, connect, opening
from tests.support_protocol import World
from tests.support_protocol import basic as world_basic

MANY = 60


class RaceTests(BrokerCase):
    def test_gone_while_the_password_is_checked(self) -> None:
        """Autobahn would open a session on the dead socket: a receiver that nothing ever removes."""
        broker = self.broker()
        receive = client_frame(command("receive-message", "sms"))
        sender = self.sender(broker)
        sockets = broker.sockets()
        for number in range(MANY):
            connection = connect(broker.port)
            connection.sendall(opening(authorization=basic(USER, f"wrong {number}" if number % 2 else "x")))
            connection.close()
            connection = connect(broker.port)
            connection.sendall(opening(authorization=basic("apr1")) + receive)
            connection.close()
        poll(lambda: broker.sockets() <= sockets, "connections to end")
        sender.publish("sms", 1, confirm=1)
        self.assertEqual(sender.read_json()["data"][0]["receivers"], 0)
        broker.stop()
        log = broker.log()
        self.assertEqual(log.count(" connected from "), log.count(" left ("))

    def test_a_second_request_behind_a_good_one_is_no_request(self) -> None:
        """Autobahn would run onConnect again, and the session would be the second user's, unverified."""
        broker = self.broker()
        for second in (basic("apr1"), basic("sha", "wrong")):
            client = self.client(broker, opening() + opening(authorization=second))
            self.assertEqual(client.status, 101)
            frame = client.read_frame()
            self.assertEqual((frame.first & 0xF, frame.payload[:2]), (CLOSE, (1002).to_bytes(2, "big")))
            client.close()
        broker.stop()
        self.assertNotRegex(broker.log(), "(apr1|sha) connected")

    def test_frames_behind_a_good_request_are_carried_out_once(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        frame = command("send-message", "sms", data=[1])
        client = self.client(broker, opening() + client_frame(frame))
        self.assertEqual(client.status, 101)
        self.assertEqual(receiver.read_text(), frame)
        self.assertEqual(receiver.fence(), [])

    def test_the_origin_null_if_it_is_allowed(self) -> None:
        """Autobahn's allowNullOrigin turns itself off."""
        broker = self.broker("[server]\nallowed_origins[] = null\n")
        self.assertEqual(self.client(broker, opening(headers=["Origin: null"])).status, 101)


class LiveConnectionTests(TestCase):
    @inlineCallbacks
    def test_no_delay(self) -> Generator[Deferred[Any], Any, None]:
        """Autobahn's tcpNoDelay has no effect on a server: with Nagle, answers take 40 ms."""
        world = World()
        self.addCleanup(world.close)
        port = reactor.listenTCP(0, world.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client: RawClient = yield threads.deferToThread(self.entered, port.getHost().port)
        (connection,) = world.factory.connections
        self.assertTrue(connection.transport.getTcpNoDelay())
        ended: Deferred[None] = Deferred()
        closed = world.factory.closed
        world.factory.closed = lambda *what: (closed(*what), ended.callback(None))
        client.close()
        yield ended
        for call in world.clock.getDelayedCalls():
            call.cancel()

    def entered(self, port: int) -> RawClient:
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        return RawClient(connection, opening(authorization=world_basic("qa", "right")))
