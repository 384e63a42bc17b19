"""Every error that wsmb knows, with what a client is told of it."""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """A response code and the text that goes with it on the wire."""

    ACCEPTED = ("00", "Accepted")
    REJECTED = ("01", "Rejected")
    MALFORMED = ("02", "Malformed")
    FORBIDDEN = ("03", "Forbidden")
    TOO_LARGE = ("04", "Too large")
    TOO_MANY = ("05", "Too many")
    UNAVAILABLE = ("06", "Unavailable")
    UNKNOWN_DELIVERY = ("07", "Unknown delivery")

    def __init__(self, number: str, text: str) -> None:
        self.number = number
        self.text = text


class CloseCode(Enum):
    """Why the broker ends a connection: the number and the text of its Close frame."""

    STOPPING = (1001, "the broker stops")
    CREDENTIALS_WITHDRAWN = (1008, "credentials withdrawn")
    TOO_MANY_MALFORMED = (1008, "too many malformed commands")
    TOO_LONG = (1008, "a message took too long")
    FLOODING = (1008, "too many control frames or small fragments")
    TOO_SLOW = (4008, "too slow")
    ENDED = (1001, "ended by an administrator")

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason


class CommandError(Exception):
    """A command that cannot be carried out. `detail` may be shown to the client."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.text}: {detail}")
        self.code = code
        self.detail = detail


class StoreError(Exception):
    """A store could not do what it was asked, and will not be able to by trying again.

    `code` is TOO_LARGE for an item that the database cannot take, TOO_MANY where as much waits as may,
    UNAVAILABLE for all else.
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
