"""Tests for wsmb.listening: what the strings of endpoints mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.support_tls import Authority
from wsmb.errors import SettingError
from wsmb.listening import MOST_ACCEPTS, TlsEndpoint, accept_few, clear_text_warning, endpoint, in_the_clear
from wsmb.settings import Settings


class ClearTextTests(SynchronousTestCase):
    def test_what_a_network_can_see(self) -> None:
        for text in (
            "tcp:8888",
            "tcp:8888:interface=192.0.2.1",
            "tcp:8888:interface=",
            "tcp6:8888",
            r"tcp6:8888:interface=\:\:",
            "tcp:8888:interface=broker.example",
        ):
            self.assertEqual(in_the_clear([text]), [text])

    def test_what_it_cannot(self) -> None:
        for text in (
            "tcp:8888:interface=127.0.0.1",
            "tcp:8888:interface=127.1.2.3:backlog=5",
            "tcp:8888:interface=localhost",
            r"tcp6:8888:interface=\:\:1",
            "unix:/run/wsmb",
            "ssl:8443",
            "systemd:domain=INET:index=0",
        ):
            self.assertEqual(in_the_clear([text]), [], text)

    def test_behind_a_proxy_it_is_the_proxys_matter(self) -> None:
        self.assertIn("in the clear at tcp:1, tcp:2", clear_text_warning(Settings(listen=("tcp:1", "tcp:2"))))
        self.assertEqual(clear_text_warning(Settings(("tcp:1",), trusted_proxies=("10.0.0.1",))), "")
        self.assertEqual(clear_text_warning(Settings(("ssl:1",))), "")
        self.assertIn("at tcp:2:", clear_text_warning(Settings(("ssl:1",), http_listen=("tcp:2",))))


class EndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def listens(self, text: str) -> Any:
        endpoint(self.reactor, text, "x.ini line 1", Settings((text,))).listen(Factory())
        return (self.reactor.tcpServers or self.reactor.unixServers).pop()

    def test_all_clients_may_come_back_at_once(self) -> None:
        """50 is Twisted's own backlog: the others would wait a second."""
        for text in ("tcp:8888", "tcp6:8888", "tcp:8888:interface=127.0.0.1", "unix:/run/wsmb"):
            self.assertEqual(self.listens(text)[2], 1_024, text)
        self.assertEqual(self.listens("tcp:8888:backlog=7")[2], 7)
        self.assertEqual(self.listens("unix:/run/wsmb:mode=660:backlog=7")[2:4], (7, 0o660))

    def test_a_unix_socket_is_relative_to_where_it_starts(self) -> None:
        """twistd may change its folder before it listens."""
        self.assertEqual(self.listens("unix:a/sock")[0], os.path.abspath("a/sock"))
        self.assertEqual(self.listens("unix:/run/sock")[0], "/run/sock")

    def test_a_socket_that_systemd_has_not_given(self) -> None:
        for text in ("systemd:domain=INET:index=0", "systemd:domain=INET:name=web"):
            with self.assertRaises(SettingError) as caught:
                self.listens(text)
            self.assertIn(f"{text} (x.ini line 1): systemd has given no such socket; ", str(caught.exception))


class Port:
    """As Twisted's: how many it takes in a turn depends on how many came in the last one."""

    def __init__(self) -> None:
        self.numberAccepts = 100
        self.takes: list[int] = []

    def doRead(self) -> None:
        self.takes.append(self.numberAccepts)
        self.numberAccepts += 20


class AcceptTests(SynchronousTestCase):
    def test_few_in_a_turn_however_many_come(self) -> None:
        port = Port()
        self.assertIs(accept_few(port), port)
        for _ in range(3):
            port.doRead()
        port.numberAccepts = 1
        port.doRead()
        self.assertEqual(port.takes, [MOST_ACCEPTS] * 3 + [1])


class TlsEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.key, self.certificate = Authority(self.folder).write("server")
        self.reactor = MemoryReactorClock()

    def made(self, text: str) -> TlsEndpoint:
        made = endpoint(self.reactor, text, "x.ini line 1", Settings((text,)))
        self.assertIsInstance(made, TlsEndpoint)
        return made  # type: ignore[no-any-return]

    def test_what_it_says(self) -> None:
        text = rf"ssl:8443:privateKey={self.key}:certKey={self.certificate}:interface=\:\:1:backlog=7"
        self.made(text).listen(object())
        ((port, _, backlog, interface),) = self.reactor.tcpServers
        self.assertEqual((port, backlog, interface), (8443, 7, "::1"))
        self.made(f"ssl:8443:privateKey={self.key}:certKey={self.certificate}").listen(object())
        self.assertEqual(self.reactor.tcpServers[1][2], 1_024)

    def test_a_path_with_a_colon_relative_to_where_it_starts(self) -> None:
        odd = self.folder / "a:b.pem"
        odd.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        endpoint = self.made("ssl:1:privateKey=" + os.path.relpath(odd).replace(":", r"\:"))
        self.assertEqual(endpoint.certificates._paths, (str(odd.absolute()), str(odd.absolute())))

    def test_what_is_wrong(self) -> None:
        for text, problem in (
            ("ssl:x:privateKey=KEY:certKey=CERTIFICATE", "invalid literal"),
            ("ssl:1:privateKey=nowhere.pem", "nowhere.pem: cannot be read"),
            ("ssl:1:privateKey=CERTIFICATE:certKey=CERTIFICATE", "holds no private key"),
            ("ssl:1:privateKey=KEY:certKey=CERTIFICATE:sslmethod=SSLv23_METHOD", "sslmethod is not known"),
        ):
            filled = text.replace("KEY", str(self.key)).replace("CERTIFICATE", str(self.certificate))
            with self.assertRaises(SettingError) as caught:
                endpoint(self.reactor, filled, "x.ini line 1", Settings((filled,)))
            self.assertIn(problem, str(caught.exception))
            self.assertIn("(x.ini line 1)", str(caught.exception))
