"""When a connection is read on: what has come from it, or from its user, may be too much for now."""

from __future__ import annotations

from wsmb.opening import OpeningProtocol
from wsmb.rates import Bucket

MOST_BEHIND_S = 60.0
"""So long there may be more control frames and small fragments than are read; no message takes as long
for its fragments. Then the connection ends: that whoever has left such a flood behind is gone would be
noticed after hours."""

# Why a connection is not read: the session has enough to do, the user's rate is used up, or there were
# too many frames of the kind that nobody needs many of.
FOR_SESSION, FOR_RATE, FOR_CONTROL = 1, 2, 4
HELD = FOR_RATE | FOR_CONTROL
"""What has come, and has not been looked at, waits as well."""


class PausingProtocol(OpeningProtocol):
    """A connection as far as there are times at which it is not read."""

    _pauses = 0  # bits
    _control: Bucket | None = None
    _behind_since_s: float | None = None

    def is_flooding(self, now_s: float) -> bool:
        """Whether there have been too many control frames, or small fragments, for too long."""
        if self._behind_since_s is None or self._pauses & FOR_RATE:
            return False
        return now_s - self._behind_since_s > MOST_BEHIND_S

    def pause(self) -> None:
        """Read nothing more for now."""
        self._pause_for(FOR_SESSION)

    def resume(self) -> None:
        """Read on."""
        self._resume_from(FOR_SESSION)

    def _pause_for(self, why: int) -> None:
        if not self._pauses:
            self.transport.pauseProducing()
        self._pauses |= why

    def _resume_from(self, why: int) -> None:
        if self._pauses & why:
            self._pauses &= ~why
            if not self._pauses and self.state != self.STATE_CLOSED:
                self.transport.resumeProducing()

    def wait_for(self, why: int) -> None:
        """Read nothing more until `go_on` finds that it may."""
        self._pause_for(why)
        self.factory.waiting[self] = None

    def _control_bucket(self, now_s: float) -> Bucket:
        """It fills at the rate that is set now."""
        rate = self.factory.settings.limits.max_control_frames_per_second
        if self._control is None:
            self._control = Bucket(rate, now_s)
        self._control.rate = rate
        return self._control

    def count_control(self) -> None:
        """Something has come that costs much for its size: read on later, if there was much of it."""
        now_s = self.factory.reactor.seconds()
        if not self._control_bucket(now_s).take(1, now_s):
            if self._behind_since_s is None:
                self._behind_since_s = now_s
            self.wait_for(FOR_CONTROL)

    def go_on(self, now_s: float) -> None:
        """Read on, if what has come lately is no longer too much. Who has to wait again waits behind all."""
        if self._pauses & FOR_RATE and self.factory.rates.may_go_on(self.user, now_s):
            self._resume_from(FOR_RATE)
        if self._pauses & FOR_CONTROL and self._control_bucket(now_s).has_recovered(now_s):
            self._resume_from(FOR_CONTROL)
        if self._pauses & HELD:
            return
        self.factory.waiting.pop(self, None)
        self.dataReceived(b"")  # what was left
        if not self._pauses & FOR_CONTROL:
            self._behind_since_s = None
