"""Who may come in, and what the others are told before they are in."""

from __future__ import annotations

import base64
import re

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import PASSWORD, USER, BrokerProcess
from tests.integration.raw_client import ACCEPT, KEY, RawClient, basic, client_frame, command, opening

CHALLENGE = 'WWW-Authenticate: Basic realm="wsmb", charset="UTF-8"\r\n'


def url_safe(user: str, password: str) -> str:
    """The subprotocol by which a browser logs in."""
    return "basic." + base64.urlsafe_b64encode(f"{user}:{password}".encode()).decode().rstrip("=")


def offer(*names: str) -> bytes:
    """A request that offers subprotocols, without `Authorization`."""
    return opening(authorization="", headers=[f"Sec-WebSocket-Protocol: {', '.join(names)}"])


class OpeningCase(BrokerCase):
    def assert_opens(self, broker: BrokerProcess, request: bytes) -> RawClient:
        client = self.client(broker, request)
        self.assertEqual(client.status, 101, client.head)
        self.assertTrue(client.read_text().startswith(b'{"command":"connect","response_code":"00"'))
        return client

    def assert_refused(self, broker: BrokerProcess, request: bytes, status: int) -> bytes:
        """The whole answer, after which the broker has closed the connection."""
        client = self.client(broker, request)
        self.assertEqual(client.status, status, request)
        body = client.read_to_end()
        self.assertEqual(re.findall(r"Content-Length: (\d+)", client.head), [str(len(body))])
        return client.head.encode() + body


class PasswordTests(OpeningCase):
    def test_each_kind_of_hash_lets_in(self) -> None:
        broker = self.broker()
        for user in (USER, "apr1", "sha"):
            self.assert_opens(broker, opening(authorization=basic(user)))

    def test_401_says_the_same_to_all(self) -> None:
        broker = self.broker()
        answers = {
            self.assert_refused(broker, opening(authorization=authorization), 401)
            for authorization in (
                "",
                "Basic",
                "Basic !!!",
                "Basic " + base64.b64encode(b"no colon").decode(),
                "Bearer " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
                basic(USER, "wrong"),
                basic(USER, ""),
                basic(USER, PASSWORD + " "),
                basic("unknown", PASSWORD),
                basic("", ""),
                basic(USER.upper()),
            )
        }
        self.assertEqual(len(answers), 1, answers)
        self.assertIn(CHALLENGE.encode(), answers.pop())

    def test_the_answer_to_the_key_is_that_of_rfc_6455(self) -> None:
        client = self.assert_opens(self.broker(), opening())
        self.assertIn(f"Sec-WebSocket-Accept: {ACCEPT}\r\n", client.head)
        self.assertNotIn("Sec-WebSocket-Extensions", client.head)
        self.assertIn("Server: wsmb\r\n", client.head)

    def test_nothing_is_carried_out_for_who_is_not_let_in(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        frame = client_frame(command("send-message", "sms", data=[1]))
        self.assert_refused(broker, opening(authorization=basic(USER, "wrong")) + frame, 401)
        second = opening(authorization=basic(USER, "wrong")) + opening()
        self.assert_refused(broker, second, 401)
        self.assertEqual(receiver.fence(), [])


class SubprotocolTests(OpeningCase):
    def test_a_browser_logs_in_by_subprotocol(self) -> None:
        broker = self.broker("[server]\nallowed_origins[] = https://shop.example\n")
        for names in (("wsmb", url_safe(USER, PASSWORD)), (url_safe(USER, PASSWORD), "wsmb")):
            client = self.assert_opens(broker, offer(*names))
            self.assertIn("Sec-WebSocket-Protocol: wsmb\r\n", client.head)
            self.assertNotIn("basic.", client.head)

    def test_wrong_credentials_by_subprotocol_are_refused(self) -> None:
        broker = self.broker()
        for names in (
            ("wsmb",),
            ("wsmb", "basic."),
            ("wsmb", "basic.!"),
            ("wsmb", url_safe(USER, "wrong")),
            (url_safe(USER, PASSWORD),),
        ):
            self.assert_refused(broker, offer(*names), 401)

    def test_a_subprotocol_that_was_not_asked_for_is_never_answered(self) -> None:
        broker = self.broker()
        for headers in ([], ["Sec-WebSocket-Protocol: chat, mqtt"]):
            client = self.assert_opens(broker, opening(headers=headers))
            self.assertNotIn("sec-websocket-protocol", client.head.lower())


class PathAndOriginTests(OpeningCase):
    def test_any_path_is_served_unless_one_is_set(self) -> None:
        broker = self.broker()
        for path in ("/", "/anything", "/a/b?c=d"):
            self.assert_opens(broker, opening(path=path))

    def test_404_for_other_paths_if_one_is_set(self) -> None:
        broker = self.broker("[server]\npath = /broker\n")
        self.assert_opens(broker, opening(path="/broker"))
        self.assert_opens(broker, opening(path="/broker?x=1"))
        for path in ("/", "/broker/", "/Broker"):
            self.assert_refused(broker, opening(path=path), 404)

    def test_403_for_the_browsers_of_other_web_sites(self) -> None:
        broker = self.broker("[server]\nallowed_origins[] = https://shop.example\n")
        self.assert_opens(broker, opening(headers=["Origin: https://shop.example"]))
        for origin in ("https://evil.example", "http://shop.example", "https://shop.example:444", "null"):
            self.assert_refused(broker, opening(headers=[f"Origin: {origin}"]), 403)

    def test_no_browser_is_let_in_by_default(self) -> None:
        self.assert_refused(self.broker(), opening(headers=["Origin: https://shop.example"]), 403)

    def test_an_origin_that_is_no_url_is_no_browsers(self) -> None:
        broker = self.broker()
        for origin in ("127.0.0.1:8888", "broker.example:8888", "file://"):
            self.assert_opens(broker, opening(headers=[f"Origin: {origin}"]))


class MalformedRequestTests(OpeningCase):
    """What Autobahn would let through (dependencies.md)."""

    def test_431_for_a_head_without_end(self) -> None:
        broker = self.broker()
        request = opening()[:-2] + b"X-Padding: "
        self.assert_refused(broker, request + b"x" * (8_192 - len(request)), 431)
        self.assert_refused(broker, b"x" * 8_192, 431)

    def test_400_for_control_characters_in_a_head(self) -> None:
        broker = self.broker()
        for number in (0x00, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x7F, 0x85):
            self.assert_refused(broker, opening(headers=[f"X: a{chr(number)}Host: b"]), 400)

    def test_400_for_bare_cr_and_lf(self) -> None:
        broker = self.broker()
        for end in ("\r", "\n", "\n\r"):
            self.assert_refused(broker, opening(headers=[f"X: a{end}Y: b"]), 400)

    def test_400_for_a_header_that_may_come_only_once(self) -> None:
        broker = self.broker()
        for header in (
            "Host: other",
            f"authorization: {basic()}",
            "ORIGIN: b:1",
            f"Sec-WebSocket-Key: {KEY}",
        ):
            self.assert_refused(broker, opening(headers=["Origin: a:1", header]), 400)

    def test_no_password_is_in_the_log(self) -> None:
        broker = self.broker()
        self.assert_opens(broker, opening())
        self.assert_refused(broker, opening(authorization=basic(USER, "wr0ng-w0rd")), 401)
        self.assert_refused(broker, opening(headers=[f"Authorization: {basic()}"]), 400)
        broker.stop()
        for secret in (PASSWORD, "wr0ng-w0rd", basic()[6:], basic(USER, "wr0ng-w0rd")[6:]):
            self.assertNotIn(secret, broker.log())
