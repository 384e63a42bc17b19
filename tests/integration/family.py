"""The kinds of clients that the original's family has, and our own: each as it opens, writes and reads."""

from __future__ import annotations

import json
import select
import subprocess
from itertools import chain
from queue import Queue
from threading import Thread
from typing import Any, NamedTuple, Protocol

from tests.integration.broker_process import LIMIT_S, BrokerProcess
from tests.integration.javascript_case import Site
from tests.integration.php_like_client import PhpLikeClient, pretty, upgrade_request
from tests.integration.raw_client import (
    BINARY,
    PING,
    PONG,
    TEXT,
    RawClient,
    client_frame,
    command,
    connect,
    opening,
)
from wsmb.client import BlockingClient

GREETING = b'{"command":"connect","response_code":"00"'


class Sent(NamedTuple):
    """One message: what goes to who has said `receive-message`, what to who has the channel in its URL."""

    frame: bytes
    text: bytes

    @property
    def items(self) -> list[Any]:
        found: list[Any] = json.loads(self.frame)["data"]
        return found


def sent_as_command(frame: bytes) -> Sent:
    return Sent(frame, frame)


def sent_as_text(channel: str, text: bytes, item: bytes) -> Sent:
    """`item`: what the text is to others."""
    return Sent(b'{"command":"send-message","channel":"%s","data":[%s]}' % (channel.encode(), item), text)


class Member(Protocol):
    """Somebody on a channel."""

    def hears(self, sent: Sent) -> bool:
        """Whether the next message that it gets is this one, in the form that it is to have."""


class PhpReceiver:
    """The original's sample receiver."""

    def __init__(self, broker: BrokerProcess, channel: str) -> None:
        self.client = PhpLikeClient(connect(broker.port))
        self.client.write({"command": "receive-message", "channel": channel, "data": []})
        if not self.client.read().startswith(GREETING):
            raise AssertionError("no greeting")

    def hears(self, sent: Sent) -> bool:
        while not (payload := self.client.read()):
            pass  # a ping
        return payload == sent.frame

    def close(self) -> None:
        self.client.close()


def php_send(broker: BrokerProcess, channel: str, item: object) -> Sent:
    """The original's sample sender: one frame, its receipt, and the end of the script."""
    value = {"command": "send-message", "channel": channel, "data": [item]}
    client = PhpLikeClient(connect(broker.port))
    client.write(value)
    if not client.read().startswith(GREETING):
        raise AssertionError("no receipt")
    client.close()
    return sent_as_command(pretty(value))


class CommandClient:
    """Speaks in text frames and reads nothing else; its `request` is what makes it one kind or another."""

    def __init__(self, broker: BrokerProcess, channel: str, request: bytes) -> None:
        self.channel = channel
        self.client = RawClient(connect(broker.port), request)
        self.client.send_text(command("receive-message", channel))
        if not self.client.read_text().startswith(GREETING):
            raise AssertionError("no greeting")

    def send(self, item: object) -> Sent:
        return sent_as_command(self.client.publish(self.channel, item))

    def hears(self, sent: Sent) -> bool:
        return self.client.read_text() == sent.frame

    def close(self) -> None:
        self.client.close()


def ws_client(broker: BrokerProcess, channel: str) -> CommandClient:
    return CommandClient(broker, channel, opening(path="/ws?sessid=1"))


def java_client(broker: BrokerProcess, channel: str) -> CommandClient:
    return CommandClient(broker, channel, opening(headers=[f"Origin: 127.0.0.1:{broker.port}"]))


