"""How `wsmb receive` asks for its channels, and what it makes of what the broker refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wsmb.client.commands import receive_message
from wsmb.client.core import Answer, Confirm, Connection, Event, Refusal
from wsmb.errors import Code

REASON_S = 1.0
"""How long a broker that confirms may take to say why its greeting is a refusal."""
_ASKED = "receive"


class Asking:
    """Asks for `channels` on each new connection.

    `refused` gets a line when the broker refuses something for good; `late` is called when an acknowledgement
    has come too late, `accepted` when a channel is received on. What the broker refuses for now ends the
    connection, to be asked for on the next one.
    """

    def __init__(
        self,
        channels: Sequence[str],
        refused: Callable[[str], None],
        late: Callable[[], None],
        clock: Any,
        accepted: Callable[[], None] = lambda: None,
    ) -> None:
        self._channels = channels
        self._accepted = accepted
        self._refused = refused
        self._late = late
        self._clock = clock
        self._connection: Connection | None = None

    def ask(self, connection: Connection, prefetch: int | None) -> None:
        """Ask for all; with another `prefetch`, that is the one from now on."""
        self._connection = connection
        for channel in self._channels:
            # The original broker does not know `confirm`, and looks past it.
            connection.send(receive_message(channel, prefetch=prefetch, confirm=_ASKED))

    def lost(self) -> None:
        """The connection has ended."""
        self._connection = None

    def heard(self, event: Event) -> bool:
        """Whether this is about what was asked for, or refused."""
        if isinstance(event, Answer):
            if not event.is_accepted:
                # Which is all that the original says; why is in the confirm behind it.
                self._clock.callLater(REASON_S, self._unexplained, self._connection, event.response_code)
        elif isinstance(event, Refusal) or (isinstance(event, Confirm) and event.confirm == _ASKED):
            if event.response_code == Code.ACCEPTED.number:
                self._accepted()
            else:
                self._judge(event.response_code, event.response_text)
        else:
            return False
        return True

    def _judge(self, code: str, text: str) -> None:
        if code == Code.UNKNOWN_DELIVERY.number:
            self._late()
        elif code == Code.UNAVAILABLE.number:
            if self._connection is not None:
                self._connection.abort()  # what it has not taken comes again
        else:
            self._refused(f"the broker has refused it ({code}): {text}")

    def _unexplained(self, connection: Connection | None, code: str) -> None:
        if connection is self._connection:
            self._refused(f"the broker has refused it ({code})")
