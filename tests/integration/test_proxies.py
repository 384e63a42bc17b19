"""A running broker behind proxies: TCP and Unix sockets, X-Forwarded-For and the PROXY header."""

from __future__ import annotations

import socket
import tempfile

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import BrokerProcess
from tests.integration.raw_client import RawClient, connect, opening

LIMIT = "[limits]\nmax_connections_per_address = 1\n"
HEADER_2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes((203, 0, 113, 8, 127, 0, 0, 1, 1, 1, 1, 1))


def forwarded(address: str) -> bytes:
    return opening(headers=[f"X-Forwarded-For: {address}"])


class ForwardedTests(BrokerCase):
    def test_clients_of_a_trusted_proxy_are_told_apart(self) -> None:
        broker = self.broker(LIMIT + "[proxy]\ntrusted_proxies[] = 127.0.0.0/8\n")
        clients = [self.client(broker, forwarded(f"203.0.113.{number}")) for number in (1, 2, 1)]
        self.assertEqual([client.status for client in clients], [101, 101, 429])
        self.assertIn("qa connected from 203.0.113.2 through tcp4:127.0.0.1:", broker.log())

    def test_others_are_not_believed(self) -> None:
        broker = self.broker(LIMIT + "[proxy]\ntrusted_proxies[] = 10.0.0.0/8\n")
        clients = [self.client(broker, forwarded(f"203.0.113.{number}")) for number in (1, 2)]
        self.assertEqual([client.status for client in clients], [101, 429])
        self.assertNotIn("203.0.113", broker.log())

    def unix(self, proxy: str) -> tuple[BrokerProcess, list[int]]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/socket"
        broker = self.broker(LIMIT + proxy, listen=[f"unix:{path}"])
        statuses = []
        for number in (1, 2):
            near = socket.socket(socket.AF_UNIX)
            near.connect(path)
            client = RawClient(near, forwarded(f"203.0.113.{number}"))
            self.addCleanup(client.close)
            statuses.append(client.status)
        return broker, statuses

    def test_unix_sockets_are_trusted_where_it_is_said(self) -> None:
        self.assertEqual(self.unix("[proxy]\ntrusted_proxies[] = unix\n")[1], [101, 101])
        self.assertEqual(self.unix("")[1], [101, 429])


class ProxyHeaderTests(BrokerCase):
    def test_both_versions(self) -> None:
        broker = self.broker(LIMIT + "[proxy]\ntrusted_proxies[] = 127.0.0.1\nproxy_protocol = true\n")
        # The tests themselves look whether it is up, without a header.
        header_1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 8888\r\n"
        clients = [
            RawClient(connect(broker.port), header + opening())
            for header in (header_1, HEADER_2, header_1, b"")
        ]
        self.assertEqual([client.status for client in clients], [101, 101, 429, 400])
        for address in ("203.0.113.7", "203.0.113.8"):
            self.assertIn(f"qa connected from {address} through tcp4:127.0.0.1:", broker.log())
