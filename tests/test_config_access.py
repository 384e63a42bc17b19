"""Access lists in the configuration and in files of their own, and what is wrong with them."""

from __future__ import annotations

import os
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support_config import ConfigCase
from wsmb.access import ACTIONS, RECEIVE, SEND, AccessList, AccessRules
from wsmb.config import load_access
from wsmb.config.access_lines import KEYWORDS, access_lines, access_rules
from wsmb.errors import SettingError


def rules(text: str | bytes) -> AccessRules:
    """Of a file of its own."""
    return access_rules(access_lines(text if isinstance(text, bytes) else text.encode(), "x.conf"))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


class LineTests(SynchronousTestCase):
    def may(self, text: str, user: str, channel: str, action: str = SEND) -> bool:
        return AccessList(rules(text)).decide(user, action, channel).allowed

    def test_users_actions_and_channels(self) -> None:
        text = (
            "allow shop, office send,receive sms,\tsms.*\nallow * receive news # for all\nallow boss * x;y\n"
        )
        for user in ("shop", "office"):
            for action in (SEND, RECEIVE):
                self.assertTrue(self.may(text, user, "sms.x", action))
        self.assertTrue(self.may(text, "guest", "news", RECEIVE))
        self.assertFalse(self.may(text, "guest", "news", SEND))
        self.assertEqual([self.may(text, "boss", "x", action) for action in ACTIONS], [True, True, False])
        self.assertFalse(self.may(text, "boss", "x;y"))

    def test_who_administers_is_named_for_it(self) -> None:
        text = "allow boss * *\nallow ops admin *\nallow some send,admin sms.*\n"
        self.assertEqual(
            [self.may(text, user, "", "admin") for user in ("boss", "ops", "some")], [False, True, False]
        )
        self.assertTrue(self.may(text, "some", "sms.x", "admin"))
        self.assertFalse(self.may(text, "ops", "x", SEND))

    def test_groups_may_stand_anywhere(self) -> None:
        for line in ("group gw: home, office", "group\tgw:home,office;x", "group gw : office home # x"):
            for text in (f"allow @gw send sms\n{line}\n", f"{line}\nallow shop,@gw send sms\n"):
                self.assertTrue(self.may(text, "home", "sms"))
                self.assertTrue(self.may(text, "office", "sms"))
                self.assertFalse(self.may(text, "gw", "sms"))
                self.assertFalse(self.may(text, "x", "sms"))
        self.assertFalse(self.may("group gw:\nallow @gw send sms", "", "sms"))

    def test_what_is_quoted_is_only_text(self) -> None:
        for text, user, channel in (
            ('allow "a b" send "c d"', "a b", "c d"),
            ('allow "*" send "*"', "*", "*"),
            ('allow "@gw" send "{user}"', "@gw", "{user}"),
            ('allow "#a" send "b;c,#"', "#a", "b;c,#"),
            ('allow "say ""hi""" send x', 'say "hi"', "x"),
            ('allow a@b.example send "sensors/#"', "a@b.example", "sensors/#"),
        ):
            self.assertTrue(self.may(text, user, channel), text)
            self.assertFalse(self.may(text, "other", channel), text)
            self.assertFalse(self.may(text, user, "other"), text)

    def test_a_quoted_piece_beside_a_pattern(self) -> None:
        self.assertTrue(self.may('allow u send "a *".*{user}', "u", "a *.x.u"))
        self.assertFalse(self.may('allow u send "a *".*{user}', "u", "a b.x.u"))

    def test_how_many_receivers(self) -> None:
        asked = AccessList(rules("group g: a, b\nreceivers boss 0\nreceivers @g 2\nreceivers * 1"))
        found = {user: asked.receiver_limit(user) for user in ("boss", "a", "c")}
        self.assertIsNone(found["boss"])
        self.assertEqual([found["a"].most, found["c"].most], [2, 1])
        self.assertEqual((found["a"].place, found["a"].text), ("x.conf line 3", "receivers @g 2"))

    def test_where_the_line_stands_and_what_it_says(self) -> None:
        asked = AccessList(rules("\ufeff# the shop\r\n\r\n  allow\tshop  send sms ; it sends\r\n"))
        line = asked.decide("shop", SEND, "sms").line
        self.assertEqual((line.place, line.text), ("x.conf line 3", "allow shop  send sms ; it sends"))

    def test_errors(self) -> None:
        for line, text in {
            "permit a send b": "x.conf line 2: begins with 'permit'; lines begin with group, allow, deny",
            "alow a send b": "x.conf line 2: begins with 'alow'; did you mean allow?",
            "topic read a": "begins with 'topic'",
            "allow[] = a send b": "did you mean allow?",
            "allow": "x.conf line 2: allow: has 0 words; write USER ACTION CHANNEL",
            "deny a send": "x.conf line 2: deny: has 2 words",
            "allow a send b c": "has 4 words",
            '"allow" a send b': "begins with",
            'allow "a send b"': "has 1 words",
            "allow a sned b": "'sned' is no action; give send, receive, * for both, or admin",
            "allow a send,read b": "'read' is no action",
            'allow a "*" b': "'*' is no action",
            "allow a* send b": "'a*' is no user; there are no patterns of users",
            "allow {user} send b": "'{user}' is no user",
            "allow @gw send b": "there is no group '@gw'; write group gw: USER, USER",
            "allow a,@offices send b": "did you mean @office?",
            "allow a send {name}": "'{name}': of braces there is {user} only",
            "allow a send b}": "'b}': of braces",
            "allow a send sensors/#": "# is no wildcard here; write * or {user}",
            "deny a send a/+/b": "+ is no wildcard here",
            "deny a send a.>": "> is no wildcard here",
            "deny a send user/%u": "%u is no wildcard here",
            'allow a send ""': "a name without a character",
            'allow "" send b': "a name without a character",
            f"allow a send {'x' * 101}": "at most 100 characters",
            "allow a, send b": "has 2 words",
            "allow a send b,": "a comma with no name behind it",
            "allow a send ,b": "has 2 words",
            "allow , a send b": "a comma with no name before it",
            "allow a,,b send c": "a comma with no name before it",
            'allow "a send b': 'a " without a second one',
            "group a b": "group: has no NAME: in front",
            "group a b: c": "has no NAME: in front",
            "group a: @office": "'@office' is a group; name its users",
            "group a: *": "'*' is no user",
            "group office: c": "office is there already",
            "receivers a": "receivers: write USER NUMBER",
            "receivers a -1": "write USER NUMBER",
            "receivers a 2,3": "write USER NUMBER",
            "receivers a 1 b": "write USER NUMBER",
            "receivers a 1000000001": "write USER NUMBER",
            "receivers @a 1": "there is no group '@a'",
        }.items():
            with self.subTest(line=line), self.assertRaises(SettingError) as caught:
                rules(f"group office: x\n{line}\n")
            self.assertIn(text, str(caught.exception))
            self.assertEqual(str(caught.exception).partition(":")[0], "x.conf line 2")

    def test_no_text(self) -> None:
        for data in (b"allow a send b\n\xff", b"\nallow a send \x00"):
            with self.assertRaisesRegex(SettingError, "^x.conf line 2: "):
                rules(data)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=100)
