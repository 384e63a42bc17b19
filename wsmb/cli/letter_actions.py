"""What `wsmb dead-letters` does with the letters it has found: list, show, drop, replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsmb.cli.arguments import DONE, FAILED
from wsmb.cli.letter_box import LetterBox
from wsmb.cli.letters import Letter, choose, twins
from wsmb.client.commands import ack_message, send_message
from wsmb.client.core import Confirm, Connection

Write = Callable[[bytes], None]
"""Writes to standard output; raises OSError."""
_SENT = "sent "


class Choice:
    """Which letters are meant: those that `words` name, or all, if there are none."""

    def __init__(self, words: Sequence[str], say: Callable[[str], None]) -> None:
        self._words = words
        self._say = say
        self.has_failed = False
        """Whether a word meant no letter, or several."""

    @property
    def is_all(self) -> bool:
        """Whether no letter is named."""
        return not self._words

    def of(self, letters: Sequence[Letter]) -> Sequence[Letter]:
        """Those of `letters` that are meant."""
        if self.is_all:
            return letters
        chosen, problems = choose(letters, self._words)
        for problem in problems:
            self.has_failed = True
            self._say(problem)
        return chosen


class Printing:
    """Prints each letter that is meant, and leaves all of them there."""

    def __init__(self, box: LetterBox, choice: Choice, write: Write, text: Callable[[Letter], bytes]) -> None:
        self._box = box
        self._choice = choice
        self._write = write
        self._text = text

    def read(self, letters: Sequence[Letter], connection: Connection) -> None:
        """See Action."""
        self._write(b"".join(map(self._text, self._choice.of(letters))))
        self._box.end(FAILED if self._choice.has_failed else DONE)

    def confirmed(self, confirm: Confirm) -> None:
        """Nothing was asked."""


class Dropping:
    """Acknowledges each letter that is meant, so that it is gone; prints its name then."""

    def __init__(self, box: LetterBox, choice: Choice, write: Write, say: Callable[[str], None]) -> None:
        self._box = box
        self._choice = choice
        self._write = write
        self._say = say
        self._open: dict[int, Letter] = {}
        self._connection: Connection | None = None
        self._has_failed = False

    def read(self, letters: Sequence[Letter], connection: Connection) -> None:
        """See Action."""
        self._connection = connection
        if self._choice.is_all:
            # What has died since, perhaps for the second time, was not meant.
            letters = [one for one in letters if one.content.time_stamp <= self._box.began]
        chosen = self._choice.of(letters)
        self._open = {one.number: one for one in chosen}
        if self._open:
            self._begin(letters, chosen)
        else:
            self._end()

    def confirmed(self, confirm: Confirm) -> None:
        """See Action."""
        found = self._open.pop(confirm.confirm, None) if isinstance(confirm.confirm, int) else None
        if found is None:
            return
        if confirm.is_accepted:
            self._write(f"{found.name}\n".encode())
        else:
            self._fail(found, f"is still there ({confirm.response_text})")
        self._go_on()

    def _begin(self, letters: Sequence[Letter], chosen: Sequence[Letter]) -> None:
        for one in chosen:
            self._acknowledge(one)

    def _acknowledge(self, one: Letter) -> None:
        self._send(ack_message([one.number], one.number))

    def _send(self, command: bytes) -> None:
        if self._connection is not None:
            self._connection.send(command)

    def _fail(self, one: Letter, what: str) -> None:
        self._has_failed = True
        self._say(f"{one.name} {what}")

    def _go_on(self) -> None:
        if self._open:
            return
        if self._choice.is_all:
            self._box.look()  # there may have been more than fit on their way at once
        else:
            self._end()

    def _end(self) -> None:
        self._box.end(FAILED if self._has_failed or self._choice.has_failed else DONE)


class Replaying(Dropping):
    """Sends the item of each letter that is meant to its channel, and acknowledges the letter after that.

    The item goes under a message id that is made of the letter. If this process dies between the two,
    the letter is still there, and the next replay is told that its item has been sent already. But of
    letters that say the same each has to be sent: they go without an id, so that one may go twice.
    """

    _sent: frozenset[str] = frozenset()

    def _begin(self, letters: Sequence[Letter], chosen: Sequence[Letter]) -> None:
        same = self._sent | twins(letters)
        for one in chosen:
            self._send(
                send_message(
                    one.content.channel,
                    bytes(one.content.item),
                    confirm=f"{_SENT}{one.number}",
                    message_id=None if one.digest in same else one.message_id,
                )
            )
        self._sent = same | {one.digest for one in chosen}

    def confirmed(self, confirm: Confirm) -> None:
        """See Action."""
        name = str(confirm.confirm)
        if not name.startswith(_SENT):
            super().confirmed(confirm)
            return
        one = self._open[int(name.removeprefix(_SENT))]
        if not confirm.is_accepted:
            self._leave(one, f"was not replayed: {confirm.response_text}")
        elif _is_lost(confirm):
            self._leave(one, f"was not replayed: nobody receives on {one.content.channel}, which is not kept")
        else:
            self._acknowledge(one)

    def _leave(self, one: Letter, why: str) -> None:
        del self._open[one.number]
        self._fail(one, why)
        self._go_on()


def _is_lost(confirm: Confirm) -> bool:
    """Whether nobody got it, on a channel that is not kept."""
    data = confirm.data[0] if confirm.data else {}
    return not (data.get("receivers") or data.get("stored") or data.get("duplicate"))
