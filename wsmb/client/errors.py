"""What can go wrong for a program that uses a client. All else the clients deal with by themselves."""

from __future__ import annotations

from wsmb.errors import Code

PASSING = ("05", Code.UNAVAILABLE.number)
"""Codes of what the broker cannot take now and may take later."""


class ClientError(Exception):
    """The root of all errors of the clients. No text holds a password."""


class RefusedError(ClientError):
    """The broker has refused a command, and would refuse it again.

    `code`: one of the table in docs/protocol.md, such as "03" (Forbidden).
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text or code)
        self.code = code


class AdmissionError(ClientError):
    """The broker does not let this user in. `status`: 401, 403, or another of 4xx. The client has ended."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class UnreachableError(ClientError):
    """There was no connection within `connect_timeout`, or none can be trusted. The client has ended."""


class UnconfirmedError(ClientError):
    """What is there is no wsmb: it gives no confirms, so that nothing would ever be certain."""


class ExpiredError(ClientError):
    """The time to live of what was to be sent was over before the broker had confirmed it."""


class ClosedError(ClientError):
    """The client has been closed. What was not confirmed until then may have been carried out or not."""


class Late(TimeoutError):  # noqa: N818  (it is a TimeoutError, and is caught as one)
    """Not confirmed in time, and perhaps carried out. Its message id makes it safe to send again."""

    def __init__(self, message_id: str, reason: str) -> None:
        super().__init__(f"not confirmed in time{': ' if reason else ''}{reason}")
        self.message_id = message_id
