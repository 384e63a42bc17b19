"""How much may come in a second: token buckets. What is too much is read later, and nothing is dropped."""

from __future__ import annotations

import math

from wsmb.frames import ALL
from wsmb.settings import Limits


class Bucket:
    """Holds what may come within one second, and fills at that rate.

    What has come is taken out of it even where it held less: such a debt is filled up first.
    """

    __slots__ = ("_level", "_then_s", "rate")

    def __init__(self, rate: int, now_s: float) -> None:
        self.rate = rate
        """How much a second, more than 0. It can be changed."""
        self._level = float(rate)
        self._then_s = now_s

    def take(self, count: int, now_s: float) -> bool:
        """`count` has come. Whether more may come now."""
        self._fill(now_s)
        self._level -= count
        return self._level > 0

    def left(self, now_s: float) -> int:
        """How many more can be taken until no more may come."""
        self._fill(now_s)
        return max(0, math.ceil(self._level))

    def has_recovered(self, now_s: float) -> bool:
        """Whether it is half full: who had to wait can go on, and not for a moment only."""
        self._fill(now_s)
        return 2 * self._level >= self.rate

    def is_full(self, now_s: float) -> bool:
        """Whether it is as if nothing had ever come."""
        self._fill(now_s)
        return self._level >= self.rate

    def _fill(self, now_s: float) -> None:
        self._level = min(self.rate, self._level + (now_s - self._then_s) * self.rate)
        self._then_s = now_s


class UserRates:
    """What all connections of a user may send together. A rate of 0 is no limit."""

    def __init__(self, limits: Limits) -> None:
        self.use(limits)

    def use(self, limits: Limits) -> None:
        """From now on these limits count, as if nothing had come before."""
        self._rates = (limits.max_frames_per_second, limits.max_bytes_per_second)
        self.is_limited = any(self._rates)
        """Whether there is anything to count."""
        self._buckets: dict[str, tuple[Bucket | None, Bucket | None]] = {}

    def take(self, user: str, frames: int, size_bytes: int, now_s: float) -> bool:
        """So much has come from `user`. Whether more may come now."""
        of_frames, of_bytes = self._of(user, now_s)
        has_frames = of_frames is None or of_frames.take(frames, now_s)
        has_bytes = of_bytes is None or of_bytes.take(size_bytes, now_s)
        return has_frames and has_bytes

    def frames_left(self, user: str, now_s: float) -> int:
        """How many more frames of `user` may come now: ALL, where only bytes are limited."""
        of_frames, of_bytes = self._of(user, now_s)
        if of_bytes is not None and not of_bytes.left(now_s):
            return 0
        return ALL if of_frames is None else of_frames.left(now_s)

    def _of(self, user: str, now_s: float) -> tuple[Bucket | None, Bucket | None]:
        buckets = self._buckets.get(user)
        if buckets is None:
            frame_rate, byte_rate = self._rates
            buckets = self._buckets[user] = (
                Bucket(frame_rate, now_s) if frame_rate else None,
                Bucket(byte_rate, now_s) if byte_rate else None,
            )
        return buckets

    def may_go_on(self, user: str, now_s: float) -> bool:
        """Whether `user`, who had to wait, can go on."""
        buckets = self._buckets.get(user, ())
        return all(bucket is None or bucket.has_recovered(now_s) for bucket in buckets)

    def forget_full(self, now_s: float) -> None:
        """Keep nothing of users who have not sent for a while. To be called now and then."""
        self._buckets = {
            user: buckets
            for user, buckets in self._buckets.items()
            if not all(bucket is None or bucket.is_full(now_s) for bucket in buckets)
        }
