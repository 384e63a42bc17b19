"""A receiver of webhooks, as somebody could write one."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.integration.broker_process import free_port, poll


class Request(NamedTuple):
    """One that has come."""

    method: str
    path: str
    headers: dict[str, str]
    """With lower-case names."""
    body: bytes

    @property
    def events(self) -> list[str]:
        """In short: `waiting sms`."""
        return [f"{event['event']} {event['channel']}" for event in json.loads(self.body)]


class HookServer:
    """Listens on 127.0.0.1 from `start` on; remembers what comes, and answers with `status`."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        """`certificate`: the files of its key and of itself, for TLS."""
        self.port = free_port()
        self._certificate = certificate
        self.status = 204
        self.answer: bytes = b""
        self.location = ""
        self.requests: list[Request] = []
        self._server: HTTPServer | None = None

    @property
    def url(self) -> str:
        """Where to post to. Its path is to be seen nowhere else."""
        return f"http{'s' if self._certificate else ''}://localhost:{self.port}/hidden-path"

    def start(self) -> None:
        """Serve."""
        hooks = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                hooks.requests.append(Request(self.command, self.path, headers, body))
                self.send_response(hooks.status)
                if hooks.location:
                    self.send_header("Location", hooks.location)
                self.send_header("Content-Length", str(len(hooks.answer)))
                self.end_headers()
                self.wfile.write(hooks.answer)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", self.port), Answers)
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._certificate[1], self._certificate[0])
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def wait(self, count: int) -> list[Request]:
        """The requests, once there are so many."""
        poll(lambda: len(self.requests) >= count, f"{count} webhooks")
        return self.requests
