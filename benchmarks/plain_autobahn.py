"""What Autobahn does if one just writes a broker with it: `python -m benchmarks.plain_autobahn PORT`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor

GREETING = {"command": "connect", "response_code": "00", "response_text": "Accepted", "data": []}
receivers: defaultdict[str, set[Plain]] = defaultdict(set)


class Plain(WebSocketServerProtocol):
    """The original's commands, without users."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Carry out one command."""
        message = json.loads(payload)
        if message["command"] == "send-message":
            for receiver in receivers[message["channel"]]:
                if receiver is not self:
                    receiver.sendMessage(payload)
        elif message["command"] == "receive-message":
            receivers[message["channel"]].add(self)
        elif message["command"] == "ping":
            self.sendMessage(json.dumps(GREETING, separators=(",", ":")).encode())

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """Forget who has left."""
        for there in receivers.values():
            there.discard(self)


factory = WebSocketServerFactory()
factory.protocol = Plain
reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1")
reactor.run()
