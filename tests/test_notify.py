"""Tests for wsmb.notify: what systemd is told, over real datagram sockets."""

from __future__ import annotations

import os
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from wsmb.notify import READY, STOPPING, Notifier


class NotifierTests(SynchronousTestCase):
    def listen(self, address: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(address)
        listener.setblocking(False)
        return listener

    def test_a_path_and_an_abstract_address(self) -> None:
        name = f"wsmb-test-{os.getpid()}"
        # The path of a socket has 107 bytes at most.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/socket"
        for address, text in ((path, path), ("\0" + name, "@" + name)):
            listener = self.listen(address)
            Notifier({"NOTIFY_SOCKET": text}).tell(READY, STOPPING)
            self.assertEqual(listener.recv(100), b"READY=1\nSTOPPING=1")

    def test_nobody_has_asked_or_listens(self) -> None:
        Notifier({}).tell(READY)
        gone = Notifier({"NOTIFY_SOCKET": os.path.abspath(self.mktemp())})
        self.assertIsNone(gone.tell(READY))

    def test_children_are_not_to_speak_for_it(self) -> None:
        environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
        Notifier(environ)
        self.assertEqual(environ, {"HOME": "/"})

    def test_how_often_it_is_to_say_that_it_is_alive(self) -> None:
        for environ, interval_s in (
            ({}, 0),
            ({"WATCHDOG_USEC": "30000000"}, 15),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
            ({"WATCHDOG_USEC": "soon"}, 0),
        ):
            self.assertEqual(Notifier(dict(environ)).interval_s, interval_s)
