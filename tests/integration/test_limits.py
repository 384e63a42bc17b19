"""Limits at the door of a running broker, over raw sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import BrokerProcess, free_port, poll
from tests.integration.raw_client import TIMEOUT_S, RawClient, connect, opening
from tests.integration.test_transports import write_certificate
from tests.support import need


class LimitTests(BrokerCase):
    def assert_retry(self, client: RawClient, status: int) -> None:
        self.assertEqual(client.status, status, client.head)
        self.assertRegex(client.head, r"\r\nRetry-After: [1-9]\d*\r\n")
        client.read_to_end()

    def assert_next_is_refused(self, broker: BrokerProcess, status: int) -> None:
        self.assert_retry(self.client(broker), status)

    def comes_in(self, broker: BrokerProcess) -> bool:
        client = RawClient(connect(broker.port))
        client.close()
        return client.status == 101

    def test_503_when_full_and_in_again_when_one_has_left(self) -> None:
        broker = self.broker("[limits]\nmax_connections = 2\n")
        first, second = self.sender(broker), self.receiver(broker, "c")
        self.assert_next_is_refused(broker, 503)
        sent = first.publish("c", 1)
        self.assertEqual(second.read_text(), sent)
        first.close()
        poll(lambda: self.comes_in(broker), "room")

    def test_429_for_an_address_and_for_a_user(self) -> None:
        for setting in ("max_connections_per_address", "max_connections_per_user"):
            broker = self.broker(f"[limits]\n{setting} = 1\n")
            first = self.sender(broker)
            self.assert_next_is_refused(broker, 429)
            first.close()
            poll(lambda broker=broker: self.comes_in(broker), "room")

    def test_who_says_nothing_takes_no_more_than_its_share(self) -> None:
        for setting, status in (("max_handshakes", 503), ("max_handshakes_per_address", 429)):
            broker = self.broker(f"[limits]\n{setting} = 2\n")
            inside = self.sender(broker)
            silent = [connect(broker.port) for _ in range(2)]
            for one in silent:
                one.send(b"GET / HTTP/1.1\r\n")
            self.assert_retry(RawClient(connect(broker.port), b""), status)
            self.assertEqual(inside.fence(), [])
            for one in silent:
                one.close()
            poll(lambda broker=broker: self.comes_in(broker), "room")

    def test_tls_that_never_begins_takes_no_more_than_its_share(self) -> None:
        port = free_port()
        key, certificate = write_certificate(self.folder())
        endpoint = f"ssl:{port}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        self.broker("[limits]\nmax_handshakes = 2\n", listen=[endpoint])
        silent = [connect(port) for _ in range(2)]
        with connect(port) as late, contextlib.suppress(ConnectionResetError):
            self.assertEqual(late.recv(1), b"")
        for one in silent:
            one.close()
        context = ssl.create_default_context(cafile=str(certificate))

        def comes_in() -> bool:
            with contextlib.suppress(ConnectionError, EOFError, ssl.SSLError):
                return (
                    RawClient(context.wrap_socket(connect(port), server_hostname="127.0.0.1")).status == 101
                )
            return False

        poll(comes_in, "room")


class OpenFilesTests(BrokerCase):
    def test_the_limit_is_raised_to_the_hard_one(self) -> None:
        need("prlimit")
        broker = self.broker(under=["prlimit", "--nofile=80:20000", "--"])
        for _ in range(100):
            self.assertEqual(self.client(broker).status, 101)
        self.assertNotIn("limit of open files", broker.log())

    def test_with_few_of_them_the_connected_go_on_and_others_are_told_to_wait(self) -> None:
        need("prlimit")
        broker = self.broker(under=["prlimit", "--nofile=100:100", "--"])
        self.assertIn("no more than 50 connections of the 12000", broker.log())
        inside = [self.sender(broker) for _ in range(50)]
        log_before = broker.log()
        late = [connect(broker.port) for _ in range(60)]
        answers = [one.recv(65_536) for one in late]
        # Those that come while others are being accepted are just closed.
        self.assertTrue(answers[0].startswith(b"HTTP/1.1 503 "))
        self.assertEqual({answer[:13] for answer in answers} - {b""}, {b"HTTP/1.1 503 "})
        for client in inside:
            self.assertEqual(client.fence(), [])
        self.assertEqual(broker.log(), log_before)
        inside.pop().close()
        poll(lambda: RawClient(connect(broker.port), opening()).status == 101, "room")

    def test_where_even_those_are_gone_the_connected_go_on(self) -> None:
        """What Twisted does at the end of the file descriptors: it accepts and closes."""
        need("prlimit")
        broker = self.broker()
        inside = [self.sender(broker) for _ in range(10)]
        used = max(map(int, broker.open_files()))
        broker.limit_open_files(used + 1)
        late: list[socket.socket] = []
        for _ in range(20):
            late.append(connect(broker.port))
            self.addCleanup(late[-1].close)
        for client in inside:
            self.assertEqual(client.fence(), [])
        before = broker.cpu_ticks()
        for client in inside * 10:
            self.assertEqual(client.fence(), [])
        self.assertLess(broker.cpu_ticks() - before, 100)
        broker.limit_open_files(used + 100)
        poll(lambda: self.enters(broker), "room")

    def enters(self, broker: BrokerProcess) -> bool:
        with contextlib.suppress(ConnectionError, EOFError):
            connection = connect(broker.port)
            connection.settimeout(TIMEOUT_S)
            return RawClient(connection).status == 101
        return False
