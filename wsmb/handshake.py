"""What Autobahn does not check in an opening request (RFC 9112, RFC 6455 section 4), and HTTP refusals."""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD_END = b"\r\n\r\n"

REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    414: "URI Too Long",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_EXTRA_HEADERS = {
    401: ('WWW-Authenticate: Basic realm="wsmb", charset="UTF-8"',),
    405: ("Allow: GET",),
    426: ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
}
_RETRIED = (429, 503)
RETRY_AFTER_S = 5

# Autobahn splits lines where str.splitlines() does: at VT, FF, FS, GS, RS and NEL as well.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85]|\r(?!\n)|(?<!\r)\n")
_ONCE = (b"host", b"authorization", b"origin", b"sec-websocket-key")


class Refusal(NamedTuple):
    """Why a request is not let in: an HTTP status."""

    status: int
    retry_after_s: int = RETRY_AFTER_S
    """With 429 and 503: when it may be tried again."""


class Head(NamedTuple):
    """A request that Autobahn may see."""

    text: bytes
    """The request line and headers with the empty line at their end, without `Origin`."""
    origin: str | None
    forwarded: str = ""
    """What all `X-Forwarded-For` say, in their order, with commas between."""


def check_head(head: bytes) -> Head | Refusal:
    """Check a complete request head, up to and with its empty line.

    `Origin` is taken out: Autobahn answers 400 to one that is no URL, as old Java clients send it.
    """
    if _CONTROL.search(head):
        return Refusal(400)
    lines = head[: -len(HEAD_END)].split(b"\r\n")
    seen: dict[bytes, bytes] = {}
    kept = [lines[0]]
    forwarded = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not name or name != name.strip() or (name in seen and name in _ONCE):
            return Refusal(400)
        seen[name] = value.strip()
        if name != b"origin":
            kept.append(line)
        if name == b"x-forwarded-for":
            forwarded.append(seen[name])
    if seen.get(b"sec-websocket-version", b"13") != b"13":
        return Refusal(426)  # Autobahn says 400, without the version that would do
    origin = seen.get(b"origin")
    return Head(
        b"\r\n".join(kept) + HEAD_END,
        None if origin is None else origin.decode("latin-1"),
        b",".join(forwarded).decode("latin-1"),
    )


def is_origin_allowed(origin: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a request with this `Origin` may come in.

    No Origin: not a browser. One that is no URL (`host:port` of old Java clients), or `file://` (what
    the ESP32's library sends), names no web site, and no browser on a web page sends it.
    """
    if origin is None or origin in allowed:
        return True
    return origin == "file://" or ("://" not in origin and origin.lower() != "null")


def refusal(status: int, retry_after_s: int = RETRY_AFTER_S, explanation: str = "") -> bytes:
    """The HTTP answer with this `status`: one constant text for each, whatever the cause; `explanation`:
    of what the client can put right, and nothing that it has sent."""
    body = f"{status} {REASONS[status]}\n" + (f"{explanation}\n" if explanation else "")
    headers = (
        f"HTTP/1.1 {status} {REASONS[status]}",
        "Server: wsmb",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        *([] if status == 426 else ["Connection: close"]),
        *([f"Retry-After: {retry_after_s}"] if status in _RETRIED else _EXTRA_HEADERS.get(status, ())),
    )
    return ("\r\n".join(headers) + "\r\n\r\n" + body).encode()
