"""Who may send and receive where, and to how many receivers at once.

The first rule that fits decides; what no rule fits is denied. wsmb.config.access_lines reads the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from wsmb.errors import Code, CommandError

Action = Literal["send", "receive", "admin"]
SEND: Action = "send"
RECEIVE: Action = "receive"
ADMIN: Action = "admin"
ACTIONS: tuple[Action, ...] = (SEND, RECEIVE, ADMIN)
WHOLE_BROKER = ""
"""In the place of a channel: fits `*` only."""
RESERVED = "$"
"""What the name of a channel begins with on which only the broker sends, and that is for rules only which
begin so, too."""

MOST_DECISIONS = 10_000
MOST_USERS = 1_000


@dataclass(frozen=True, slots=True)
class Pattern:
    """Names of channels."""

    pieces: tuple[tuple[str, ...], ...]
    """What stands between its stars; each of these in pieces, too, between which goes the user's name."""

    @property
    def is_of_reserved(self) -> bool:
        """Whether it begins with RESERVED as it is written, so that it is about such channels."""
        return self.pieces[0][0].startswith(RESERVED)

    def of(self, user: str) -> tuple[str, ...]:
        """What stands between its stars for this user."""
        return tuple(user.join(piece) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an access list."""

    place: str
    """`wsmb.ini line 12`."""
    text: str
    users: frozenset[str] | None
    """Whom it is about; None is everyone."""

    def is_about(self, user: str) -> bool:
        """Whether it is about this user."""
        return self.users is None or user in self.users


@dataclass(frozen=True, slots=True)
class Rule(Line):
    """Allows or denies these users some actions on some channels."""

    allows: bool
    actions: frozenset[Action]
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class ReceiverLimit(Line):
    """These users may send to so many receivers at once."""

    most: int
    """0 is any number."""


@dataclass(frozen=True, slots=True)
class AccessRules:
    """A whole access list, in its order."""

    rules: tuple[Rule, ...] = ()
    receiver_limits: tuple[ReceiverLimit, ...] = ()


class Decision(NamedTuple):
    """What was decided, and by which line; None if no line fits."""

    allowed: bool
    line: Rule | None = None

    @property
    def place(self) -> str:
        """Where the line stands."""
        return "" if self.line is None else self.line.place


_DENIED = Decision(False)


class Refusals:
    """What has been refused since somebody has last looked: for each user and action the number and the
    last channel. So it takes no more memory than there are users."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, Action], tuple[int, str]] = {}

    def add(self, user: str, action: Action, channel: str) -> None:
        """One more."""
        count, _ = self._seen.get((user, action), (0, ""))
        self._seen[user, action] = count + 1, channel

    def take(self, most: int = 10) -> str:
        """In words, the most frequent first: `guest 12 send (last on 'secret')`. Begins anew."""
        seen, self._seen = self._seen, {}
        ranked = sorted(seen.items(), key=lambda entry: -entry[1][0])
        shown = [
            f"{user} {count} {action} (last on {channel!r})"
            for (user, action), (count, channel) in ranked[:most]
        ]
        further = sum(count for _, (count, _) in ranked[most:])
        return ", ".join([*shown, f"others {further}"] if further else shown)


class AccessList:
    """Answers questions about an access list, fast: remembers what it was asked."""

    def __init__(self, rules: AccessRules, refusals: Refusals | None = None) -> None:
        """`refusals`: where what `check` refuses is counted."""
        self._rules = rules
        self._refusals = Refusals() if refusals is None else refusals
        self._decisions: dict[tuple[str, Action, str], Decision] = {}
        self._users: dict[str, _UserRules] = {}
        self.free_to_send: set[tuple[str, str]] = set()
        """(user, channel) for which `check_send` gives back what it is given: on the path of each message
        a look is cheaper than the call."""

    def decide(self, user: str, action: Action, channel: str) -> Decision:
        """Whether `user` may do that."""
        asked = (user, action, channel)
        decision = self._decisions.get(asked)
        if decision is None:
            decision = self._of(user).decide(action, channel)
            # Names that a client makes up must not fill the memory.
            _put(self._decisions, asked, decision, MOST_DECISIONS)
        return decision

    def receiver_limit(self, user: str) -> ReceiverLimit | None:
        """How many receivers `user` may send to; None is any number."""
        return self._of(user).receiver_limit

    def check(self, user: str, action: Action, channel: str) -> None:
        """Raises CommandError (FORBIDDEN) if `user` may not do that, and counts it."""
        if not self.decide(user, action, channel).allowed:
            raise self._refusal(user, action, channel, "")

    def check_send(
        self, user: str, channel: str, asked: int | None, default_limit: Callable[[str], int]
    ) -> int | None:
        """`asked`, the number of receivers that a frame asks for, if `user` may send it.

        Raises CommandError (FORBIDDEN) if not. Who asks for no number gets `default_limit` of the
        channel, or as many as are allowed if they are fewer.
        """
        self.check(user, SEND, channel)
        limit = self._of(user).receiver_limit
        if limit is None:
            if len(self.free_to_send) >= MOST_DECISIONS:
                self.free_to_send.clear()
            self.free_to_send.add((user, channel))
            return asked
        if asked is None:
            return min(default_limit(channel) or limit.most, limit.most)
        if not 0 < asked <= limit.most:
            raise self._refusal(user, SEND, channel, f" to more than {limit.most} receivers at once")
        return asked

    def _refusal(self, user: str, action: Action, channel: str, more: str) -> CommandError:
        self._refusals.add(user, action, channel)
        where = f" on {channel}" if channel else ""
        return CommandError(Code.FORBIDDEN, f"{user} may not {action}{where}{more}")

    def _of(self, user: str) -> _UserRules:
        found = self._users.get(user)
        if found is None:
            found = _UserRules(self._rules, user)
            _put(self._users, user, found, MOST_USERS)
        return found


class _UserRules:
    """What is about one user, ready to be gone through."""

    def __init__(self, rules: AccessRules, user: str) -> None:
        limits = [limit for limit in rules.receiver_limits if limit.is_about(user)]
        self.receiver_limit = limits[0] if limits and limits[0].most else None
        mine = [rule for rule in rules.rules if rule.is_about(user)]
        self._patterns = {
            action: [
                (pattern.of(user), pattern.is_of_reserved, Decision(rule.allows, rule))
                for rule in mine
                if action in rule.actions
                for pattern in rule.patterns
            ]
            for action in ACTIONS
        }

    def decide(self, action: Action, channel: str) -> Decision:
        is_reserved = channel.startswith(RESERVED)
        if is_reserved and action == SEND:
            return _DENIED  # whatever the list says: the broker alone
        for pieces, is_of_reserved, decision in self._patterns[action]:
            if is_of_reserved is is_reserved and _fits(pieces, channel):
                return decision
        return _DENIED


def _fits(pieces: tuple[str, ...], name: str) -> bool:
    """Whether `name` is `pieces` with anything in between. Takes no longer for any choice of names, as
    regular expressions might."""
    first, *middle = pieces
    if not middle:
        return name == first
    last = middle.pop()
    start, end = len(first), len(name) - len(last)
    if start > end or not name.startswith(first) or not name.endswith(last):
        return False
    for piece in middle:
        found = name.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


K = TypeVar("K")
V = TypeVar("V")


def _put(memory: dict[K, V], key: K, value: V, most: int) -> None:
    if len(memory) >= most:
        memory.clear()
    memory[key] = value
