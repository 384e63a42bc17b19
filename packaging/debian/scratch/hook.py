"""What takes webhooks on port 9000 of this machine: it prints `ready`, then each event on its own line."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self) -> None:
        """Take what it has."""
        for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            print(event["event"], event["channel"], flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing of it."""


with HTTPServer(("127.0.0.1", 9000), Hook) as server:
    print("ready", flush=True)
    server.serve_forever()
