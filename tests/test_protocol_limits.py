"""Limits and proxies at the door of a broker's factory, on in-memory transports."""

from __future__ import annotations

import re

from twisted.internet.interfaces import ISSLTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from tests.support_protocol import Connection, World, basic, request
from wsmb.arriving import END_TIMEOUT_S
from wsmb.opening import GUESS_S
from wsmb.protocol import BrokerProtocol
from wsmb.settings import Limits

WRONG = basic("qa", "wrong")


class DoorCase(SynchronousTestCase):
    def world(self, **settings: object) -> World:
        world = World(**settings)
        self.addCleanup(world.close)
        return world

    def assert_refused(self, connection: Connection, status: int) -> str:
        answer = connection.taken().decode()
        self.assertTrue(answer.startswith(f"HTTP/1.1 {status} "), answer)
        self.assertFalse(connection.is_open)
        return answer

    def assert_retry(self, connection: Connection, status: int) -> int:
        answer = self.assert_refused(connection, status)
        (seconds,) = re.findall(r"\r\nRetry-After: (\d+)\r\n", answer)
        return int(seconds)


class LimitTests(DoorCase):
    def refused(self, world: World, status: int, **options: str) -> None:
        connection = world.connect(options.get("address", "192.0.2.1"))
        connection.receive(request())
        self.assertGreater(self.assert_retry(connection, status), 0)

    def test_connections(self) -> None:
        world = self.world(limits=Limits(max_connections=2))
        first, _ = world.open(), world.open(address="192.0.2.2")
        self.refused(world, 503, address="192.0.2.3")
        self.assertEqual(world.checker.asked, ["qa", "qa"])
        first.lose()
        world.open()

    def test_connections_of_an_address(self) -> None:
        world = self.world(limits=Limits(max_connections_per_address=1))
        first = world.open()
        self.refused(world, 429)
        world.open(address="192.0.2.2")
        first.lose()
        world.open()

    def test_connections_of_a_user_are_told_to_who_has_the_password(self) -> None:
        world = self.world(limits=Limits(max_connections_per_user=1))
        world.open()
        self.refused(world, 429, address="192.0.2.2")
        stranger = world.connect("192.0.2.3")
        stranger.receive(request(authorization=WRONG))
        self.assert_refused(stranger, 401)
        world.open(authorization=basic("other", "right"))

    def test_who_is_let_in_last_counts_when_two_are_checked_at_a_time(self) -> None:
        world = self.world(limits=Limits(max_connections=1))
        world.checker.at_once = False
        first, second = world.connect(), world.connect()
        first.receive(request())
        second.receive(request())
        world.checker.answer()
        self.assertIn(b" 101 ", first.taken())
        self.assert_retry(second, 503)

    def test_handshakes(self) -> None:
        world = self.world(limits=Limits(max_handshakes=2))
        first, _ = world.connect(), world.connect("192.0.2.2")
        self.assert_retry(world.connect("192.0.2.3"), 503)
        first.receive(request())
        self.assertTrue(world.connect("192.0.2.3").is_open)

    def test_handshakes_of_an_address(self) -> None:
        world = self.world(limits=Limits(max_handshakes_per_address=1))
        world.connect()
        self.assert_retry(world.connect(), 429)
        self.assertTrue(world.connect("192.0.2.2").is_open)

    def test_all_of_an_address_may_wait_for_their_passwords_to_be_checked(self) -> None:
        world = self.world(limits=Limits(max_handshakes=1, max_handshakes_per_address=1))
        world.checker.at_once = False
        waiting = []
        for _ in range(5):
            waiting.append(world.connect())
            waiting[-1].receive(request())
        while world.checker.open:
            world.checker.answer()
        for connection in waiting:
            self.assertIn(b" 101 ", connection.taken())
        self.assertEqual((world.factory.door.handshakes, world.factory.door.waiting), (0, 0))

    def test_but_no_further_ones_once_a_password_was_wrong(self) -> None:
        world = self.world(limits=Limits(max_handshakes_per_address=1))
        world.checker.at_once = False
        wrong = world.connect()
        wrong.transport.loseConnection = lambda: None  # as TLS does while the other end says nothing
        wrong.receive(request(authorization=WRONG))
        world.checker.answer()
        self.assert_retry(world.connect(), 429)

    def test_what_was_refused_is_counted(self) -> None:
        world = self.world(limits=Limits(max_connections=1, max_handshakes=1))
        world.open()
        self.refused(world, 503)
        world.connect()
        world.connect()
        self.assertEqual(world.factory.take_refusals(), "2 with 503")

    def test_when_all_have_gone_nothing_is_counted(self) -> None:
        world = self.world(limits=Limits(max_handshakes=2))
        for connection in (world.open(), world.connect(), world.connect(), world.connect()):
            connection.lose()
        self.assertEqual((world.factory.door.connections, world.factory.door.handshakes), (0, 0))