# What begins with $ is the broker's: nobody sends there, whatever a list says.
CHANNELS = NAMES.filter(lambda name: not name.startswith("$"))
PIECES = st.sampled_from(
    [
        *KEYWORDS,
        " ",
        "\t",
        "\n",
        ",",
        '"',
        '""',
        "*",
        "{user}",
        "{",
        "@",
        "@g",
        "g:",
        "#",
        ";",
        "$",
        "send",
        "a",
        "1",
    ]
)


class PropertyTests(SynchronousTestCase):
    @given(st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join))
    def test_any_text_is_rules_or_a_setting_error(self, text: str) -> None:
        try:
            found = rules(text.encode("utf-8", "surrogatepass"))
        except SettingError as error:
            self.assertRegex(str(error), r"\Ax\.conf line [0-9]+: [^\n]+\Z")
        else:
            AccessList(found).decide("a", SEND, "b")

    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        try:
            rules(data)
        except SettingError as error:
            self.assertRegex(str(error), r"\Ax\.conf line [0-9]+: ")

    @given(NAMES, CHANNELS, CHANNELS)
    def test_every_name_can_be_written(self, user: str, channel: str, other: str) -> None:
        asked = AccessList(rules(f"allow {quoted(user)} send {quoted(channel)}"))
        self.assertTrue(asked.decide(user, SEND, channel).allowed)
        self.assertEqual(asked.decide(other, SEND, channel).allowed, other == user)
        self.assertEqual(asked.decide(user, SEND, other).allowed, other == channel)


