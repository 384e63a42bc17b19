"""docs/protocol.md says what is so: its examples are tried on the real broker."""

from __future__ import annotations

import json
import re
from typing import NamedTuple, get_args

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT
from tests.integration.raw_client import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    RawClient,
    client_frame,
    command,
    opening,
)
from wsmb import wire
from wsmb.errors import CloseCode, Code

DOCUMENT = (CHECKOUT / "docs" / "protocol.md").read_text()
STEP = re.compile(r"([A-Z])([<>?.]) ?(.*)")
TIME_STAMP = re.compile(r'"time_stamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z"')
LEFT_OUT = "…"
GREETING = '{"command":"connect",'
FENCE = '{"command":"ping"}'
SITE = "Origin: https://shop.example"

REFUSED = {
    400: opening(headers=["Sec-WebSocket-Version: 13"]),
    401: opening(path="/broker", authorization="Basic !"),
    403: opening(path="/broker", headers=[SITE]),
    404: opening(path="/other"),
    405: opening().replace(b"GET", b"POST"),
    426: opening().replace(b"Upgrade: websocket\r\n", b""),
    431: opening(headers=["X: " + "x" * 8_192]),
    505: opening().replace(b"HTTP/1.1", b"HTTP/1.0"),
}
REPLIES = {
    ("connect", "00"),
    ("connect", "01"),
    ("send-message", None),
    ("confirm", "00"),
    ("confirm", "02"),
    ("confirm", "07"),
    ("error", "02"),
}
CLOSED = {
    1002: client_frame(b"", 0x3),
    1007: client_frame(b"\xff", TEXT),
    1009: client_frame(b"x" * 1_048_577, BINARY)[:100],
}


class Step(NamedTuple):
    """One line of an example: what a connection sends (`>`) or gets (`<`); the path and query that it opens
    with (`?`), which are those of a channel in the URL; or its end (`.`)."""

    name: str
    direction: str
    text: str

    @property
    def is_greeting(self) -> bool:
        return self.direction == "<" and self.text.startswith(GREETING)


def blocks(language: str) -> list[str]:
    """The fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def examples() -> list[list[Step]]:
    """The steps of each example. A line that is none fails."""
    found = [[STEP.fullmatch(line) for line in block.splitlines()] for block in blocks("wsmb")]
    return [[Step(*step.groups()) for step in steps] for steps in found]


def table(digits: int) -> set[int]:
    """The numbers with so many digits that begin a line of a table."""
    return {int(number) for number in re.findall(rf"^\| (\d{{{digits}}}) \|", DOCUMENT, re.MULTILINE)}


class Connection:
    """A connection of an example. What it has been told is carried out before its methods return."""

    def __init__(self, client: RawClient, *, hides_greeting: bool) -> None:
        self._client = client
        self._inbox = self._read_to_greeting()
        if hides_greeting and '"response_code":"00"' not in self._inbox.pop():
            raise AssertionError("a greeting that is not shown is not 00")

    def say(self, text: str) -> None:
        """Send one frame."""
        self._client.send_text(text.encode())
        if json.loads(text)["command"] == "ping":
            self._inbox += self._read_to_greeting()
        else:
            self._inbox += self.rest()

    def hear(self) -> str:
        """The next frame."""
        return self._inbox.pop(0) if self._inbox else self._client.read_text().decode()

    def rest(self) -> list[str]:
        """What else has come."""
        self._client.send_text(FENCE.encode())
        return self._read_to_greeting()[:-1]

    def is_done(self) -> bool:
        """Whether nothing has come that nobody has heard."""
        return not self._inbox + self.rest()

    def close(self) -> None:
        """End it: who has used an extension is waited for when the broker stops."""
        self._client.close()

    def _read_to_greeting(self) -> list[str]:
        texts = [self._client.read_text().decode()]
        while not texts[-1].startswith(GREETING):
            texts.append(self._client.read_text().decode())
        return texts


class TextConnection:
    """A connection of an example with the channel in its URL."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self._inbox: list[str] = []

    def say(self, text: str) -> None:
        """Send one frame."""
        self._client.send_text(text.encode())
        self._inbox += self.rest()

    def hear(self) -> str:
        """The next frame."""
        return self._inbox.pop(0) if self._inbox else self._client.read_text().decode()

    def rest(self) -> list[str]:
        """What else has come."""
        self._client.send(client_frame(b"", PING))
        frames = [self._client.read_frame()]
        while frames[-1] != (0x80 | PONG, b""):
            frames.append(self._client.read_frame())
        return [frame.payload.decode() for frame in frames[:-1]]

    def is_done(self) -> bool:
        """Whether nothing has come that nobody has heard."""
        return not self._inbox + self.rest()

    def close(self) -> None:
        """End it."""
        self._client.close()