class GuessTests(DoorCase):
    def guess(self, world: World) -> Connection:
        connection = world.connect()
        connection.receive(request(authorization=WRONG))
        return connection

    def test_that_a_password_was_not_looked_at_is_told_later(self) -> None:
        world = self.world(limits=Limits(max_failures=1))
        self.assert_refused(self.guess(world), 401)
        late = self.guess(world)
        self.assertEqual((late.taken(), world.checker.asked), (b"", ["qa"]))
        world.clock.advance(GUESS_S)
        self.assert_retry(late, 429)

    def test_who_has_gone_by_then_is_not_told(self) -> None:
        world = self.world(limits=Limits(max_failures=1))
        self.guess(world)
        self.guess(world).lose()
        self.assertEqual((world.clock.getDelayedCalls(), world.factory.door.handshakes), ([], 0))

    def test_so_many_of_an_address_may_wait_for_it(self) -> None:
        world = self.world(limits=Limits(max_failures=1, max_handshakes_per_address=1))
        self.guess(world)
        self.guess(world)
        self.assert_retry(self.guess(world), 429)


class LeavingTests(DoorCase):
    def test_who_has_gone_is_not_let_in(self) -> None:
        world = self.world()
        world.checker.at_once = False
        connection = world.connect()
        connection.receive(request())
        connection.lose()
        world.checker.answer()
        self.assertEqual((world.factory.door.connections, world.factory.door.handshakes), (0, 0))

    def test_a_refused_client_that_keeps_tls_open_is_cut_off(self) -> None:
        world = self.world()
        connection = world.connect()
        directlyProvides(connection.transport, ISSLTransport)
        connection.transport.loseConnection = lambda: None
        connection.receive(request(authorization=WRONG))
        del connection.transport.loseConnection
        world.clock.advance(END_TIMEOUT_S)
        self.assertTrue(connection.transport.aborted)

    def test_and_one_that_closes_it_leaves_no_timer(self) -> None:
        world = self.world()
        connection = world.connect()
        directlyProvides(connection.transport, ISSLTransport)
        connection.receive(request(authorization=WRONG))
        self.assertFalse(connection.is_open)
        self.assertEqual([call for call in world.clock.calls if call.func == connection.protocol._end], [])


class ProxyTests(DoorCase):
    trusted = ("192.0.2.0/24",)

    def test_the_client_behind_a_trusted_proxy_is_counted(self) -> None:
        world = self.world(trusted_proxies=self.trusted, limits=Limits(max_connections_per_address=1))
        world.open("X-Forwarded-For: 203.0.113.1")
        world.open("X-Forwarded-For: 203.0.113.2")
        late = world.connect()
        late.receive(request("X-Forwarded-For: 198.51.100.1", "x-forwarded-for: 203.0.113.1"))
        self.assert_retry(late, 429)

    def test_others_are_not_believed(self) -> None:
        world = self.world(trusted_proxies=self.trusted, limits=Limits(max_connections_per_address=1))
        world.open("X-Forwarded-For: 203.0.113.1", address="198.51.100.1")
        late = world.connect("198.51.100.1")
        late.receive(request("X-Forwarded-For: 203.0.113.2"))
        self.assert_retry(late, 429)

    def test_a_trusted_proxy_is_not_counted_before_its_client_is_known(self) -> None:
        world = self.world(trusted_proxies=self.trusted, limits=Limits(max_handshakes_per_address=1))
        first, second, third = world.connect(), world.connect(), world.connect()
        world.checker.at_once = False
        first.transport.loseConnection = lambda: None
        first.receive(request("X-Forwarded-For: 203.0.113.1", authorization=WRONG))
        second.receive(request("X-Forwarded-For: 203.0.113.2"))
        world.checker.answer()
        self.assertIn(b" 101 ", second.taken())
        third.receive(request("X-Forwarded-For: 203.0.113.1"))
        self.assert_retry(third, 429)

    def test_the_log_names_both(self) -> None:
        world = self.world(trusted_proxies=self.trusted)
        connection = world.open("X-Forwarded-For: 203.0.113.1")
        protocol: BrokerProtocol = connection.protocol
        self.assertEqual(protocol.peer, "203.0.113.1 through tcp4:192.0.2.1:4711")