class ConfigurationTests(ConfigCase):
    def decided(self, ini: str, user: str, channel: str = "sms", **environ: str) -> tuple[bool, str]:
        access = self.load(ini, environ).access
        decision = AccessList(access).decide(user, SEND, channel)
        return decision.allowed, decision.place.replace(self.etc + os.sep, "").replace(
            self.cwd + os.sep, "cwd "
        )

    def test_without_one(self) -> None:
        for ini in (None, "", "[access]\n; allow[] = a send b\n[server]\n"):
            self.assertIsNone(self.load(ini).access)

    def test_the_order_of_the_lines_is_kept_across_keys(self) -> None:
        lines = [
            "[access]",
            "allow[] = a send sms",
            "deny[] = * send sms",
            "allow[] = b send *",
            "group[] = g: c",
        ]
        ini = "\n".join([*lines, "allow[] = @g send x"])
        self.assertEqual(self.decided(ini, "a"), (True, "wsmb.ini line 2"))
        self.assertEqual(self.decided(ini, "b"), (False, "wsmb.ini line 3"))
        self.assertEqual(self.decided(ini, "b", "x"), (True, "wsmb.ini line 4"))
        self.assertEqual(self.decided(ini, "c", "x"), (True, "wsmb.ini line 6"))

    def test_quotes_and_comments_are_those_of_an_access_file(self) -> None:
        ini = '[access]\nallow[] = "a b" send "c d" ; why\nallow[] = x send "a;b" # why\n'
        self.assertEqual(self.decided(ini, "a b", "c d"), (True, "wsmb.ini line 2"))
        self.assertEqual(self.decided(ini, "x", "a;b"), (True, "wsmb.ini line 3"))

    def test_a_file_stands_where_it_is_named(self) -> None:
        self.write(os.path.join(self.etc, "access.conf"), b"\nallow b send *\nallow @g send *\n")
        lines = ["[access]", "group[] = g: c", "deny[] = * send x", "file = access.conf", "deny[] = b send *"]
        ini = "\n".join([*lines, "allow[] = d send *"])
        self.assertEqual(self.decided(ini, "b"), (True, "access.conf line 2"))
        self.assertEqual(self.decided(ini, "c"), (True, "access.conf line 3"))
        self.assertEqual(self.decided(ini, "b", "x"), (False, "wsmb.ini line 3"))
        self.assertEqual(self.decided(ini, "d"), (True, "wsmb.ini line 6"))

    def test_a_file_from_the_environment_replaces_all(self) -> None:
        self.write(os.path.join(self.cwd, "other.conf"), b"allow b send *")
        for ini in ("[access]\nallow[] = a send *\nfile = absent", ""):
            self.assertEqual(self.decided(ini, "a", WSMB_ACCESS_FILE="other.conf"), (False, ""))
            self.assertEqual(
                self.decided(ini, "b", WSMB_ACCESS_FILE="other.conf"), (True, "cwd other.conf line 1")
            )

    def test_an_empty_file_allows_nothing(self) -> None:
        self.write(os.path.join(self.etc, "access.conf"), b"")
        ini = "[access]\nfile = access.conf"
        self.assertEqual(self.decided(ini, "a"), (False, ""))
        for lines in (ini, "[access]\nreceivers[] = * 1"):
            self.assertEqual(
                self.warnings(lines), ["the access list allows nothing: nobody can send or receive"]
            )

    def test_a_file_that_cannot_be_read(self) -> None:
        for value, reason in (
            ("absent", "No such file"),
            (".", "Is a directory"),
            ("", "no file is named"),
            ("/dev/zero", "not a regular file"),
        ):
            text = self.refusal(f"[access]\nfile = {value}")
            self.assertTrue(text.startswith(f"[access] file (wsmb.ini line 2): '{value}': {reason}"), text)
        self.assertIn("environment WSMB_ACCESS_FILE", self.refusal("", {"WSMB_ACCESS_FILE": "absent"}))

    def test_a_wrong_line_is_named(self) -> None:
        self.assertTrue(
            self.refusal("[access]\n\nallow[] = shop sms").startswith(
                "[access] allow (wsmb.ini line 3): has 2 words"
            )
        )
        self.assertIn("has 0 words", self.refusal("[access]\nallow[] =\n"))
        self.assertIn("did you mean allow?", self.refusal("[access]\nalow[] = a send b\n"))
        self.write(os.path.join(self.etc, "access.conf"), b"\nallow a b c\n")
        text = self.refusal("[access]\nfile=access.conf")
        self.assertTrue(text.startswith("access.conf line 2: allow: 'b' is no action"), text)

    def test_a_line_that_would_be_lost_is_an_error(self) -> None:
        for ini, line in (
            ("[access]\ndeny = a send b\ndeny = c send d\nallow[]=* * *", 2),
            ("[access]\nallow[] = a send b\nallow = c send d", 2),
            ("[access]\ndeny[] = a send b\n[server]\n[access]\nallow[] = * * *", 1),
            ("[access]\ndeny[] = a send b\n[access]\n", 1),
        ):
            with self.subTest(ini=ini):
                text = self.refusal(ini)
                self.assertTrue(text.startswith(f"[access] (wsmb.ini line {line}): is not used"), text)
        self.assertIsNotNone(self.load("[access]\ndeny = a send b\ndeny[] = c send d").access)

    def test_it_can_be_read_without_users_and_database(self) -> None:
        self.write(
            self.file, b"[access]\nallow[]=a send b\n[credential]\nhtpasswd=absent\n[server]\nkeep_data=1\n"
        )
        found = load_access(config_file=self.file, environ={}, cwd=self.cwd)
        self.assertTrue(AccessList(found).decide("a", SEND, "b").allowed)
        self.assertIsNone(load_access(config_file=None, environ={}, cwd=self.cwd))

    def test_an_error_holds_no_value_that_may_be_a_secret(self) -> None:
        text = self.refusal("[access]\nallow[] = mysql://user:s3cr3tW0rd@host/x send b c")
        self.assertTrue(re.search("has 4 words", text), text)
