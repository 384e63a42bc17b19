"""Every error that wsmb knows, with what a client is told of it.

Clients are told of 00 and 01; the others tell the parts of the broker what went wrong.
"""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """A response code and the text that goes with it on the wire."""

    ACCEPTED = ("00", "Accepted")
    REJECTED = ("01", "Rejected")
    MALFORMED = ("02", "Malformed")
    TOO_LARGE = ("04", "Too large")
    UNAVAILABLE = ("06", "Unavailable")

    def __init__(self, number: str, text: str) -> None:
        self.number = number
        self.text = text


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
