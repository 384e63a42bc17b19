"""Tests for wsmb.access: what a list decides, and that remembering it changes nothing."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb import access
from wsmb.access import (
    ACTIONS,
    RECEIVE,
    SEND,
    AccessList,
    AccessRules,
    Action,
    Pattern,
    ReceiverLimit,
    Refusals,
    Rule,
)
from wsmb.errors import Code, CommandError


def pattern(text: str) -> Pattern:
    """`*` and `{user}` are special, everything else stands for itself."""
    return Pattern(tuple(tuple(piece.split("{user}")) for piece in text.split("*")))


def rule(allows: bool, users: str, actions: str, channels: str, place: str = "here") -> Rule:
    """Words with spaces in between; `*` is everyone."""
    return Rule(
        place,
        "",
        None if users == "*" else frozenset(users.split()),
        allows,
        frozenset(action for action in ACTIONS if action in actions.split()),
        tuple(pattern(text) for text in channels.split()),
    )


def access_list(*rules: Rule, refusals: Refusals | None = None) -> AccessList:
    return AccessList(AccessRules(rules), refusals)


def limited(*limits: tuple[str, int]) -> AccessList:
    """Everyone may send everywhere, these users to so many receivers."""
    everything = rule(True, "*", "send", "*")
    found = (
        ReceiverLimit("", "", None if users == "*" else frozenset(users.split()), most)
        for users, most in limits
    )
    return AccessList(AccessRules((everything,), tuple(found)))


class DecisionTests(SynchronousTestCase):
    def assert_allowed(self, asked: AccessList, user: str, *channels: str, action: Action = SEND) -> None:
        for channel in channels:
            self.assertTrue(asked.decide(user, action, channel).allowed, channel)

    def assert_denied(self, asked: AccessList, user: str, *channels: str, action: Action = SEND) -> None:
        for channel in channels:
            self.assertFalse(asked.decide(user, action, channel).allowed, channel)

    def test_what_no_rule_fits_is_denied(self) -> None:
        for asked in (access_list(), access_list(rule(True, "shop", "send", "sms"))):
            decision = asked.decide("guest", SEND, "sms")
            self.assertEqual((decision.allowed, decision.line, decision.place), (False, None, ""))

    def test_user_action_and_channel_have_to_fit(self) -> None:
        asked = access_list(rule(True, "shop", "send", "sms", "line 1"))
        self.assertEqual(asked.decide("shop", SEND, "sms").place, "line 1")
        for question in (("Shop", SEND, "sms"), ("shop", RECEIVE, "sms"), ("shop", SEND, "SMS")):
            self.assertFalse(asked.decide(*question).allowed)

    def test_the_first_that_fits_decides(self) -> None:
        asked = access_list(
            rule(True, "shop", "send", "a", "1"),
            rule(False, "*", "send", "a", "2"),
            rule(True, "*", "send", "*"),
        )
        self.assertEqual(asked.decide("shop", SEND, "a").place, "1")
        self.assertEqual(asked.decide("other", SEND, "a").place, "2")
        self.assert_allowed(asked, "other", "b")

    def test_stars(self) -> None:
        for text, fitting, other in (
            ("sms.*", ["sms.", "sms.x.y"], ["sms", "asms."]),
            ("*.sms", [".sms", "x.sms"], ["sms", "x.smsx"]),
            ("a*b*c", ["abc", "axbxc", "abbcc"], ["ac", "acb", "abcx"]),
            ("ab*ba", ["abba", "abxba"], ["aba", "ab"]),
            ("*a*a*", ["aa", "xaxax"], ["a", "xa"]),
            ("a.?[b]", ["a.?[b]"], ["a.xb", "axx[b]"]),
        ):
            asked = access_list(rule(True, "*", "send", text))
            self.assert_allowed(asked, "u", *fitting)
            self.assert_denied(asked, "u", *other)

    def test_the_user_s_own_channels(self) -> None:
        asked = access_list(rule(True, "*", "send", "user.{user}.* {user} a{user}{user}"))
        self.assert_allowed(asked, "qa", "user.qa.x", "qa", "aqaqa")
        self.assert_denied(asked, "qa", "user.other.x", "user.qax", "{user}", "aqa")

    def test_a_user_s_name_is_no_pattern(self) -> None:
        asked = access_list(rule(True, "*", "send", "user.{user}"))
        for user in ("*", "{user}", "a*", ".*", "a{user}", "("):
            self.assert_allowed(asked, user, f"user.{user}")
            self.assert_denied(asked, user, "user.other", "user.ab", "user.", "user.a")

    def test_reserved_names_are_only_for_rules_that_begin_so(self) -> None:
        asked = access_list(
            rule(True, "*", "receive", "* *events {user}.x"),
            rule(True, "admin", "receive", "$events $user.{user}.*"),
        )
        self.assert_denied(asked, "guest", "$events", "$", "$x", action=RECEIVE)
        self.assert_denied(asked, "$own", "$own.x", action=RECEIVE)
        self.assert_allowed(asked, "admin", "$events", "$user.admin.x", "events", action=RECEIVE)
        self.assert_denied(asked, "admin", "$events2", action=RECEIVE)

    def test_nobody_sends_on_a_reserved_name_whatever_the_list_says(self) -> None:
        asked = access_list(rule(True, "*", "send receive", "$* *"))
        self.assert_denied(asked, "u", "$events", "$")
        self.assert_allowed(asked, "u", "x$", "events")

    def test_to_deny_a_reserved_name(self) -> None:
        asked = access_list(rule(False, "guest", "receive", "$e*"), rule(True, "*", "receive", "$*"))
        self.assert_denied(asked, "guest", "$events", action=RECEIVE)
        self.assert_allowed(asked, "guest", "$x", action=RECEIVE)

    def test_made_up_names_do_not_fill_the_memory(self) -> None:
        asked = access_list(rule(True, "*", "send", "a*"))
        for number in range(access.MOST_DECISIONS + 1):
            asked.check_send("u", f"a{number}", None, {}.__getitem__)
        for number in range(access.MOST_USERS + 1):
            asked.decide(f"u{number}", SEND, "a")
        self.assertLess(len(asked._decisions), access.MOST_DECISIONS)
        self.assertLess(len(asked._users), access.MOST_USERS)
        self.assertLess(len(asked.free_to_send), access.MOST_DECISIONS)
        self.assert_allowed(asked, "u0", "a0")
        self.assert_denied(asked, "u0", "b")


class CheckTests(SynchronousTestCase):
    def test_a_refusal_says_what_and_is_counted(self) -> None:
        refusals = Refusals()
        asked = access_list(rule(True, "shop", "send", "sms"), refusals=refusals)
        asked.check("shop", SEND, "sms")
        self.assertEqual(refusals.take(), "")
        with self.assertRaises(CommandError) as caught:
            asked.check("shop", RECEIVE, "sms")
        self.assertIs(caught.exception.code, Code.FORBIDDEN)
        self.assertEqual(str(caught.exception), "Forbidden: shop may not receive on sms")
        self.assertEqual(refusals.take(), "shop 1 receive (last on 'sms')")
        self.assertEqual(refusals.take(), "")

    def test_the_most_frequent_refusals_first_and_on_one_line(self) -> None:
        refusals = Refusals()
        for user, channel in (("a", "x"), ("b", "x"), ("c", "x"), ("b", "y\nz")):
            refusals.add(user, SEND, channel)
        self.assertEqual(
            refusals.take(most=2), r"b 2 send (last on 'y\nz'), a 1 send (last on 'x'), others 1"
        )


class ReceiverLimitTests(SynchronousTestCase):
    def ask(self, asked: AccessList, user: str, limit: int | None, default: int = 0) -> int | None:
        return asked.check_send(user, "sms", limit, lambda name: {"sms": default}[name])

    def test_without_one_every_number_passes(self) -> None:
        for limit in (None, 0, 1, 99):
            self.assertEqual(self.ask(limited(("other", 1)), "shop", limit, 7), limit)

    def test_only_who_may_send_any_number_is_free_to_send(self) -> None:
        asked = limited(("shop", 2), ("admin", 0))
        for user in ("shop", "admin", "other"):
            self.ask(asked, user, 1)
        self.assertEqual(asked.free_to_send, {("admin", "sms"), ("other", "sms")})
        asked = access_list(rule(False, "*", "send", "sms"))
        self.assertRaises(CommandError, self.ask, asked, "u", 1)
        self.assertEqual(asked.free_to_send, set())

    def test_up_to_it_and_not_all(self) -> None:
        asked = limited(("shop", 2))
        for limit in (1, 2):
            self.assertEqual(self.ask(asked, "shop", limit), limit)
        for limit in (0, 3):
            with self.assertRaisesRegex(CommandError, "Forbidden: .* on sms to more than 2 receivers"):
                self.ask(asked, "shop", limit)

    def test_who_asks_for_no_number_gets_no_more_than_is_allowed(self) -> None:
        asked = limited(("*", 2))
        self.assertEqual([self.ask(asked, "u", None, default) for default in (0, 1, 2, 3)], [2, 1, 2, 2])

    def test_the_first_that_fits_counts_and_0_is_any_number(self) -> None:
        asked = limited(("admin", 0), ("*", 1), ("shop", 5))
        self.assertEqual(self.ask(asked, "admin", 0), 0)
        self.assertRaises(CommandError, self.ask, asked, "shop", 2)

    def test_who_may_not_send_may_not_for_any_number(self) -> None:
        asked = AccessList(AccessRules((), (ReceiverLimit("", "", None, 5),)))
        self.assertRaises(CommandError, self.ask, asked, "u", 1)


SHORT = st.text("ab.*$", max_size=4)
USERS = st.sampled_from(["a", "b", "*", "$"])
TEMPLATES = st.lists(st.sampled_from(["a", "b", ".", "*", "$", "{user}"]), min_size=1, max_size=5).map(
    "".join
)
RULES = st.builds(
    rule,
    st.booleans(),
    st.sampled_from(["*", "a", "b", "a b"]),
    st.sampled_from(["send", "receive", "send receive"]),
    st.lists(TEMPLATES, min_size=1, max_size=3).map(" ".join),
    st.text("0123456789", min_size=5, max_size=5),
)
QUESTIONS = st.tuples(USERS, st.sampled_from(ACTIONS), SHORT)


def naive(rules: list[Rule], user: str, action: str, channel: str) -> tuple[bool, str]:
    """The same by regular expressions, with nothing prepared or remembered."""
    if (action, channel[:1]) == ("send", "$"):
        return False, ""
    for each in rules:
        for one in each.patterns:
            expression = ".*".join(re.escape(user).join(map(re.escape, piece)) for piece in one.pieces)
            written = "*".join("{user}".join(piece) for piece in one.pieces)
            if (
                (each.users is None or user in each.users)
                and action in each.actions
                and (written[:1] == "$") == (channel[:1] == "$")
                and re.fullmatch(expression, channel)
            ):
                return each.allows, each.place
    return False, ""


class PropertyTests(SynchronousTestCase):
    @given(st.lists(RULES, max_size=6), st.lists(QUESTIONS, min_size=1, max_size=10))
    def test_decides_as_the_naive_way_does(self, rules: list[Rule], questions: list) -> None:
        asked = access_list(*rules)
        for question in questions + questions:
            decision = asked.decide(*question)
            self.assertEqual((decision.allowed, decision.place), naive(rules, *question))
