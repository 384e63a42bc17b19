"""Receiving by requests: what was handed out is acknowledged by a later request, or comes again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

import msgspec

from wsmb.errors import Code, CommandError
from wsmb.http.visitor import Delivered, Heard, Said, Visitor

MOST_BYTES = 1_048_576
"""In one answer, but for the last frame in it."""
MOST_ROUNDS = 1_000
"""Requests of one user whose deliveries are not all acknowledged, at a time."""


class Given(msgspec.Struct, frozen=True):
    """One frame that was handed out, as a request gets it."""

    id: str
    data: msgspec.Raw
    redelivered: bool


class Round:
    """One request that receives on one channel: takes frames until `take`, then waits for proof of them."""

    def __init__(
        self, make_visitor: Callable[[Heard], Visitor], channel: str, most: int, told: Callable[[], None]
    ) -> None:
        """`told` is called when there is something to take, or a refusal. `most`: frames."""
        self.name = secrets.token_urlsafe(9)
        self.refusal: tuple[str, str] | None = None
        """Code and text, if it may not receive."""
        self._channel = channel
        self._most = most
        self._told = told
        self._given: list[Given] = []
        self._visitor = make_visitor(self._heard)
        self._visitor.command("receive-message", channel=channel, ack=True, prefetch=most, confirm=1)

    @property
    def user(self) -> str:
        """Who receives."""
        return self._visitor.user

    @property
    def is_complete(self) -> bool:
        """Whether no more can come."""
        return len(self._given) >= self._most

    @property
    def outstanding(self) -> int:
        """How many frames have not been acknowledged."""
        return 0 if self._visitor.is_ended else self._visitor.session.outstanding

    @property
    def size_bytes(self) -> int:
        """How large all of them were."""
        return self._visitor.unacknowledged_bytes

    def take(self) -> list[Given]:
        """What has come; no more comes from now on."""
        self._visitor.tell()  # else it would be nobody's until it has timed out
        given, self._given = self._given, []
        if self._visitor.is_ended:
            return []
        self._visitor.command("leave-channel", channel=self._channel)
        return given

    def acknowledge(self, number: int) -> bool:
        """The frame `number` has been dealt with. False if there is none."""
        return self._settles("ack-message", delivery=number)

    def reject(self, number: int, *, requeue: bool, delay_s: float) -> bool:
        """It is for somebody else, after `delay_s`, or for nobody. False if there is none."""
        return self._settles("reject-message", delivery=number, requeue=requeue, delay=delay_s)

    def close(self) -> None:
        """What is not acknowledged goes to others."""
        self._visitor.close()

    def _settles(self, name: str, **fields: object) -> bool:
        before = self.outstanding
        if before:
            self._visitor.command(name, **fields)
        return self.outstanding < before

    def _heard(self, heard: Delivered | Said) -> None:
        if isinstance(heard, Delivered):
            name = f"{self.name}.{heard.number}"
            self._given.append(Given(name, msgspec.Raw(heard.data), heard.is_redelivered))
            self._told()
        elif not heard.is_accepted:
            self.refusal = (heard.response_code, heard.response_text)
            self._told()


class Rounds:
    """Those whose frames are not all acknowledged."""

    def __init__(self, most_bytes: Callable[[], int]) -> None:
        """`most_bytes`: how much one user may have without having acknowledged it."""
        self._most_bytes = most_bytes
        self._rounds: dict[str, Round] = {}

    def __len__(self) -> int:
        return len(self._rounds)

    def check_room(self, user: str) -> None:
        """Raises CommandError (05) if `user` has to acknowledge something first."""
        mine = [one for one in self._rounds.values() if one.user == user and one.outstanding]
        if len(mine) >= MOST_ROUNDS or sum(one.size_bytes for one in mine) >= self._most_bytes():
            raise CommandError(Code.TOO_MANY, "too many deliveries are not acknowledged")

    def add(self, one: Round) -> None:
        """Its frames can be acknowledged from now on."""
        self._rounds[one.name] = one

    def acknowledge(self, user: str, ids: Iterable[str]) -> list[str]:
        """These frames have been dealt with. The ids that are not known, or not this user's."""
        return self._unknown(user, ids, Round.acknowledge)

    def reject(self, user: str, ids: Iterable[str], *, requeue: bool, delay_s: float) -> list[str]:
        """These are for somebody else, after `delay_s`, or for nobody. See `acknowledge`."""
        return self._unknown(
            user, ids, lambda one, number: one.reject(number, requeue=requeue, delay_s=delay_s)
        )

    def _unknown(self, user: str, ids: Iterable[str], settles: Callable[[Round, int], bool]) -> list[str]:
        unknown = []
        for text in ids:
            name, _, digits = text.rpartition(".")
            one = self._rounds.get(name)
            is_number = digits.isascii() and digits.isdigit() and len(digits) < 19
            if one is None or one.user != user or not is_number or not settles(one, int(digits)):
                unknown.append(text)
        return unknown

    def sweep(self) -> None:
        """Forget those of which nothing is outstanding any more. To be called every second or so."""
        for name, one in list(self._rounds.items()):
            if not one.outstanding:
                one.close()
                del self._rounds[name]

    def withdraw(self, users: Iterable[str] | None = None) -> None:
        """What these users have not acknowledged goes to others; all users, if none are named."""
        for name, one in list(self._rounds.items()):
            if users is None or one.user in users:
                one.close()
                del self._rounds[name]
