"""What comes, or goes, while a request is looked at, and what a live connection has been set to."""

from __future__ import annotations

import re
import socket
from collections.abc import Generator
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import PASSWORD, USER, BrokerProcess, answers, poll
from tests.integration.raw_client import CLOSE, RawClient, basic, client_frame, command, connect, opening
from tests.support_protocol import World
from tests.support_protocol import basic as world_basic
from wsmb.htpasswd import bcrypt_hash

MANY = 60
SLOW_USERS, SLOW_COST = ("slow1", "slow2"), 11
"""A tenth of a second: none has been verified before."""
REQUEST = opening(authorization=world_basic("qa", "right"))


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

    def test_a_second_request_while_the_password_is_checked(self) -> None:
        broker = BrokerProcess(self.folder())
        with (broker.folder / "users").open("a") as users:
            for user in SLOW_USERS:
                users.write(f"{user}:{bcrypt_hash(PASSWORD.encode(), SLOW_COST)}\n")
        self.addCleanup(broker.stop)
        broker.start()
        for user, second in zip(SLOW_USERS, (basic("apr1"), basic("sha", "wrong")), strict=True):
            connection = connect(broker.port)
            connection.sendall(opening(authorization=basic(user)))
            # What another connection is told was read after that request.
            self.assertTrue(answers(broker.port))
            client = RawClient(connection, opening(authorization=second))
            self.addCleanup(client.close)
            self.assertEqual(client.status, 101)
            frame = client.read_frame()
            self.assertEqual((frame.first & 0xF, frame.payload[:2]), (CLOSE, (1002).to_bytes(2, "big")))
            client.close()
        broker.stop()
        self.assertNotRegex(broker.log(), "(apr1|sha) connected")
        self.assertEqual(len(re.findall("slow[12] connected", broker.log())), 2)

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
    """Real sockets, and a password check that ends when the test says so."""

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.addCleanup(lambda: [call.cancel() for call in self.world.clock.getDelayedCalls()])
        port = reactor.listenTCP(0, self.world.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port: int = port.getHost().port

    def connected(self, data: bytes) -> socket.socket:
        """A socket that has sent `data`. To be called in a thread, as all that waits for the broker."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection

    def pending(self) -> socket.socket:
        """A connection whose password is being checked."""
        self.world.checker.at_once = False
        connection = self.connected(REQUEST)
        poll(lambda: self.world.checker.asked == ["qa"], "the password check")
        return connection

    @inlineCallbacks
    def test_no_delay(self) -> Generator[Deferred[Any], Any, None]:
        """Autobahn's tcpNoDelay has no effect on a server: with Nagle, answers take 40 ms."""
        connection = yield deferToThread(self.connected, REQUEST)
        yield deferToThread(connection.recv, 4_096)
        (live,) = self.world.factory.connections
        self.assertTrue(live.transport.getTcpNoDelay())
        yield deferToThread(self.leave, connection)

    @inlineCallbacks
    def test_gone_while_the_password_is_checked(self) -> Generator[Deferred[Any], Any, None]:
        """Autobahn would open a session on the dead socket that nothing ever closes."""
        connection = yield deferToThread(self.pending)
        yield deferToThread(self.leave, connection)
        self.world.checker.answer()
        self.assertEqual((self.world.factory.connections, self.world.factory.door.connections), (set(), 0))

    @inlineCallbacks
    def test_a_second_request_while_the_password_is_checked(self) -> Generator[Deferred[Any], Any, None]:
        """Autobahn would run onConnect again: the session would be the second user's, unverified."""
        connection = yield deferToThread(self.pending)
        connection.sendall(opening(authorization=world_basic("admin", "right")))
        yield deferToThread(self.fence)
        self.world.checker.answer()
        self.world.clock.advance(0)
        told = yield deferToThread(self.read_to_end, connection)
        self.assertEqual(self.world.checker.asked, ["qa"])
        self.assertRegex(told, rb"(?s)^HTTP/1.1 101 .*\r\n\r\n\x88.\x03\xea")

    def fence(self) -> None:
        """Returns when the broker has read what was sent before."""
        self.connected(b"GET / HTTP/1.1\r\n\r\n").recv(1)

    def read_to_end(self, connection: socket.socket) -> bytes:
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4_096), b""))

    def leave(self, connection: socket.socket) -> None:
        """Returns when the broker has seen it."""
        connection.close()
        door = self.world.factory.door
        poll(lambda: not (door.connections or door.handshakes), "the connection to end")
