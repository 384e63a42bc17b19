"""A TCP proxy that loses the answer to one statement, as a network does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class LossyProxy:
    """Listens on 127.0.0.1 and passes everything on to `port`, until it is told to cut."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts = 0
        self._text = b""
        self._countdown = 0
        self._deliver = True
        self._hold = False
        self._is_cut_off = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, text: bytes, nth: int = 1, deliver: bool = True, hold: bool = False) -> None:
        """Cut the connection at the nth packet with `text`.

        After the server has answered it, and instead of the answer; or, if not `deliver`, before it
        gets to the server. With `hold` the server does not notice.
        """
        self._text, self._countdown, self._deliver, self._hold = text, nth, deliver, hold

    def cut_off(self) -> None:
        """End all connections, and each new one at once, until `mend`."""
        self._is_cut_off = True
        open_now, self._open = self._open, []
        for connection in open_now:
            _hang_up(connection)

    def mend(self) -> None:
        self._is_cut_off = False

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut_off:
                _hang_up(client)
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += (client, server)
            swallow = threading.Event()
            for forward in (self._up, self._down):
                threading.Thread(target=forward, args=(client, server, swallow), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, swallow: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._is_due(data):
                    swallow.set()
                    self.cuts += 1
                    if self._hold:
                        _hang_up(client)
                        return
                    if not self._deliver:
                        break
                server.sendall(data)
        if not (swallow.is_set() and self._deliver):
            _hang_up(server)

    def _down(self, client: socket.socket, server: socket.socket, swallow: threading.Event) -> None:
        with suppress(OSError):
            while (data := server.recv(65536)) and not swallow.is_set():
                client.sendall(data)
        _hang_up(client)
        _hang_up(server)

    def _is_due(self, data: bytes) -> bool:
        if not self._countdown or self._text not in data:
            return False
        self._countdown -= 1
        return self._countdown == 0


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
