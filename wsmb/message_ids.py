"""Message ids: what was sent under one is not sent again, for ten minutes or 100,000 ids."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b

from wsmb.deliveries import Done
from wsmb.errors import StoreError
from wsmb.pulse import Pulse

WINDOW_S = 600
MOST_IDS = 100_000


def key_of(user: str, channel: str, message_id: str) -> bytes:
    """16 bytes that stand for the id of one user's message on one channel."""
    try:
        a, b, c = user.encode(), channel.encode(), message_id.encode()
    except UnicodeEncodeError:  # three times as slow, and this is done for each message
        a, b, c = (part.encode("utf-8", "surrogatepass") for part in (user, channel, message_id))
    return blake2b(b"%d:%s%d:%s%d:%s" % (len(a), a, len(b), b, len(c), c), digest_size=16).digest()


class MessageIds:
    """The ids of the window. `known`: (key, Unix time) of those that were there before the start."""

    def __init__(self, pulse: Pulse, known: Iterable[tuple[bytes, float]]) -> None:
        self._pulse = pulse
        # A key's time, or who waits for the outcome of its first use.
        self._seen: OrderedDict[bytes, float | list[Done]] = OrderedDict(known)

    def __len__(self) -> int:
        return len(self._seen)

    def state(self, key: bytes) -> float | list[Done] | None:
        """None: it is new. A list: its first use is not finished, and whoever is put there is told of
        its outcome. A time: it was carried out then."""
        self._forget_old()
        return self._seen.get(key)

    def begin(self, key: bytes) -> None:
        """It is used for the first time."""
        self._seen[key] = []

    def drop(self, key: bytes) -> None:
        """Its first use was refused before it had begun."""
        self._seen.pop(key, None)

    def finish(self, key: bytes, error: StoreError | None) -> None:
        """Its first use is finished; if it failed, the next one is a new one."""
        waiting = self._seen.pop(key, None)
        if error is None:
            self._seen[key] = self._pulse.unix_time_s
        for done in waiting if isinstance(waiting, list) else ():
            done(error)

    def _forget_old(self) -> None:
        oldest = self._pulse.unix_time_s - WINDOW_S
        while self._seen:
            key, time = next(iter(self._seen.items()))
            if isinstance(time, list) or (time > oldest and len(self._seen) <= MOST_IDS):
                return
            del self._seen[key]
