"""`POST /channels/NAME`: a request until it is known what has become of its items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from wsmb.broker import Broker
from wsmb.http.call import BadRequestError, Call
from wsmb.http.visitor import Delivered, Heard, Said, Visitor
from wsmb.watches import Watch
from wsmb.wire import SendMessage

ARGUMENTS = ("number_of_receiver", "ttl", "wait")
LONGEST_WAIT_S = 60.0
_LONGEST_TTL_S = 1e9
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


def read_items(call: Call, channel: str, decode: Callable[[bytes], object]) -> tuple[SendMessage, bytes]:
    """The command, and what receivers get of it. The body is an item, or an array of items.

    Raises BadRequestError or CommandError.
    """
    body = call.body().strip(b" \t\r\n")
    try:
        _decode_raw(body)  # by itself, so that nothing in it closes the array around it
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequestError("the body is not JSON") from None
    data = body if body[:1] == b"[" else b"[%s]" % body
    payload = b'{"command":"send-message","channel":%s,"data":%s' % (msgspec.json.encode(channel), data)
    number = call.argument("number_of_receiver")
    if number:
        payload += b',"number_of_receiver":' + msgspec.json.encode(number)
    payload += b"}"
    command = decode(payload)
    if not isinstance(command, SendMessage):
        raise TypeError(command)
    command.confirm = 1
    command.message_id = call.header("idempotency-key").strip('"') or None
    if call.argument("ttl"):
        command.ttl = call.seconds("ttl", 0.0, _LONGEST_TTL_S)
    return command, payload


class Sending:
    """See above: answered after the commit, or, with `wait`, once a receiver has proved it."""

    def __init__(self, call: Call, broker: Broker, make_visitor: Callable[[Heard], Visitor]) -> None:
        self._call = call
        self._broker = broker
        self._visitor = make_visitor(self._heard)
        self._watch: Watch | None = None
        self._timer: Any = None
        self._sent: dict[str, object] | None = None
        call.over = self._over

    def send(self, channel: str, wait_s: float, reactor: Any) -> None:
        """Send it, and wait so long for proof. Raises BadRequestError or CommandError."""
        command, payload = read_items(self._call, channel, self._broker.decode)
        if wait_s:
            self._watch = self._broker.watches[self._visitor] = Watch(self._proved)
            if self._broker.follows(channel):
                self._timer = reactor.callLater(wait_s, self._timed_out)
        self._visitor.send(command, payload)

    def _heard(self, said: Delivered | Said) -> None:
        if isinstance(said, Delivered):
            return  # who does not receive is delivered nothing
        if not said.is_accepted:
            self._call.refuse(said.response_code, said.response_text)
            return
        self._sent = sent = said.data[0]
        if sent.get("duplicate") or not (sent["receivers"] or sent["stored"]):
            self._cancel()  # nobody is to prove it
        if self._timer is None or (self._watch is not None and self._watch.is_proved):
            self._answer()

    def _proved(self) -> None:
        if self._sent is not None:
            self._answer()

    def _timed_out(self) -> None:
        self._timer = None
        if self._sent is not None:
            self._answer()

    def _answer(self) -> None:
        answer = dict(self._sent or {})
        if self._watch is None:
            self._call.answer(answer)
        else:
            is_proved = answer["proved"] = self._watch.is_proved
            self._call.answer(answer, 200 if is_proved else 202)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self) -> None:
        self._cancel()
        self._broker.watches.pop(self._visitor, None)
        self._visitor.close()
