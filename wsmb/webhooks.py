"""Webhooks: events, posted to URLs, signed and tried again (docs/events.md).

Each URL has a queue of its own, in memory: one request at a time, in order. It is signed as Standard
Webhooks says (https://www.standardwebhooks.com), so that receivers can check it with that project's
libraries, or in five lines.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred, DeferredList, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsmb import __version__
from wsmb.figures import WebhookFigures
from wsmb.settings import WebhookSettings

MOST_EVENTS = 100
"""In one request."""
MOST_WAITING = 10_000
"""For one URL, as many as there are channels of which the broker knows what waits; of more, the oldest are
dropped."""
MOST_ATTEMPTS = 14
TIMEOUT_S = 10.0
LONGEST_BREAK_S = 300.0
_MOST_TROUBLE_CHARS = 200

_log = Logger()


class Post:
    """One request: some events, under an id that stays the same when it is sent again."""

    def __init__(self, events: Sequence[bytes]) -> None:
        self.message_id = f"msg_{uuid.uuid4().hex}"
        self.events = len(events)
        self.body = b"[" + b",".join(events) + b"]"
        self.attempts = 0

    def headers(self, key: bytes, unix_time_s: int) -> dict[bytes, bytes]:
        """Of an attempt at that time."""
        message_id, timestamp = self.message_id.encode(), b"%d" % unix_time_s
        return {
            b"Content-Type": b"application/json",
            b"User-Agent": b"wsmb/" + __version__.encode(),
            b"webhook-id": message_id,
            b"webhook-timestamp": timestamp,
            b"webhook-signature": signature(key, message_id, timestamp, self.body),
        }


def signature(key: bytes, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """HMAC-SHA256 of all three, with the version of its form."""
    signed = b"%s.%s.%s" % (message_id, timestamp, body)
    return b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


Send = Callable[[bytes, dict[bytes, bytes], bytes], "Deferred[int]"]
"""Posts to a URL headers and a body; fires with the status of the answer."""


class Webhook:
    """One URL, and what waits for it."""

    def __init__(self, url: str, key: bytes, send: Send, reactor: Any, figures: WebhookFigures) -> None:
        parts = urlsplit(url)
        self.place = f"{parts.scheme}://{parts.netloc}"
        """For the log. The path may be a secret."""
        self._url = url.encode()
        self.key = key
        self._send = send
        self._reactor = reactor
        self._figures = figures
        figures.begin(self.place)
        self._queue: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._post: Post | None = None
        self._request: Deferred[Any] | None = None
        self._timer: Any = None
        self._idle: Deferred[None] | None = None

    @property
    def waiting(self) -> int:
        """How many events are not taken yet, with those of the request that is under way."""
        return len(self._queue) + (0 if self._post is None else self._post.events)

    def tell(self, events: Sequence[bytes]) -> None:
        """Post `events` (JSON texts) in their turn."""
        self._figures.dropped[self.place] += max(0, len(self._queue) + len(events) - MOST_WAITING)
        self._queue.extend(events)
        self._next()

    def _next(self) -> None:
        if self._post is not None:
            return
        if self._queue:
            count = min(MOST_EVENTS, len(self._queue))
            self._post = Post([self._queue.popleft() for _ in range(count)])
            self._attempt(self._post)
        elif self._idle is not None and not self._idle.called:
            self._idle.callback(None)

    def _attempt(self, post: Post) -> None:
        self._timer = None
        post.attempts += 1
        headers = post.headers(self.key, int(time.time()))
        self._request = self._send(self._url, headers, post.body).addTimeout(TIMEOUT_S, self._reactor)
        self._request.addCallbacks(self._answered, self._failed, (post,), {}, (post,))
        self._request.addErrback(lambda failure: _log.failure("a webhook has failed", failure))

    def _answered(self, status: int, post: Post) -> None:
        if 200 <= status < 300:
            self._figures.delivered[self.place] += post.events
            if post.attempts > 1:
                _log.info(
                    "webhook {place}: taken after {attempts} attempts",
                    place=self.place,
                    attempts=post.attempts,
                )
            self._finish()
        else:
            self._try_again(post, f"answered {status}")

    def _failed(self, failure: Failure, post: Post) -> None:
        self._try_again(post, _trouble(failure))

    def _try_again(self, post: Post, trouble: str) -> None:
        self._figures.failed_attempts[self.place] += 1
        is_last = post.attempts >= MOST_ATTEMPTS or self._idle is not None
        if is_last:
            self._figures.given_up[self.place] += post.events
            _log.warn(
                "webhook {place}: {count} events given up after {attempts} attempts: {trouble}",
                place=self.place,
                count=post.events,
                attempts=post.attempts,
                trouble=trouble,
            )
            self._finish()
            return
        if post.attempts == 1:
            _log.warn("webhook {place}: {trouble}; it is tried again", place=self.place, trouble=trouble)
        break_s = min(2.0 ** (post.attempts - 1), LONGEST_BREAK_S)
        self._request = None
        self._timer = self._reactor.callLater(break_s, self._attempt, post)

    def _finish(self) -> None:
        self._post = self._request = None
        self._next()

    def stop(self, grace_s: float) -> Deferred[None]:
        """Send what waits once more, within `grace_s`, and nothing after that. Fires then."""
        self._idle = Deferred()
        timer = self._reactor.callLater(grace_s, self._give_up)
        if self._timer is not None and self._post is not None:
            self._timer.cancel()
            self._attempt(self._post)
        else:
            self._next()
        return self._idle.addBoth(lambda _: timer.cancel() if timer.active() else None)

    def _give_up(self) -> None:
        self._figures.dropped[self.place] += len(self._queue)
        self._queue.clear()
        if self._request is not None:
            self._request.cancel()


def _trouble(failure: Failure) -> str:
    """What went wrong with a request, in words."""
    error: Any = failure.value
    reasons = getattr(error, "reasons", None)  # twisted.web wraps them
    if reasons:
        error = reasons[0].value
    if isinstance(error, TimeoutError | CancelledError):
        return "no answer in time"
    return f"{type(error).__name__} {error}"[:_MOST_TROUBLE_CHARS].strip()


class Webhooks:
    """All of them."""

    def __init__(self, settings: WebhookSettings, reactor: Any, send: Send | None = None) -> None:
        """`send`: in the place of requests by HTTP."""
        self._reactor = reactor
        self._send = send
        self._hooks: dict[str, Webhook] = {}
        self._settings = WebhookSettings()
        self.figures = WebhookFigures()
        self._dropped_told: Counter[str] = Counter()
        self.use_settings(settings)

    def use_settings(self, settings: WebhookSettings) -> None:
        """From now on these count. What waits for a URL that is not among them any more is dropped."""
        if settings == self._settings:
            return
        old, self._hooks = self._hooks, {}
        for url in settings.urls:
            hook = self._hooks[url] = old.pop(url) if url in old else self._make(url, settings.key)
            hook.key = settings.key
        self._settings = settings
        for hook in old.values():
            hook.stop(0)

    def _make(self, url: str, key: bytes) -> Webhook:
        if self._send is None:
            # It takes memory, so only where it is wanted.
            from wsmb.posting import Poster  # noqa: PLC0415

            self._send = Poster(self._reactor).post
        return Webhook(url, key, self._send, self._reactor, self.figures)

    def tell(self, events: Sequence[bytes]) -> None:
        """Post `events` (JSON texts) to all of them."""
        for hook in self._hooks.values():
            hook.tell(events)

    def report(self) -> None:
        """Say in the log what was dropped since the last call."""
        dropped = self.figures.dropped
        for place, count in (dropped - self._dropped_told).items():
            _log.warn("webhook {place}: {count} events dropped before their turn", place=place, count=count)
        self._dropped_told = dropped.copy()

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many events are not taken yet, by where they are posted to."""
        waiting: Counter[str] = Counter()
        for hook in self._hooks.values():
            waiting[hook.place] += hook.waiting
        return waiting

    def stop(self, grace_s: float) -> Deferred[Any]:
        """Send what waits, within `grace_s`, and nothing after that. Fires then."""
        return DeferredList([hook.stop(grace_s) for hook in self._hooks.values()])