class ExampleTests(BrokerCase):
    def test_the_conversations(self) -> None:
        for example in examples():
            self.converse(example)

    def converse(self, example: list[Step]) -> None:
        broker = self.broker(*blocks("ini"))
        greeted = {step.name for step in example if step.is_greeting}
        connections: dict[str, Connection | TextConnection] = {}
        for step in example:
            name, direction, text = step
            if direction == ".":
                self.assertTrue(connections[name].is_done())
                connections.pop(name).close()
            elif direction == "?":
                connections[name] = TextConnection(self.client(broker, opening(path=text)))
            elif name not in connections:
                # With the request, so that it is there before 100 ms are over.
                first = client_frame(text.encode()) if direction == ">" else b""
                client = self.client(broker, opening() + first)
                connections[name] = Connection(client, hides_greeting=name not in greeted)
            elif direction == ">":
                connections[name].say(text)
            if direction == "<":
                shape = re.escape(TIME_STAMP.sub("", text)).replace(LEFT_OUT, ".*")
                self.assertRegex(TIME_STAMP.sub("", connections[name].hear()), rf"\A{shape}\Z")
        for name, connection in connections.items():
            self.assertTrue(connection.is_done(), f"{name} got more than {example}")
        for connection in connections.values():
            connection.close()
        broker.stop()

    def test_the_requests(self) -> None:
        broker = self.broker(*blocks("ini"))
        requests = [block.split("\n\n") for block in blocks("http")]
        first_lines = requests[0][0].split("\n")
        for request, head, *body in requests:
            lines = request.split("\n")
            if len(lines) == 1:  # in the place of the first request's last line
                lines = [*first_lines[:-1], *lines]
            client = self.client(broker, "\r\n".join([*lines, "", ""]).encode())
            self.assertEqual(client.head.split("\r\n"), [*head.rstrip("\n").split("\n"), "", ""])
            if body:
                self.assertEqual(client.read_to_end().decode(), body[0])

    def test_every_command_and_every_kind_of_reply_has_an_example(self) -> None:
        said, heard, waiting = set(), set(), []
        for example in examples():
            texts = {step.name for step in example if step.direction == "?"}
            steps = [step for step in example if step.name not in texts]
            sent = [step.text for step in steps if step.direction == ">"]
            got = [step.text for step in steps if step.direction == "<" and LEFT_OUT not in step.text]
            said |= {json.loads(text)["command"] for text in sent}
            heard |= {(json.loads(text)["command"], json.loads(text).get("response_code")) for text in got}
            waiting += [text for text in got if not text.startswith(GREETING) and text not in sent]
        commands = {command.__struct_config__.tag for command in get_args(wire.Command)}
        self.assertEqual(commands - said, set())
        self.assertEqual(heard, REPLIES)
        self.assertTrue(waiting)
        self.assertEqual(len(blocks("http")), 3)


class TableTests(BrokerCase):
    def test_each_status_that_a_request_can_be_refused_with(self) -> None:
        self.assertEqual(
            table(3), {*REFUSED, 429, 500, 503}
        )  # not to be had of a broker that is well and not full
        broker = self.broker("[server]\npath = /broker\n")
        for status, request in REFUSED.items():
            client = self.client(broker, request)
            self.assertEqual(client.status, status)
            self.assertTrue(client.read_to_end().startswith(str(status).encode()))

    def test_each_code_of_a_reply(self) -> None:
        rows = re.findall(r"^\| (\d\d) \| ([\w ]+) \|", DOCUMENT, re.MULTILINE)
        self.assertEqual(rows, [(code.number, code.text) for code in Code])

    def test_each_code_of_a_close_frame(self) -> None:
        self.assertEqual(table(4), {*CLOSED, *(code.number for code in CloseCode)})
        broker = self.broker()
        for code, sent in CLOSED.items():
            client = self.sender(broker)
            client.send(sent)
            first, payload = client.read_frame()
            self.assertEqual((first, int.from_bytes(payload[:2], "big")), (0x80 | CLOSE, code))

    def test_4008_for_who_does_not_acknowledge(self) -> None:
        """Its other cause, and 1001, are in test_ending.py."""
        broker = self.broker("[server]\nmax_frame_bytes = 1024\nmax_outstanding_bytes = 10000\n")
        client, sender = self.client(broker), self.sender(broker)
        client.send_text(command("receive-message", "sms", ack=True, prefetch=1))
        self.assertEqual(client.read_json()["response_code"], "00")
        for _ in range(20):
            sender.publish("sms", "x" * 900)
        while (frame := client.read_frame()).first != 0x80 | CLOSE:
            self.assertEqual(frame.first, 0x80 | TEXT)
        self.assertEqual(int.from_bytes(frame.payload[:2], "big"), 4008)
