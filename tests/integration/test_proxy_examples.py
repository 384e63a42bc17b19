"""The files of examples/proxy, tried: nginx, Apache and Caddy before a running broker."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import ClassVar

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import USER, BrokerProcess
from tests.integration.proxy_programs import (
    EXAMPLES,
    HOST,
    IDLE_S,
    Apache,
    Caddy,
    Nginx,
    NginxStream,
    ProxyProcess,
    replaced,
)
from tests.integration.raw_client import PING, RawClient, basic, connect, opening
from tests.support_tls import Authority

INI = (EXAMPLES / "wsmb.ini").read_text()
FORGED = "X-Forwarded-For: 203.0.113.9"


class ProxyCase(BrokerCase):
    def before(self, broker: int | str, kind: type[ProxyProcess]) -> Proxy:
        """A proxy before the broker on this port, or Unix socket."""
        proxy = Proxy(kind, self.folder(), broker)
        self.addCleanup(proxy.stop)
        return proxy

    def all_before(self, broker: int | str) -> list[Proxy]:
        return [self.before(broker, kind) for kind in (Nginx, Apache, Caddy)]


class Proxy:
    """A running proxy, and connections to it, with TLS and a certificate that is checked."""

    def __init__(self, kind: type[ProxyProcess], folder: Path, broker: int | str) -> None:
        authority = Authority(folder)
        self._context = ssl.create_default_context(cafile=str(authority.file))
        self._clients: list[RawClient] = []
        self._process = kind(folder, authority.write(HOST, hosts=(HOST,)), broker)
        self._process.start()

    def client(self, address: str, *headers: str, password: str | None = None) -> RawClient:
        """A connection from this address of 127.0.0.0/8."""
        authorization = None if password is None else basic(USER, password)
        near = connect(self._process.port, from_address=address)
        tls = self._context.wrap_socket(near, server_hostname=HOST)
        client = RawClient(tls, opening(host=HOST, headers=headers, authorization=authorization))
        self._clients.append(client)
        return client

    def status(self, address: str, *headers: str) -> int:
        return self.client(address, *headers).status

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self._process.stop()


class NginxTests(ProxyCase):
    kind: ClassVar[type[ProxyProcess]] = Nginx
    ini = INI
    near = "127.0.0.1"
    """An address that the broker trusts: it tells proxies that pass on what clients say from others."""

    def serve(self) -> tuple[BrokerProcess, Proxy]:
        broker = self.broker(self.ini)
        return broker, self.before(broker.port, self.kind)

    def test_messages_come_through_and_the_broker_knows_from_whom(self) -> None:
        broker, proxy = self.serve()
        receiver, sender = proxy.client(self.near, FORGED), proxy.client("127.0.0.6", FORGED)
        receiver.send_text(b'{"command":"receive-message","channel":"sms"}')
        receiver.read_text()
        receiver.fence()
        items = ["hello", "x" * 500_000]
        sender.publish("sms", *items)
        self.assertEqual(receiver.read_items(2), items)
        self.assertIn("qa connected from 127.0.0.6 through tcp4:127.0.0.1:", broker.log())
        self.assertNotIn("203.0.113.9", broker.log())

    def test_who_guesses_is_slowed_down_and_nobody_else(self) -> None:
        _, proxy = self.serve()
        guesses = [
            proxy.client("127.0.0.7", f"X-Forwarded-For: 203.0.113.{number}", password="wrong")
            for number in range(6)
        ]
        self.assertEqual([client.status for client in guesses], [401] * 5 + [429])
        self.assertIn('\r\nwww-authenticate: basic realm="wsmb"', guesses[0].head.lower())
        self.assertRegex(guesses[-1].head, r"\r\nRetry-After: \d+\r\n")
        self.assertEqual(proxy.status("127.0.0.8"), 101)


class NginxStreamTests(NginxTests):
    kind = NginxStream
    ini = replaced(INI, {"proxy_protocol = false": "proxy_protocol = true"})
    # Whoever is trusted there may be a proxy in turn.
    near = "127.0.0.5"


class ApacheTests(NginxTests):
    kind = Apache


class CaddyTests(NginxTests):
    kind = Caddy


class AllTests(ProxyCase):
    """What takes time is tried behind all three at once."""

    def test_silence_beyond_their_own_limit(self) -> None:
        broker = self.broker(INI, extra_environment={"WSMB_PING_INTERVAL": str(2 * IDLE_S)})
        for client in [proxy.client("127.0.0.5") for proxy in self.all_before(broker.port)]:
            while client.read_frame().first != 0x80 | PING:
                pass

    def test_while_the_broker_is_away_and_after(self) -> None:
        broker = self.broker(INI, extra_environment={"WSMB_DRAIN_SECONDS": "0"})
        proxies = self.all_before(broker.port)
        clients = [proxy.client("127.0.0.5") for proxy in proxies]
        broker.stop()
        for client in clients:
            client.read_to_end()
        self.assertLessEqual({proxy.status("127.0.0.5") for proxy in proxies}, {502, 503})
        broker.start()
        self.assertEqual([proxy.status("127.0.0.5") for proxy in proxies], [101, 101, 101])

    def test_over_a_unix_socket(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="wsmb-")
        self.addCleanup(folder.cleanup)
        Path(folder.name).chmod(0o711)  # for Apache, which has given up being root
        path = f"{folder.name}/socket"
        ini = replaced(INI, {"trusted_proxies[] = 127.0.0.1": "trusted_proxies[] = unix"})
        broker = self.broker(ini, listen=[f"unix:{path}"])
        for number, proxy in enumerate(self.all_before(path), 5):
            proxy.client(f"127.0.0.{number}", FORGED).fence()
            self.assertIn(f"qa connected from 127.0.0.{number} through ", broker.log())
