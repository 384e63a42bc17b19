"""What systemd and a broker say to each other: sockets that are there before it, and how it does."""

from __future__ import annotations

import os
import socket
import sys

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import LIMIT_S
from tests.integration.raw_client import RawClient, connect, opening

# What systemd does: the sockets begin at 3, and are for the process with this number only.
ACTIVATE = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3);"
    "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='wsmb.socket');"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


class NotifyTests(BrokerCase):
    def setUp(self) -> None:
        self.path = str(self.folder() / "n")
        if len(self.path) > 100:  # what fits into the address of a Unix socket
            self.path = f"\0wsmb-{os.getpid()}-{id(self)}"
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(self.path)
        self.systemd.settimeout(LIMIT_S)

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.path.replace("\0", "@"), **more}

    def test_ready_alive_and_stopping(self) -> None:
        broker = self.broker(extra_environment=self.environment(WATCHDOG_USEC="20000"))
        self.assertEqual(self.systemd.recv(100), b"READY=1")
        self.assertEqual({self.systemd.recv(100) for _ in range(5)}, {b"WATCHDOG=1"})
        broker.stop()
        while (said := self.systemd.recv(100)) == b"WATCHDOG=1":
            pass
        self.assertEqual(said, b"STOPPING=1")

    def test_nothing_is_said_of_being_alive_where_nobody_asks(self) -> None:
        self.broker(extra_environment=self.environment()).stop()
        self.assertEqual([self.systemd.recv(100) for _ in range(2)], [b"READY=1", b"STOPPING=1"])


class SocketActivationTests(BrokerCase):
    def test_who_comes_while_it_is_upgraded_is_not_refused(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        under = (sys.executable, "-c", ACTIVATE, str(listener.fileno()))
        endpoint = "systemd:domain=INET:index=0"
        broker = self.broker(listen=[endpoint], under=under, pass_fds=[listener.fileno()])
        client = RawClient(connect(port))
        self.assertEqual(client.status, 101)
        client.close()
        broker.stop()
        early = connect(port)
        early.sendall(opening())
        broker.start()
        self.assertEqual(RawClient(early, b"").status, 101)
        broker.kill9()
        after_crash = connect(port)
        after_crash.sendall(opening())
        broker.start()
        self.assertEqual(RawClient(after_crash, b"").status, 101)
        self.assertNotIn("in the clear", broker.log())
