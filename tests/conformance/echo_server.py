"""A server that sends every message back, through wsmb's own protocol class, over TCP.

Prints its port (of 127.0.0.1), and its errors if it has any. With `--general-parser` Autobahn's own
parser reads all frames: what goes wrong that way as well is not the fast reader's doing.
"""

from __future__ import annotations

import sys
from typing import Any

from autobahn.websocket.types import ConnectionRequest
from twisted.internet import reactor as default_reactor
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from wsmb.broker import Broker
from wsmb.factory import BrokerFactory
from wsmb.frames import text_frame
from wsmb.protocol import BrokerProtocol
from wsmb.settings import DatabaseSettings, Limits, Settings
from wsmb.store import open_store
from wsmb.time_stamp import TimeStamp

LARGEST_MESSAGE_BYTES = 16_777_216
"""In the cases 9.1.6 and 9.2.6; for all but those of group 9, the default is enough."""
BINARY = b"\x82"


class EchoProtocol(BrokerProtocol):
    """Lets everyone in, sends back what comes, and does not greet."""

    def onConnect(self, request: ConnectionRequest) -> None:
        pass

    def _greeting_due(self) -> None:
        self._greeting_call = None

    def messages_received(self, payloads: list[bytes], is_binary: bool) -> None:
        for frame in map(text_frame, payloads):
            self.send_frame(BINARY + frame[1:] if is_binary else frame)


class GeneralEchoProtocol(EchoProtocol):
    """The same without the fast reader."""

    def _read(self, data: bytes) -> None:
        self._dataReceived(data)


def main() -> None:
    """Serve until SIGTERM."""
    errors_only = LogLevelFilterPredicate(LogLevel.error)
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [errors_only])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    reactor: Any = default_reactor
    # The suite sends many fragments, and does not want to wait for them.
    limits = Limits(max_control_frames_per_second=1_000_000)
    settings = Settings(listen=(), max_frame_bytes=LARGEST_MESSAGE_BYTES, limits=limits)
    time_stamp = TimeStamp()
    broker = Broker(settings, open_store(DatabaseSettings(), reactor), reactor.callLater, time_stamp)
    factory = BrokerFactory(settings, broker, None, reactor, time_stamp)
    factory.protocol = GeneralEchoProtocol if "--general-parser" in sys.argv else EchoProtocol
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
