"""One request: who asks, what for, and the one answer that it gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from twisted.logger import Logger

from wsmb.access import ADMIN, WHOLE_BROKER
from wsmb.errors import Code, CommandError
from wsmb.factory import BrokerFactory
from wsmb.handshake import Refusal
from wsmb.http.entrance import Entrance

STATUSES = {
    Code.MALFORMED.number: HTTPStatus.BAD_REQUEST,
    Code.FORBIDDEN.number: HTTPStatus.FORBIDDEN,
    Code.UNKNOWN_DELIVERY.number: HTTPStatus.NOT_FOUND,
    Code.TOO_LARGE.number: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.TOO_MANY.number: HTTPStatus.TOO_MANY_REQUESTS,
    Code.UNAVAILABLE.number: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = 5
RATE_RETRY_S = 1
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s?")
_COUNT = re.compile(r"[0-9]{1,9}")
_ONCE = ("authorization", "host", "idempotency-key", "last-event-id", "origin", "sec-fetch-site")
_JSON = "application/json"
_encode = msgspec.json.encode
_log = Logger()


class BadRequestError(Exception):
    """What is wrong with a request. The text is for the client."""


class Call:
    """See above. After the answer, or when the client has left, `over` is called."""

    def __init__(self, request: Any, factory: BrokerFactory) -> None:
        self._request = request
        self.channel = request.channel
        """The BoundedChannel that it came on."""
        self._factory = factory
        self.user = ""
        self.over: Callable[[], None] = lambda: None
        self.is_over = False
        self._entrance: Entrance | None = None
        request.notifyFinish().addBoth(self._finished)

    # What is asked

    @property
    def method(self) -> str:
        """`GET` and so on."""
        return str(self._request.method.decode("latin-1"))

    @property
    def transport(self) -> Any:
        """The connection that it came on."""
        return self.channel.transport

    def path(self) -> list[str]:
        """What stands between the slashes. Raises BadRequestError."""
        parts = self._request.path.split(b"/")[1:]
        try:
            return [unquote_to_bytes(part).decode() for part in parts]
        except UnicodeDecodeError:
            raise BadRequestError("the path is not UTF-8") from None

    def body(self) -> bytes:
        """All of it."""
        content: bytes = self._request.content.getvalue()
        return content

    def header(self, name: str) -> str:
        """A header's value; '' if there is none. Raises BadRequestError."""
        value: bytes = self._request.getHeader(name.encode()) or b""
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise BadRequestError(f"the header {name} is not UTF-8") from None

    def check(self, arguments: Collection[str]) -> None:
        """Raises BadRequestError for what is there twice, or is none of these `arguments` of the query."""
        for name in _ONCE:
            if len(self._request.requestHeaders.getRawHeaders(name.encode(), ())) > 1:
                raise BadRequestError(f"the header {name} is given twice")
        for key, values in self._request.args.items():
            text = key.decode("utf-8", "replace")
            if text not in arguments:
                known = f"; there is {', '.join(arguments)}" if arguments else ""
                raise BadRequestError(f"{text[:100]!r} is not known in a query here{known}")
            if len(values) > 1:
                raise BadRequestError(f"{text} is given twice")

    def argument(self, name: str) -> str:
        """One of the query's; '' if it is not there. Raises BadRequestError."""
        try:
            return str(self._request.args.get(name.encode(), [b""])[0].decode())
        except UnicodeDecodeError:
            raise BadRequestError(f"{name} is not UTF-8") from None

    def seconds(self, name: str, default: float, most: float) -> float:
        """One of the query's: seconds such as `5`, `0.5` or `5s`, `most` at most. Raises BadRequestError."""
        text = self.argument(name)
        if not text:
            return default
        if not _SECONDS.fullmatch(text):
            raise BadRequestError(f"{name} is not a number of seconds, such as 5, 0.5 or 5s")
        return min(float(text.removesuffix("s")), most)

    def count(self, name: str, default: int, most: int) -> int:
        """One of the query's: a whole number, `most` at most. Raises BadRequestError."""
        text = self.argument(name)
        if not text:
            return default
        if not _COUNT.fullmatch(text):
            raise BadRequestError(f"{name} is not a whole number")
        return min(int(text), most)

    # Who asks

    @property
    def forwarded(self) -> str:
        """What all `X-Forwarded-For` say, with commas between."""
        values: list[bytes] = self._request.requestHeaders.getRawHeaders(b"x-forwarded-for", [])
        return b",".join(values).decode("latin-1")

    def enter(self, action: Callable[[Call], None], *, is_admin: bool, is_last: bool) -> None:
        """Carry it out once it is known that the user may come in; answer all others.

        `is_admin`: only for who may administer the broker; `is_last`: also while the broker stops.
        """

        def answered(found: str | Refusal) -> None:
            if isinstance(found, Refusal):
                self._refuse(found)
            elif not self.is_over:
                self.user = found
                self.carry_out(self._for_admin(action) if is_admin else action)

        self._entrance = Entrance(self, self._factory, answered)
        self._entrance.ask(is_last=is_last)

    def carry_out(self, action: Callable[[Call], None]) -> None:
        """Do it; what is wrong with it is answered."""
        try:
            if self.user:
                self._charge()
            action(self)
        except BadRequestError as problem:
            self.refuse(Code.MALFORMED.number, str(problem))
        except CommandError as problem:
            self.refuse(problem.code.number, str(problem))
        except Exception:
            _log.failure("a request could not be answered")
            self.answer({"error": "Internal Server Error"}, 500)

    def _for_admin(self, action: Callable[[Call], None]) -> Callable[[Call], None]:
        def check(call: Call) -> None:
            access = self._factory.broker.access
            if access is not None:
                access.check(self.user, ADMIN, WHOLE_BROKER)
            action(call)

        return check

    def _charge(self) -> None:
        """It counts as a frame of its user. Raises CommandError (05)."""
        rates = self._factory.rates
        if rates.is_limited:
            now_s = self._factory.reactor.seconds()
            if not rates.frames_left(self.user, now_s):
                raise CommandError(Code.TOO_MANY, "the user's rate is used up")
            rates.take(self.user, 1, len(self.body()), now_s)

    # The answer

    def answer(self, value: object, status: int = 200, **headers: str) -> None:
        """The answer, in JSON."""
        self.write(_encode(value) + b"\n", _JSON, status, **headers)

    def refuse(self, code: str, text: str) -> None:
        """It cannot be carried out, for a reason by the numbers of the protocol."""
        status = STATUSES.get(code, HTTPStatus.BAD_REQUEST)
        headers = {}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["retry_after"] = str(RATE_RETRY_S)
        elif status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["retry_after"] = str(RETRY_AFTER_S)
        self.answer({"code": code, "error": text}, status, **headers)

    def write(self, body: bytes, content_type: str, status: int = 200, **headers: str) -> None:
        """The whole answer. A header's name has `_` for `-`."""
        if not self.is_over:
            self.begin(content_type, status, content_length=str(len(body)), **headers)
            self._request.write(body)
            self._request.finish()

    def begin(self, content_type: str, status: int = 200, **headers: str) -> None:
        """The head of the answer, whose body comes by `say`."""
        request = self._request
        request.setResponseCode(status)
        self.channel.site.answered[status] += 1
        request.setHeader("content-type", content_type)
        request.setHeader("cache-control", "no-store")
        request.setHeader("x-content-type-options", "nosniff")
        for name, value in headers.items():
            request.setHeader(name.replace("_", "-"), value)

    def say(self, piece: bytes) -> None:
        """A piece of the answer's body."""
        if not self.is_over:
            self._request.write(piece)

    def finish(self) -> None:
        """The end of the answer's body."""
        if not self.is_over:
            self._request.finish()

    def end(self) -> None:
        """End the connection: who asks is not let in any more, or does not read."""
        if not self.is_over:
            self.transport.abortConnection()

    def _refuse(self, refusal: Refusal) -> None:
        """Who asks is not let in."""
        status = HTTPStatus(refusal.status)
        self._factory.refused(refusal.status)
        self.channel.persistent = 0
        headers = {"connection": "close"}
        if status == HTTPStatus.UNAUTHORIZED:
            headers["www_authenticate"] = 'Basic realm="wsmb", charset="UTF-8"'
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            headers["retry_after"] = str(refusal.retry_after_s)
        self.answer({"error": status.phrase}, status, **headers)

    def _finished(self, _: object) -> None:
        self.is_over = True
        if self._entrance is not None:
            self._entrance.forget()
        self.over()
