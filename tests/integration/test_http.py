"""The HTTP side of a running broker, with curl and as programs use it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import PASSWORD, USER, BrokerProcess, free_port, poll
from tests.integration.raw_client import basic, command
from tests.support import need
from tests.support_tls import Authority
from wsmb.http.kernel import unsent_bytes

LIMIT_S = 30


class HttpCase(BrokerCase):
    def http_broker(self, ini: str = "", *, also: str = "", **options: Any) -> BrokerProcess:
        """A broker with an HTTP side, on the port `http_port` and, if it is given, on `also`."""
        self.http_port = free_port()
        text = f"{ini}\n[http]\nlisten[] = tcp:{self.http_port}\n" + (also and f"listen[] = {also}\n")
        return self.broker(text, **options)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Authorization": basic(), **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def curl(self, *arguments: str) -> tuple[int, Any]:
        """Status and answer."""
        url = f"http://127.0.0.1:{self.http_port}"
        done = subprocess.run(
            [
                "curl",
                "-s",
                "-u",
                f"{USER}:{PASSWORD}",
                "-w",
                "\n%{http_code}",
                url + arguments[0],
                *arguments[1:],
            ],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def events(self, path: str, **headers: str) -> tuple[socket.socket, Iterator[tuple[str, Any]]]:
        """The connection, and (id, item) of what comes on it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
        connection.request("GET", path, headers={"Authorization": basic(), **headers})
        sock = connection.sock
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)

        def read() -> Iterator[tuple[str, Any]]:
            event_id = ""
            for line in iter(answer.readline, b""):
                name, _, value = line.decode().strip().partition(": ")
                if name == "id":
                    event_id = value
                elif name == "data":
                    yield event_id, json.loads(value)

        self.addCleanup(connection.close)
        self.addCleanup(answer.close)
        return sock, read()


class CurlTests(HttpCase):
    def test_send_receive_acknowledge_and_a_kill_after_each(self) -> None:
        need("curl")
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        broker = self.http_broker(database=f"sqlite:///{folder}/db", keep_data="true")
        status, sent = self.curl("/channels/sms", "-d", '{"message":"hello"}', "-H", "Idempotency-Key: one")
        self.assertEqual((status, sent["stored"]), (200, 1))
        broker.kill9()
        broker.start()
        status, again = self.curl("/channels/sms", "-d", '{"message":"hello"}', "-H", "Idempotency-Key: one")
        self.assertEqual((status, again["duplicate"]), (200, True))
        status, given = self.curl("/channels/sms?wait=5s&max=1")
        self.assertEqual([one["data"] for one in given["deliveries"]], [[{"message": "hello"}]])
        broker.kill9()
        broker.start()
        status, given = self.curl("/channels/sms?max=10")
        self.assertEqual([one["data"] for one in given["deliveries"]], [[{"message": "hello"}]])
        ids = [one["id"] for one in given["deliveries"]]
        self.assertEqual(self.curl("/acks", "-d", json.dumps({"ack": ids})), (200, {"unknown": []}))
        broker.stop()
        broker.start()
        self.assertEqual(self.curl("/channels/sms"), (200, {"deliveries": []}))