class ProxyHeaderTests(DoorCase):
    header = b"PROXY TCP4 203.0.113.1 192.0.2.1 4711 8888\r\n"

    def proxied(self, **settings: object) -> World:
        return self.world(trusted_proxies=("192.0.2.0/24",), proxy_protocol=True, **settings)

    def test_the_client_is_who_it_names(self) -> None:
        world = self.proxied(limits=Limits(max_connections_per_address=1))
        first, second = world.connect(), world.connect("192.0.2.2")
        first.receive(self.header + request())
        self.assertIn(b" 101 ", first.taken())
        self.assertEqual(first.protocol.peer, "203.0.113.1 through tcp4:192.0.2.1:4711")
        second.receive(self.header + request())
        self.assert_retry(second, 429)

    def test_byte_by_byte(self) -> None:
        world = self.proxied()
        connection = world.connect()
        for byte in self.header + request():
            connection.receive(bytes([byte]))
        self.assertIn(b" 101 ", connection.taken())

    def test_the_client_counts_before_its_request_is_there(self) -> None:
        world = self.proxied(limits=Limits(max_handshakes_per_address=1))
        first, second = world.connect(), world.connect()
        first.receive(self.header)
        second.receive(self.header)
        self.assert_retry(second, 429)
        self.assertTrue(first.is_open)
        first.receive(request())
        self.assertIn(b" 101 ", first.taken())
        self.assertEqual(world.factory.door.handshakes_of, {})

    def test_but_not_if_it_is_a_proxy_in_turn(self) -> None:
        world = self.proxied(limits=Limits(max_handshakes_per_address=1))
        for _ in range(2):
            connection = world.connect()
            connection.receive(b"PROXY TCP4 192.0.2.77 192.0.2.1 4711 8888\r\n")
            self.assertTrue(connection.is_open)

    def test_a_trusted_proxy_must_send_it(self) -> None:
        connection = self.proxied().connect()
        connection.receive(request())
        self.assert_refused(connection, 400)

    def test_from_others_it_is_no_request(self) -> None:
        for world, address in ((self.proxied(), "198.51.100.1"), (self.world(), "192.0.2.1")):
            connection = world.connect(address)
            connection.receive(self.header + request())
            self.assert_refused(connection, 400)

    def test_others_need_none(self) -> None:
        self.proxied().open(address="198.51.100.1")

    def test_what_the_client_itself_says_is_not_believed(self) -> None:
        connection = self.proxied().connect()
        connection.receive(self.header + request("X-Forwarded-For: 198.51.100.1"))
        self.assertEqual(connection.protocol.peer, "203.0.113.1 through tcp4:192.0.2.1:4711")

    def test_a_proxy_before_the_proxy(self) -> None:
        connection = self.proxied().connect()
        header = b"PROXY TCP4 192.0.2.77 192.0.2.1 4711 8888\r\n"
        connection.receive(header + request("X-Forwarded-For: 198.51.100.1"))
        self.assertTrue(connection.protocol.peer.startswith("198.51.100.1 through 192.0.2.77 through "))

    def test_a_proxy_that_speaks_for_itself(self) -> None:
        connection = self.proxied().connect()
        connection.receive(b"PROXY UNKNOWN\r\n" + request())
        self.assertEqual(connection.protocol.peer, "tcp4:192.0.2.1:4711")
