"""Every error that wsmb knows, with what a client is told of it."""

from __future__ import annotations

from enum import Enum, IntEnum


class Code(Enum):
    """A response code and the text that goes with it on the wire."""

    ACCEPTED = ("00", "Accepted")
    REJECTED = ("01", "Rejected")
    MALFORMED = ("02", "Malformed")
    FORBIDDEN = ("03", "Forbidden")
    TOO_LARGE = ("04", "Too large")
    UNAVAILABLE = ("06", "Unavailable")
    UNKNOWN_DELIVERY = ("07", "Unknown delivery")

    def __init__(self, number: str, text: str) -> None:
        self.number = number
        self.text = text


class CloseCode(IntEnum):
    """Why the broker ends a connection, as its Close frame says it."""

    STOPPING = 1001
    CREDENTIALS_WITHDRAWN = 1008
    TOO_SLOW = 4008

    @property
    def reason(self) -> str:
        """The text that goes with it."""
        return {1001: "the broker stops", 1008: "credentials withdrawn", 4008: "too slow"}[self]


class CommandError(Exception):
    """A command that cannot be carried out. `detail` may be shown to the client."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.text}: {detail}")
        self.code = code
        self.detail = detail


class StoreError(Exception):
    """A store could not do what it was asked, and will not be able to by trying again.

    `code` is TOO_LARGE for an item that the database cannot take, UNAVAILABLE for all else.
    The text holds no data and no password.
    """

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class SettingError(Exception):
    """A setting that the broker cannot start with.

    The text is one line: the setting, where it stands, what is wrong and what to do about it.
    """
