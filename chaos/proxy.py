"""A TCP proxy that can be told to cut or to stall all that goes through it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_RECEIVE_BYTES = 65_536


class Proxy:
    """Listens on a port of 127.0.0.1 and passes everything on to another one."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Pass nothing on until `flow`; what comes waits."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on what waits, and what comes."""
        self._flows.set()

    def cut(self) -> None:
        """End all connections. What waits because of a stall is lost."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _hang_up(*pair)

    def close(self) -> None:
        """End all, and take no more."""
        self._listener.close()
        self.cut()
        self.flow()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._join(client, server)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        pair = client, server
        for end in pair:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._pairs.add(pair)
        for source, goal in (pair, pair[::-1]):
            threading.Thread(target=self._pass_on, args=(source, goal, pair), daemon=True).start()

    def _pass_on(
        self, source: socket.socket, goal: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with suppress(OSError):
            while data := source.recv(_RECEIVE_BYTES):
                self._flows.wait()
                with self._lock:
                    if pair not in self._pairs:
                        break
                goal.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
        _hang_up(*pair)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