class Esp32:
    """The sketch: says `Connected`, pings the broker with nothing, and cannot bear a frame but text."""

    def __init__(self, broker: BrokerProcess, channel: str) -> None:
        headers = [
            "Sec-WebSocket-Protocol: arduino",
            "Origin: file://",
            "User-Agent: arduino-WebSocket-Client",
        ]
        self.channel = channel
        self.client = RawClient(connect(broker.port), opening(path=f"/?topic={channel}", headers=headers))
        if "sec-websocket-protocol" in self.client.head.lower():
            raise AssertionError("a subprotocol was selected that the broker does not speak")
        self.pongs = 0
        self.pinged = 0
        self.client.send_text(b"Connected")
        self.greeting = sent_as_text(channel, b"Connected", b'"Connected"')

    def send(self, text: bytes, item: bytes) -> Sent:
        self.client.send_text(text)
        return sent_as_text(self.channel, text, item)

    def ping(self) -> None:
        self.client.send(client_frame(b"", PING))
        self.pinged += 1

    def hears(self, sent: Sent) -> bool:
        frame = self.client.read_frame()
        while frame.first != 0x80 | TEXT:
            if frame == (0x80 | PONG, b""):
                self.pongs += 1
            elif frame.first == 0x80 | PING:
                self.client.send(client_frame(frame.payload, PONG))
            else:
                raise AssertionError(f"not for it: {frame}")
            frame = self.client.read_frame()
        return frame.payload == sent.text

    def close(self) -> None:
        self.client.close()


class CallbackReader:
    """Opens the channel of its answer, reads one frame, of whatever kind, and is gone."""

    def __init__(self, broker: BrokerProcess, channel: str, *, query: str = "") -> None:
        request = upgrade_request().replace(b"GET / ", f"GET /?topic={channel}{query} ".encode(), 1)
        self.client = PhpLikeClient(connect(broker.port), request)
        if self.client.lost:
            raise AssertionError("thrown away with the upgrade's answer")

    def hears(self, sent: Sent) -> bool:
        payload = self.client.read()
        self.client.close()
        return payload == sent.text


def publish(broker: BrokerProcess, channel: str, text: bytes, item: bytes, *, opcode: int = TEXT) -> Sent:
    """Connect, write one frame, and close TCP at once, whatever has come meanwhile."""
    client = RawClient(connect(broker.port), opening(path=f"/?channel={channel}"))
    client.send(client_frame(text, opcode))
    client.close()
    return sent_as_text(channel, text, item)


def publish_binary(broker: BrokerProcess, channel: str, text: bytes, item: bytes) -> Sent:
    """The same in a binary frame, as PHP writes it."""
    return publish(broker, channel, text, item, opcode=BINARY)


class Ours(Protocol):
    """One of our own clients, which receives on a channel and does not tell since when."""

    def has_heard(self) -> bool:
        """Whether there is something that it has got."""

    def next(self) -> list[Any]:
        """The items that it has got next, as many as came together; or one."""


class CommandLine:
    """`wsmb receive CHANNEL`, as a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def has_heard(self) -> bool:
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def next(self) -> list[Any]:
        return [json.loads(self._process.stdout.readline())]

    def hears(self, sent: Sent) -> bool:
        return [*chain.from_iterable(self.next() for _ in sent.items)] == sent.items


class InPython:
    """wsmb.client in a program: sends with confirms, and acknowledges what it gets."""

    def __init__(self, client: BlockingClient, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._came: Queue[list[Any]] = Queue()
        Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        for delivery in self._client.receive(self._channel):
            self._came.put(delivery.data)
            delivery.ack()

    def has_heard(self) -> bool:
        return not self._came.empty()

    def next(self) -> list[Any]:
        return self._came.get(timeout=LIMIT_S)

    def hears(self, sent: Sent) -> bool:
        return self.next() == sent.items

    def send(self, item: object) -> None:
        self._client.send(self._channel, item, timeout=LIMIT_S)


class InPage:
    """The JavaScript client in a page (tests/javascript/family_member.html), which sends what it is told."""

    def __init__(self, site: Site, channel: str, client: BlockingClient) -> None:
        self._site = site
        self._channel = channel
        self._client = client

    def has_heard(self) -> bool:
        return not self._site.inbox.empty()

    def next(self) -> list[Any]:
        came: list[Any] = self._site.report()
        return came

    def hears(self, sent: Sent) -> bool:
        return self.next() == sent.items

    def send(self, item: object) -> None:
        self._client.send(f"orders of {self._channel}", item, timeout=LIMIT_S)