class SideTests(HttpCase):
    def test_beside_websockets(self) -> None:
        broker = self.http_broker("[access]\nallow[] = qa * *\nallow[] = sha admin *")
        receiver = self.receiver(broker, "sms")
        self.assertEqual(self.ask("POST", "/channels/sms", [1])[1]["receivers"], 1)
        self.assertEqual(json.loads(receiver.read_text())["data"], [1])
        self.assertEqual(self.ask("GET", "/metrics")[0], 403)
        self.assertEqual(self.ask("GET", "/channels/x", Origin="https://evil.example")[0], 403)
        self.assertIn(f"serves HTTP on tcp:{self.http_port}:interface=127.0.0.1;", broker.log())

    def test_a_proof_that_is_waited_for(self) -> None:
        broker = self.http_broker(database="memory:", keep_data="true")
        receiver = self.client(broker)
        receiver.send_text(command("receive-message", "sms", ack=True))
        receiver.read_text()
        self.assertEqual(receiver.fence(), [])
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
        self.addCleanup(connection.close)
        connection.request("POST", "/channels/sms?wait=20s", "1", {"Authorization": basic()})
        number = json.loads(receiver.read_text())["delivery"]
        receiver.send_text(json.dumps({"command": "ack-message", "delivery": number}).encode())
        answer = connection.getresponse()
        self.assertEqual((answer.status, json.loads(answer.read())["proved"]), (200, True))

    def test_the_broker_stops_while_a_request_waits(self) -> None:
        broker = self.http_broker(database="memory:", keep_data="true")
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
        self.addCleanup(connection.close)
        connection.request("GET", "/channels/sms?wait=60", headers={"Authorization": basic()})
        # It has been read once a later one has been answered.
        self.assertEqual(self.ask("GET", "/health/ready"), (200, {"status": "ok"}))
        broker.stop()
        answer = connection.getresponse()
        self.assertEqual(answer.status, 503)
        self.assertTrue(answer.getheader("Retry-After"))

    def test_a_user_who_is_removed(self) -> None:
        broker = self.http_broker()
        sock, _ = self.events("/channels/sms/events")
        users = broker.folder / "users"
        users.write_text(
            "".join(line for line in users.read_text().splitlines(True) if not line.startswith("qa"))
        )
        while sock.recv(4096):
            pass
        self.assertEqual(self.ask("GET", "/channels/sms")[0], 401)


class EventTests(HttpCase):
    def test_they_are_acknowledged_by_themselves_over_tcp_and_tls(self) -> None:
        authority = Authority(self.folder())
        key, certificate = authority.write("localhost", hosts=("127.0.0.1",))
        tls_port = free_port()
        tls = f"ssl:{tls_port}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        self.http_broker(also=tls, database="memory:", keep_data="true")
        context = ssl.create_default_context(cafile=str(authority.file))
        waiting = []
        for channel, secure in (("plain", False), ("tls", True)):
            made = [
                http.client.HTTPSConnection("127.0.0.1", tls_port, timeout=LIMIT_S, context=context)
                if secure
                else http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=LIMIT_S)
                for _ in range(2)
            ]
            for one in made:
                self.addCleanup(one.close)
            reader, writer = made
            reader.request("GET", f"/channels/{channel}/events", headers={"Authorization": basic()})
            events = reader.getresponse()
            self.addCleanup(events.close)
            writer.request("POST", f"/channels/{channel}?wait=30s", "[1]", {"Authorization": basic()})
            self.assertIn(b"data: 1\n", iter(events.readline, b""))
            waiting.append(writer)
        for writer in waiting:
            self.assertIs(json.loads(writer.getresponse().read())["proved"], True)

    def test_the_next_stream_goes_on_after_the_last_event(self) -> None:
        self.http_broker(database="memory:", keep_data="true")
        _, events = self.events("/channels/sms/events")
        for item in range(3):
            self.ask("POST", "/channels/sms", item)
        received = [next(events) for _ in range(3)]
        self.assertEqual([item for _, item in received], [0, 1, 2])
        _, again = self.events("/channels/sms/events", **{"Last-Event-ID": received[1][0]})
        self.assertEqual(next(again)[1], 2)


class Written:
    """A Twisted transport, as far as it is asked."""

    def __init__(self, connection: socket.socket) -> None:
        self.fileno = connection.fileno
        self.dataBuffer, self.offset, self._tempDataLen = b"", 0, 0


class KernelTests(SynchronousTestCase):
    def test_what_the_other_end_has_not_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            writer = socket.create_connection(server.getsockname())
            reader, _ = server.accept()
        self.addCleanup(writer.close)
        self.addCleanup(reader.close)
        writer.setblocking(False)
        written = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                written += writer.send(bytes(65_536))
        transport = Written(writer)
        unsent = unsent_bytes(transport)
        self.assertTrue(0 < unsent < written, (unsent, written))
        transport.dataBuffer, transport.offset, transport._tempDataLen = b"abc", 1, 5
        self.assertGreaterEqual(unsent_bytes(transport), 7)
        while written:
            written -= len(reader.recv(65_536))
        poll(lambda: unsent_bytes(transport) == 7, "the last acknowledgement of TCP")
