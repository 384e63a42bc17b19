"""One connection on asyncio. The WebSocket is that of `websockets`, its core without I/O."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from wsmb import __version__
from wsmb.client.core import Loss
from wsmb.client.silence import SILENCE_TICKS, Silence, Step
from wsmb.client.target import Target

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 3.0
MOST_BYTES = 67_108_864
"""Of a message that comes. The broker's own limit (max_frame_bytes) is 1 MiB, if it is not set higher."""

# On `debug` the library writes the request into the log, with the password.
_log = logging.getLogger("wsmb.client.websocket")
_log.setLevel(logging.WARNING)


class Link(asyncio.Protocol):
    """One connection: a core.Connection. `opened` is called once it is open, `received` with each message."""

    def __init__(
        self,
        target: Target,
        opened: Callable[[Link], None],
        received: Callable[[bytes], None],
        silence_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._target = target
        self._opened = opened
        self._received = received
        self._tick_s = silence_s / SILENCE_TICKS
        self._silence_s = silence_s
        self._silence = Silence()
        self._ticking: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._websocket = ClientProtocol(parse_uri(target.url), max_size=MOST_BYTES, logger=_log)
        self._transport: asyncio.Transport | None = None
        self._is_flush_due = False
        self._is_paused = False
        self._fragments: list[bytes] = []
        self._response: Response | None = None
        self._why = ""
        self.ended: asyncio.Future[Loss] = self._loop.create_future()
        """Why it has ended, once it has."""

    async def run(self, tls: ssl.SSLContext | None) -> Loss:
        """Connect, and stay until the connection has ended: why it has, or was not made."""
        target = self._target
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._loop.create_connection(
                    lambda: self,
                    target.host,
                    target.port,
                    ssl=tls if target.is_secure else None,
                    happy_eyeballs_delay=0.25,
                )
        except TimeoutError:
            return Loss(f"{target.url}: no answer")
        except ssl.SSLCertVerificationError as error:
            return Loss(f"{target.url}: TLS: {error.verify_message}", is_untrusted=True)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            return Loss(f"{target.url}: {reason}")
        try:
            return await asyncio.shield(self.ended)
        finally:
            self.abort()

    def close(self) -> None:
        """Say goodbye; `ended` is done once it has ended, CLOSE_TIMEOUT_S later at most."""
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(1000)
            self._flush()
            if self._closing is None:
                self._closing = self._loop.call_later(CLOSE_TIMEOUT_S, self.abort)
        elif self._websocket.state is State.CONNECTING:
            self.abort()

    @property
    def is_closing(self) -> bool:
        """Whether it has said goodbye and waits for the answer."""
        return self._websocket.state is State.CLOSING and not self.ended.done()

    # core.Connection

    def send(self, payload: bytes) -> None:
        """Send one text frame, at the end of this turn of the loop, together with others."""
        if self._websocket.state is State.OPEN:
            self._websocket.send_text(payload)
            self.pause(is_paused=False)  # there may be an answer to it
            if not self._is_flush_due:
                self._is_flush_due = True
                self._loop.call_soon(self._flush)

    def pace(self, producer: object) -> None:
        """Nothing: what is sent at a time is bounded by what is not confirmed."""

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self, *, is_paused: bool) -> None:
        """Read nothing for a while, or go on to."""
        if self._transport is not None and is_paused is not self._is_paused:
            self._is_paused = is_paused
            if is_paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP, and TLS, are there: ask to be let in."""
        self._transport = cast(asyncio.Transport, transport)
        request = self._websocket.connect()
        if self._target.authorization:
            request.headers["Authorization"] = self._target.authorization
        request.headers["User-Agent"] = f"wsmb/{__version__}"
        self._websocket.send_request(request)
        self._flush()
        self._ticking = self._loop.call_later(CONNECT_TIMEOUT_S, self._not_let_in)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._silence.heard()
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif isinstance(event, Response):
                self._answered(event)
        self._flush()
        if self._websocket.handshake_exc is not None and self._transport is not None:
            self._transport.close()

    def eof_received(self) -> None:
        """Nothing more will come."""
        self._websocket.receive_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        for timer in (self._ticking, self._closing):
            if timer is not None:
                timer.cancel()
        self._websocket.receive_eof()
        if not self.ended.done():
            self.ended.set_result(self._loss(exc))

    # Inside

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY) and frame.fin:
            self._received(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._fragments.append(bytes(frame.data))  # the broker sends none, but a proxy may
            if frame.fin:
                message, self._fragments = b"".join(self._fragments), []
                self._received(message)

    def _answered(self, response: Response) -> None:
        self._response = response
        if self._websocket.state is State.OPEN:
            if self._ticking is not None:
                self._ticking.cancel()
            self._ticking = self._loop.call_later(self._tick_s, self._tick)
            self._opened(self)

    def _flush(self) -> None:
        self._is_flush_due = False
        writes = self._websocket.data_to_send()
        if writes and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(writes))
            if self._websocket.close_expected() and self._closing is None:
                self._closing = self._loop.call_later(CLOSE_TIMEOUT_S, self.abort)

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(self._tick_s, self._tick)
        if self._is_paused:
            return  # it is we who do not listen
        step = self._silence.tick()
        if step is Step.GIVE_UP:
            self._why = f"silent for {self._silence_s:g} s"
            self.abort()
        elif step is Step.PING and self._websocket.state is State.OPEN:
            self._websocket.send_ping(b"wsmb")
            self._flush()

    def _not_let_in(self) -> None:
        self._why = "no answer to the opening request"
        self.abort()

    def _loss(self, exc: Exception | None) -> Loss:
        url, response, close = self._target.url, self._response, self._websocket.close_rcvd
        if self._why:
            return Loss(f"{url}: {self._why}")
        if response is not None and self._websocket.handshake_exc is not None:
            status = response.status_code
            if status == 101 or not isinstance(self._websocket.handshake_exc, InvalidHandshake):
                return Loss(f"{url}: no answer of a WebSocket server")
            after = response.headers.get("Retry-After", "")
            after_s = float(after) if after.isascii() and after.isdigit() else 0.0
            return Loss(f"{url}: refused: {status} {response.reason_phrase}", status, after_s)
        if close is not None:
            reason = f"closed by the broker: {close.code} {close.reason}".rstrip()
            return Loss(f"{url}: {reason}", close_code=close.code)
        reason = getattr(exc, "strerror", None) or "closed by the broker"
        return Loss(f"{url}: {reason}")
