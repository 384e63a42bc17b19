"""The time as it stands in replies."""

from __future__ import annotations

import time


class TimeStamp:
    """The time as the original broker writes it: whole seconds, in UTC."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self) -> str:
        """As of now."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(second))
        return self._text
