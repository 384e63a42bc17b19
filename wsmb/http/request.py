"""A request as twisted.web reads it, but with a body that is bounded, in memory, and no form."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from twisted.web.http import Request

MOST_ARGUMENTS = 20


def _arguments(query: bytes) -> dict[bytes, list[bytes]]:
    """What stands in a query, percent-decoded. ValueError if it is more than MOST_ARGUMENTS."""
    found: dict[bytes, list[bytes]] = {}
    # Of bytes, parse_qsl takes ASCII only.
    for key, value in parse_qsl(
        query.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=MOST_ARGUMENTS
    ):
        found.setdefault(key.encode("latin-1"), []).append(value.encode("latin-1"))
    return found


class BoundedRequest(Request):
    """A request whose body is in memory, and no larger than a frame may be."""

    channel: Any
    content: BytesIO
    args: dict[bytes, list[bytes]]
    is_stranger = False
    """Whether its body has to be read before it is known whether its user may come in."""

    def gotLength(self, length: int | None) -> None:
        """Its head has come; `length` is that of the body, if it says so."""
        # Twisted's own writes large ones to the disk.
        self.content = BytesIO()
        if (length or 0) > self.channel.site.max_body_bytes:
            self._refuse_body(413)
        elif length != 0:
            self.is_stranger = not self.channel.knows(self.getHeader(b"authorization"))

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body has come."""
        if self.content.tell() + len(data) > self.channel.site.max_body_bytes:
            self._refuse_body(413)
        elif self.is_stranger and not self.channel.has_room(len(data)):
            self._refuse_body(503)
        else:
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it has come. (Twisted's own takes a body for a form, whatever curl has put there.)"""
        if self.channel.is_refused:
            return
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, query = path.partition(b"?")
        try:
            self.args = _arguments(query)
        except ValueError:
            self.channel.refuse(400)
            return
        self.channel.has_request()
        self.setHeader(b"Server", b"wsmb")
        self.channel.site.answer(self)

    def _refuse_body(self, status: int) -> None:
        self.requestHeaders.removeHeader(b"Expect")  # nothing is to follow
        self.channel.refuse(status)
