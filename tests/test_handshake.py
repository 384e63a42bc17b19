"""Tests for wsmb.handshake."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.handshake import REASONS, Head, Refusal, check_head, is_origin_allowed, refusal

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\n\r\n"


def with_header(line: bytes) -> bytes:
    return REQUEST.replace(b"Upgrade", line + b"\r\nUpgrade")


class CheckHeadTests(SynchronousTestCase):
    def test_an_ordinary_request_is_left_alone(self) -> None:
        self.assertEqual(check_head(REQUEST), Head(REQUEST, None))

    def test_origin_is_taken_out(self) -> None:
        for line in (b"Origin: https://a.example", b"oRiGiN:https://a.example "):
            self.assertEqual(check_head(with_header(line)), Head(REQUEST, "https://a.example"))

    def test_line_ends_that_autobahn_would_see(self) -> None:
        for byte in (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\r", b"\n", b"\x00", b"\x7f"):
            self.assertEqual(
                check_head(with_header(b"X: a" + byte + b"Authorization: b")), Refusal(400), byte
            )

    def test_a_second_one_of_what_may_be_once(self) -> None:
        for name in (b"Host", b"Authorization", b"Origin", b"Sec-WebSocket-Key"):
            twice = with_header(name + b": a\r\n" + name.lower() + b": b")
            self.assertEqual(check_head(twice), Refusal(400), name)

    def test_lines_that_are_no_headers(self) -> None:
        for line in (b"nonsense", b": value", b"Name : value", b" folded: value"):
            self.assertEqual(check_head(with_header(line)), Refusal(400), line)

    @given(st.binary())
    def test_whatever_comes(self, rest: bytes) -> None:
        self.assertIsInstance(check_head(b"GET / HTTP/1.1\r\n" + rest + b"\r\n\r\n"), (Head, Refusal))


class OriginTests(SynchronousTestCase):
    def test_not_a_browser_on_a_web_page(self) -> None:
        for origin in (None, "10.0.0.2:8888", "localhost", "file://"):
            self.assertTrue(is_origin_allowed(origin, ()), origin)

    def test_a_browser_only_from_an_allowed_page(self) -> None:
        for origin in ("https://a.example", "http://localhost:8888", "null", "NULL", "file:///home/x.html"):
            self.assertFalse(is_origin_allowed(origin, ("https://b.example",)), origin)
            self.assertTrue(is_origin_allowed(origin, ("https://b.example", origin)), origin)

    def test_exactly(self) -> None:
        for origin in (
            "https://a.example:444",
            "http://a.example",
            "https://a.example.b",
            "https://x.a.example",
        ):
            self.assertFalse(is_origin_allowed(origin, ("https://a.example",)), origin)


class RefusalTests(SynchronousTestCase):
    def test_401(self) -> None:
        self.assertEqual(
            refusal(401),
            b"HTTP/1.1 401 Unauthorized\r\nServer: wsmb\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 17\r\nConnection: close\r\n"
            b'WWW-Authenticate: Basic realm="wsmb", charset="UTF-8"\r\n\r\n401 Unauthorized\n',
        )

    def test_every_one_has_its_length(self) -> None:
        for status in REASONS:
            head, _, body = refusal(status).partition(b"\r\n\r\n")
            self.assertIn(f"Content-Length: {len(body)}".encode(), head.split(b"\r\n"))

    def test_503_says_when_to_try_again(self) -> None:
        self.assertIn(b"\r\nRetry-After: 5\r\n", refusal(503))
