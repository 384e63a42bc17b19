"""The HTTP side on in-memory transports and a clock. Each answer is held against openapi.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from tests.support_protocol import Transport, World, basic, client_frame
from wsmb.config.access_lines import AccessLine, access_rules
from wsmb.events import Events
from wsmb.http.routes import pattern
from wsmb.http.side import HttpSide
from wsmb.settings import ChannelSettings, KeepData
from wsmb.webhooks import Webhooks

KEPT = ChannelSettings(keep_data=KeepData.OFFLINE)
ALWAYS = ChannelSettings(keep_data=KeepData.ALWAYS)


def rules(*lines: str) -> Any:
    """`allow shop send sms` and so on."""
    return access_rules([AccessLine(*line.split(" ", 1), "title", "place") for line in lines])


class Answer(NamedTuple):
    """What a request was answered with."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Description:
    """openapi.json, as answers are held against it."""

    def __init__(self, text: bytes) -> None:
        self.document = json.loads(text)

    def _resolved(self, found: Any) -> Any:
        while "$ref" in found:
            place = self.document
            for part in found["$ref"].removeprefix("#/").split("/"):
                place = place[part]
            found = place
        return found

    def operation(self, method: str, path: str) -> Any:
        """None if there is no such method or path."""
        parts = path.partition("?")[0].split("/")
        parts[1:] = pattern(parts[1:])
        method = "GET" if method == "HEAD" else method
        return (
            self.document["paths"].get("/".join(parts), {}).get(method.lower() if method.isupper() else None)
        )

    def check(self, method: str, path: str, answer: Answer) -> None:
        """Raises AssertionError if the answer is not one that is described."""
        operation = self.operation(method, path)
        if operation is None:
            if answer.status not in (404, 405, 414):
                raise AssertionError(f"{method} {path} is not described")
            return
        if str(answer.status) not in operation["responses"]:
            raise AssertionError(f"{answer.status} of {method} {path} is not described")
        described = self._resolved(operation["responses"][str(answer.status)])
        kind = answer.headers["content-type"]
        schemas = {name: entry["schema"] for name, entry in described["content"].items()}
        schema = schemas.get(kind) or schemas[kind.partition(";")[0]]
        for name in described.get("headers", ()):
            if name.lower() not in answer.headers:
                raise AssertionError(f"{method} {path}: no {name}")
        if kind == "application/json" and method != "HEAD":
            whole = {**schema, "components": self.document["components"]}
            Draft202012Validator(whole).validate(answer.json)


class HttpClient:
    """One connection to the HTTP side."""

    def __init__(self, world: HttpWorld, address: str) -> None:
        self.world = world
        self.transport = Transport(peerAddress=IPv4Address("TCP", address, 4711))
        self.channel = world.http.site.buildProtocol(None)
        if self.channel is None:
            raise ConnectionRefusedError
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    @property
    def is_open(self) -> bool:
        self.world.clock.advance(0)
        return bool(self.transport.connected)

    def write(self, data: bytes) -> None:
        """The broker receives `data`."""
        self.channel.dataReceived(data)
        self.world.turn()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        user: str | None = "qa",
    ) -> None:
        """Ask; `body`, if it is no bytes, in JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: broker.example"]
        lines += [f"Authorization: {basic(user, 'right')}"] if user else []
        lines += [f"Content-Length: {len(content)}"] if body is not None else []
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.asked = method, path
        self.write("\r\n".join([*lines, "", ""]).encode() + content)

    def answer(self) -> Answer | None:
        """The answer, if it has come; checked."""
        self.world.turn()
        data = self.transport.value()
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return None
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = 0 if self.asked[0] == "HEAD" else int(headers["content-length"])
        if len(rest) < size:
            return None
        self.transport.clear()
        self.transport.write(rest[size:])
        answer = Answer(int(status.split()[1]), headers, rest[:size])
        self.world.description.check(*self.asked, answer)
        return answer

    def ask(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        """The answer, which has to come at once."""
        self.request(method, path, body, **options)
        answer = self.answer()
        if answer is None:
            raise AssertionError(f"no answer to {method} {path}: {self.transport.value()!r}")
        return answer


class HttpWorld(World):
    """A broker with an HTTP side."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.unsent: dict[object, int] = {}
        """How many bytes the other end of a transport has not taken."""
        self.hooks: list[Deferred[int]] = []
        """Requests to webhooks that are not answered."""
        self.webhooks = Webhooks(self.settings.webhooks, self.clock, self._post)
        self.events = Events(self.broker, self.settings, self.webhooks.tell, "b")
        self.http = HttpSide(
            self.factory,
            self.clock,
            self.events,
            self.webhooks,
            lambda transport: self.unsent.get(transport, 0),
        )
        self.description = Description(self.http.description)

    def _post(self, *_: bytes) -> Deferred[int]:
        self.hooks.append(Deferred())
        return self.hooks[-1]

    def turn(self) -> None:
        """All that goes on without time going by, but what the store is to do."""
        for _ in range(5):
            self.clock.advance(0)

    def settle(self) -> None:
        """The store does what it was asked, too."""
        for _ in range(5):
            self.store.settle()
            self.turn()

    def beat(self, count: int = 1) -> None:
        """Tenths of a second go by."""
        for _ in range(count):
            self.clock.advance(0.1)
            self.broker.tick(self.clock.seconds())

    def client(self, address: str = "192.0.2.1") -> HttpClient:
        return HttpClient(self, address)

    def ask(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        """On a connection of its own; the store does what it is asked."""
        client = self.client()
        client.request(method, path, body, **options)
        self.settle()
        self.clock.advance(0.02)
        answer = client.answer()
        if answer is None:
            raise AssertionError(f"no answer to {method} {path}")
        client.transport.loseConnection()
        self.turn()
        return answer

    def receiver(self, channel: str, **fields: object) -> Any:
        """A WebSocket that receives."""
        connection = self.greeted()
        command = json.dumps({"command": "receive-message", "channel": channel, **fields})
        connection.receive(client_frame(command.encode()))
        self.settle()
        connection.taken()
        return connection
