"""`GET /channels/NAME`: a request until it is answered with what has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsmb.errors import Code
from wsmb.http.call import Call
from wsmb.http.receiving import Round, Rounds

GATHER_S = 0.02
"""After the first frame, for those that come with it."""
STORE_S = 10.0
"""For the store to say that nothing waits there."""
MOST_LOOKS = 50
"""At the store, for what others do not have already: a page of it each time."""

Look = Callable[[Callable[[bool | None], None]], None]
"""Asks the store; what it is given gets whether nothing more waits there, or None on an error."""


class Poll:
    """See above."""

    def __init__(
        self,
        call: Call,
        rounds: Rounds,
        make: Callable[[Callable[[], None]], Round],
        over: Callable[[], object],
        reactor: Any,
    ) -> None:
        """`make` makes the round, which is to tell what it gets; `over` is told that it has been answered."""
        self._call = call
        self._rounds = rounds
        self._reactor = reactor
        self._timer: Any = None
        self._looks = 0
        self._is_over = self._has_come = self._is_answering = False
        self.user = call.user
        self._tell_over = over
        call.over = self._left
        self._round = make(self._told)

    def wait(self, seconds: float) -> None:
        """Answer when something has come, or after so long."""
        if not self._is_over and not self._has_come:
            self._set_timer(seconds, self._answer)

    def look(self, look: Look) -> None:
        """Answer once the store has nothing more to give now."""
        if self._timer is None:
            self._set_timer(STORE_S, self._no_store)

        def looked(is_clear: bool | None) -> None:
            self._looks += 1
            if is_clear or self._looks > MOST_LOOKS:
                self.wait(0)  # what it has given is told by then
            elif is_clear is None:
                self._no_store()
            elif not self._is_over and not self._has_come:
                look(looked)

        look(looked)

    def give_up(self) -> None:
        """The broker stops, or the user is not let in any more."""
        self._refuse(Code.UNAVAILABLE.number, "nothing more is handed out")

    def _told(self) -> None:
        if self._is_answering:
            return
        if self._round.refusal is not None:
            self._refuse(*self._round.refusal)
        elif not self._is_over and (self._round.is_complete or not self._has_come):
            self._has_come = True
            self._set_timer(0 if self._round.is_complete else GATHER_S, self._answer)

    def _answer(self) -> None:
        self._timer = None
        self._is_answering = True
        given = self._round.take()
        if given:
            self._rounds.add(self._round)
            self._is_over = True  # it goes on without this request
        self._call.answer({"deliveries": given})

    def _no_store(self) -> None:
        self._refuse(Code.UNAVAILABLE.number, "the database does not answer")

    def _refuse(self, code: str, text: str) -> None:
        if not self._is_over:
            self._over()
            self._call.refuse(code, text)

    def _set_timer(self, seconds: float, call: Callable[[], None]) -> None:
        self._cancel()
        self._timer = self._reactor.callLater(seconds, call)

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _left(self) -> None:
        self._tell_over()
        self._over()

    def _over(self) -> None:
        self._cancel()
        if not self._is_over:
            self._is_over = True
            self._round.close()
