"""Tests for wsmb.http.site: what is a request, and how much of what comes on how many connections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support_http import KEPT, HttpWorld
from tests.support_protocol import basic
from tests.test_http_requests import RequestCase
from wsmb.settings import Limits

SMS = "/channels/sms"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
SEND = (
    b"POST /channels/sms?wait=1s&ttl=5 HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nIdempotency-Key: k\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n1\r\n]\r\n0\r\n\r\n"
) % basic("qa", "right").encode()
PIECES = (
    *(b"\r\n", b"\n", b"\0", b"\xff", b" ", b"%", b"&wait=", b"1" * 5000),
    *(b"Content-Length: 3\r\n", b"Expect: 100-continue\r\n"),
)
CHANGES = st.tuples(st.integers(0, 400), st.integers(0, 30), st.sampled_from(PIECES) | st.binary(max_size=5))


class HttpTests(RequestCase):
    def test_requests_one_after_another_on_one_connection(self) -> None:
        client = self.world(default_channel=KEPT).client()
        client.write(LIVE * 3)
        self.assertEqual(self.statuses(client), [200, 200, 200])
        self.assertTrue(client.is_open)

    def test_it_comes_byte_by_byte(self) -> None:
        world = self.world(default_channel=KEPT)
        client = world.client()
        client.asked = "POST", SMS
        authorization = basic("qa", "right").encode()
        head = b"POST /channels/sms HTTP/1.1\r\nAuthorization: %s\r\n" % authorization
        for byte in head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n2\r\n1]\r\n0\r\n\r\n":
            client.write(bytes([byte]))
        world.settle()
        self.assertEqual(client.answer().status, 200)
        self.assertEqual(world.store.waiting("sms"), [1])

    def test_a_form_is_no_form(self) -> None:
        world = self.world(default_channel=KEPT)
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            self.assertEqual(world.ask("POST", SMS, b'"ttl=1"', headers={"Content-Type": kind}).status, 200)
        self.assertEqual(world.store.waiting("sms"), ["ttl=1"] * 2)
        self.assertEqual(world.store.expiry, {})

    def test_a_body_that_is_too_large_is_refused_before_it_has_come(self) -> None:
        world = self.world(max_frame_bytes=1024)
        for more in (b"", b"Expect: 100-continue\r\n"):
            client = world.client()
            client.write(b"POST /channels/sms HTTP/1.1\r\nContent-Length: 1025\r\n" + more + b"\r\n")
            self.assertEqual(self.statuses(client), [413])
            client.write(b"x" * 1025 + LIVE)
            self.assertEqual(self.statuses(client), [])

    def test_a_body_that_turns_out_too_large(self) -> None:
        client = self.world(max_frame_bytes=1024).client()
        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n0\r\n\r\n"
        client.write(b"POST /channels/sms HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + LIVE)
        self.assertEqual(self.statuses(client), [413])
        self.assertTrue(client.is_open)
        client.world.clock.advance(1)
        self.assertFalse(client.is_open)

    def test_bodies_of_strangers_have_little_room(self) -> None:
        world = self.world(max_buffer_bytes=3000, max_frame_bytes=2048)
        head = b"POST /channels/sms HTTP/1.1\r\nContent-Length: 2000\r\nAuthorization: %s\r\n\r\n"
        stranger, right = head % b"Basic eDp5", head % basic("qa", "right").encode()
        clients = [world.client(f"192.0.2.{number}") for number in range(4)]
        clients[0].write(stranger + b" " * 1999)
        clients[1].write(right + b" " * 1000)
        clients[2].write(right + b" " * 2)
        self.assertEqual([self.statuses(client) for client in clients], [[], [], [503], []])
        world.checker.remembered = {("qa", b"right")}
        clients[3].write(right + b" " * 1998 + b"1")
        clients[3].write(b" ")
        self.assertEqual(self.statuses(clients[3]), [200])
        world.checker.at_once = False
        clients[0].write(b" ")
        self.assertEqual(world.http.site.stranger_bytes, 3000)
        world.checker.answer()
        self.assertEqual(self.statuses(clients[0]), [401])
        clients[1].transport.loseConnection()
        self.assertEqual(world.http.site.stranger_bytes, 0)

    def test_who_has_come_in_on_a_connection_is_no_stranger_on_it(self) -> None:
        world = self.world(max_buffer_bytes=10)
        client = world.client()
        client.ask("POST", SMS, 1)
        self.assertEqual(world.http.site.stranger_bytes, 0)
        self.assertEqual(client.ask("POST", SMS, "x" * 100).status, 200)
        self.assertEqual(world.ask("POST", SMS, "x" * 100).status, 503)

    def test_a_body_that_is_waited_for(self) -> None:
        client = self.world().client()
        client.write(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(self.statuses(client), [100])

    def test_long_heads(self) -> None:
        for lines, status in (
            (b"GET /%s HTTP/1.1\r\n" % (b"a" * 8200), 414),
            (b"GET /%s" % (b"a" * 9000), 414),
            (b"GET / HTTP/1.1\r\nX: %s\r\n" % (b"a" * 8200), 431),
            (b"GET / HTTP/1.1\r\nX: %s" % (b"a" * 9000), 431),
            (b"GET / HTTP/1.1\r\n" + b"X: abc\r\n" * 1100, 431),
        ):
            client = self.world().client()
            client.write(lines)
            self.assertEqual(self.statuses(client), [status])

    def test_what_is_no_http(self) -> None:
        for text in (
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
            b"GET / HTTP/9\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
            b"GET /?%s HTTP/1.1\r\n\r\n" % (b"a=1&" * 21),
        ):
            client = self.world().client()
            client.write(text + LIVE)
            self.assertEqual(self.statuses(client), [400], text)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_no_http_2(self) -> None:
        client = self.world().client()
        client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assertEqual(self.statuses(client), [400])


class ConnectionTests(RequestCase):
    def test_a_request_has_to_come_in_time(self) -> None:
        client = self.world().client()
        for byte in b"GET / HTTP/1.1\r\nHost:":
            client.world.clock.advance(1.5)
            client.write(bytes([byte]))
        self.assertFalse(client.is_open)

    def test_an_answer_may_take_longer(self) -> None:
        world = self.world(default_channel=KEPT)
        client = world.client()
        client.request("GET", SMS + "?wait=60")
        world.settle()
        world.beat(590)
        self.assertTrue(client.is_open)
        world.beat(20)
        self.assertEqual(client.answer().status, 200)
        world.beat(310)
        self.assertFalse(client.is_open)

    def test_connections_are_counted_with_all_others(self) -> None:
        world = self.world(limits=Limits(max_connections_per_user=2))
        first = world.client()
        first.ask("POST", SMS, 1)
        first.ask("POST", SMS, 1)
        self.assertEqual((world.factory.door.connections, world.factory.door.handshakes), (1, 0))
        world.greeted()
        refused = world.client().ask("POST", SMS, 1)
        self.assertEqual((refused.status, refused.headers["connection"]), (429, "close"))
        self.assertEqual(world.client().ask("POST", SMS, 1, user="other").status, 200)
        first.transport.loseConnection()
        self.assertEqual(world.client().ask("POST", SMS, 1).status, 200)

    def test_another_user_on_the_same_connection(self) -> None:
        world = self.world()
        client = world.client()
        client.ask("POST", SMS, 1)
        client.ask("POST", SMS, 1, user="other")
        client.ask("GET", "/health/live", user=None)
        self.assertEqual(dict(world.factory.door.connections_as), {"other": 1})
        client.transport.loseConnection()
        door = world.factory.door
        self.assertEqual((door.connections, door.handshakes), (0, 0))
        self.assertFalse(door.connections_as or door.connections_of or door.handshakes_of)

    def test_too_many_that_ask_for_nothing(self) -> None:
        world = self.world(limits=Limits(max_handshakes_per_address=2, max_handshakes=3))
        clients = [world.client() for _ in range(3)]
        self.assertEqual([self.statuses(client) for client in clients], [[], [], [429]])
        self.assertEqual([client.is_open for client in clients], [True, True, False])
        world.client("192.0.2.2")
        self.assertEqual(self.statuses(world.client("192.0.2.3")), [503])
        clients[0].transport.loseConnection()
        self.assertEqual(world.client("192.0.2.4").ask("GET", "/health/live").status, 200)

    def test_there_is_not_even_room_for_an_answer(self) -> None:
        world = self.world(limits=Limits(max_connections=1, max_handshakes=1))
        for _ in range(22):
            world.factory.door.handshakes += 1
        with self.assertRaises(ConnectionRefusedError):
            world.client()

    def test_behind_a_proxy(self) -> None:
        world = self.world(
            trusted_proxies=("10.0.0.1",), limits=Limits(max_handshakes_per_address=1, max_failures=1)
        )
        clients = [world.client("10.0.0.1") for _ in range(3)]
        for place, client in enumerate(clients):
            headers = {"X-Forwarded-For": f"192.0.2.{place}"}
            self.assertEqual(client.ask("POST", SMS, 1, headers=headers).status, 200)
        self.assertEqual(len(world.factory.door.connections_of), 3)
        clients[0].ask("POST", SMS, 1, headers={"X-Forwarded-For": "192.0.2.1"})
        self.assertEqual(dict(world.factory.door.connections_of), {"192.0.2.1": 2, "192.0.2.2": 1})


class FuzzTests(RequestCase):
    @given(st.lists(CHANGES, max_size=4), st.integers(1, 200))
    def test_whatever_comes_is_answered_or_refused(
        self, changes: list[tuple[int, int, bytes]], step: int
    ) -> None:
        data = LIVE + SEND + LIVE
        for at, gone, piece in changes:
            data = data[:at] + piece + data[at + gone :]
        world = HttpWorld(default_channel=KEPT)
        try:
            client = world.client()
            for start in range(0, len(data), step):
                if client.transport.connected:
                    client.write(data[start : start + step])
                world.settle()
            world.beat(20)
            statuses = self.statuses(client)
            self.assertLessEqual(set(statuses), {100, 200, 202, 400, 401, 403, 404, 405, 413, 414, 431})
            world.beat(620)
            self.assertFalse(client.is_open)
            self.assertEqual((world.factory.door.sockets, len(world.http.site.connections)), (0, 0))
            self.assertFalse(world.broker.watches or world.http._polls)
        finally:
            world.close()
        self.assertEqual(self.flushLoggedErrors(), [])
