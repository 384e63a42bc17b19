"""Tests for `wsmb dead-letters`: names, choosing, the end of the letters, and what is done with them."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import (
    ACCEPTED,
    BROKEN,
    REJECTED,
    RecordingConnection,
    RecordingConsole,
    confirm,
    numbered,
)
from wsmb import replies
from wsmb.cli import dead_letters
from wsmb.cli.arguments import UsageError
from wsmb.cli.letter_actions import Choice, Dropping, Printing, Replaying
from wsmb.cli.letter_box import LetterBox
from wsmb.cli.letters import Letter, choose, letter, twins
from wsmb.client.core import Refusal
from wsmb.wire import MAX_PREFETCH

WAIT_S, TIMEOUT_S = 0.5, 30.0
EARLIER, LATER = "2026-11-22T20:00:00.000Z", "2026-11-22T22:00:00.000Z"


def written(item: bytes, channel: str = "sms", time_stamp: str = EARLIER) -> bytes:
    """A letter as the broker writes it."""
    return replies.dead_letter(
        item, channel=channel, reason="rejected", deliveries=3, receiver="qa", time_stamp=time_stamp
    )


def a_letter(item: bytes, number: int = 1) -> Letter:
    found = letter(written(item), number)
    if found is None:
        raise ValueError(item)
    return found


class LetterTests(SynchronousTestCase):
    def test_the_name_is_of_what_it_says(self) -> None:
        self.assertEqual(a_letter(b"1", 1).name, a_letter(b"1", 2).name)
        self.assertNotEqual(a_letter(b"1").name, a_letter(b"2").name)
        self.assertRegex(a_letter(b"1").name, "^[0-9a-f]{12}$")
        self.assertLessEqual(len(a_letter(b"1").message_id), 64)

    def test_row(self) -> None:
        row = a_letter(b'{"n":1}').row().decode()
        name = a_letter(b'{"n":1}').name
        self.assertEqual(row, f'{name}\t{EARLIER}\trejected\t3\tqa\t{{"n":1}}\n')

    def test_a_row_is_short_and_does_nothing_to_a_terminal(self) -> None:
        row = a_letter('"\u009b31m\u2028é'.encode() + b"x" * 100 + b'"').row().decode()
        self.assertEqual(row.count("\n"), 1)
        self.assertTrue(row.rstrip("\n").isprintable() or "\t" in row)
        item = row.rstrip("\n").rpartition("\t")[2]
        self.assertEqual((len(item), item[:7], item[-1]), (60, '"?31m?é', "…"))

    def test_pretty_changes_no_value(self) -> None:
        pretty = a_letter(b'{"n":1.50,"m":123456789012345678901234567890}').pretty()
        self.assertIn(b"1.50", pretty)
        self.assertIn(b"123456789012345678901234567890", pretty)
        self.assertGreater(pretty.count(b"\n"), 5)

    def test_what_is_no_letter(self) -> None:
        for line in (b"1", b'{"item":1}', b'"x"', b"[" * 5_000):
            self.assertIsNone(letter(line, 1))

    def test_choosing(self) -> None:
        one, two, other = a_letter(b"1", 1), a_letter(b"1", 2), a_letter(b"2", 3)
        letters = [one, other, two]
        self.assertEqual(choose(letters, [other.name[:4]]), ([other], []))
        self.assertEqual(choose(letters, [one.name]), ([one], []))
        self.assertEqual(choose(letters, [one.name] * 2), ([one, two], []))
        chosen, problems = choose(letters, [*[one.name] * 3, "ffff"])
        self.assertEqual((chosen, len(problems)), ([one, two], 2))
        self.assertEqual(twins(letters), {one.digest})

    def test_a_beginning_of_several_means_none(self) -> None:
        letters = [a_letter(b"%d" % number, number) for number in range(20)]
        chosen, problems = choose(letters, [""])
        self.assertEqual((chosen, len(problems)), ([], 1))


class BoxTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.console = RecordingConsole()
        self.connection = RecordingConnection()
        self.out: list[bytes] = []
        self.box = LetterBox(
            "sms",
            "dead.sms",
            self.console.say,
            self.console.finish,
            self.clock,
            wait_s=WAIT_S,
            timeout_s=TIMEOUT_S,
        )

    def choice(self, *words: str) -> Choice:
        return Choice(words, self.console.say)

    def begin(self) -> None:
        self.box.start()
        self.box.opened(self.connection)
        for event in (ACCEPTED, confirm("known"), ACCEPTED, confirm("reading")):
            self.box.received(event)
        self.said()

    def said(self) -> list[dict[str, Any]]:
        """What was said since the last call."""
        said, self.connection.sent = self.connection.sent, []
        return said

    def comes(self, *letters: bytes, first: int = 1) -> None:
        for number, text in enumerate(letters, first):
            self.box.received(numbered("dead.sms", b"[" + text + b"]", number))

    def quiet(self) -> None:
        self.box.received(ACCEPTED)
        self.box.received(confirm("look"))
        self.clock.advance(WAIT_S)

    def lines(self) -> list[str]:
        return b"".join(self.out).decode().splitlines()


class ReadingTests(BoxTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.box.action = Printing(self.box, self.choice(), self.out.append, Letter.row)

    def test_asks_only_a_broker_that_knows_acknowledgements(self) -> None:
        self.box.start()
        self.box.opened(self.connection)
        self.assertEqual([one["command"] for one in self.said()], ["leave-channel", "ping"])
        self.box.received(ACCEPTED)
        self.box.received(confirm("known"))
        asked = {"command": "receive-message", "channel": "dead.sms", "confirm": "reading"}
        self.assertEqual(self.said(), [{**asked, "ack": True, "prefetch": MAX_PREFETCH}])

    def test_the_original(self) -> None:
        self.box.start()
        self.box.opened(self.connection)
        self.box.received(ACCEPTED)
        self.box.received(ACCEPTED)
        self.assertEqual(len(self.said()), 2)
        self.assertEqual(self.console.ends[0][0], 1)
        self.assertIn("knows no acknowledgements", self.console.ends[0][1])

    def test_none(self) -> None:
        self.begin()
        self.quiet()
        self.assertEqual((self.lines(), self.console.ends, self.console.lines), ([], [(0, "")], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_goes_on_as_long_as_letters_come(self) -> None:
        self.begin()
        self.comes(written(b"1"))
        self.quiet()
        self.assertEqual([one["command"] for one in self.said()], ["ping"])
        self.box.received(ACCEPTED)
        self.box.received(confirm("look"))
        self.comes(written(b"2"), first=2)
        self.clock.advance(WAIT_S)
        self.assertEqual((self.out, len(self.said())), ([], 1))
        self.quiet()
        self.assertEqual([line.split("\t")[5] for line in self.lines()], ["1", "2"])
        self.assertEqual(self.console.ends, [(0, "")])

    def test_nothing_is_acknowledged(self) -> None:
        self.begin()
        self.comes(written(b"1"))
        self.quiet()
        self.quiet()
        self.assertEqual({one["command"] for one in self.said()}, {"ping"})

    def test_what_is_no_letter_of_the_channel_is_told(self) -> None:
        self.begin()
        self.comes(written(b"1", "other"), b"1", written(b"1") + b"," + written(b"2"), b"")
        self.quiet()
        self.quiet()
        self.assertEqual(self.lines(), [])
        self.assertEqual(self.console.lines, ["there are 4 more that are no dead letters of sms"])

    def test_ends_that_come_early(self) -> None:
        for event, text in (
            (REJECTED, "not well"),
            (confirm("reading", "03", "Forbidden: x"), "Forbidden: x"),
            (Refusal("02", "Malformed: x"), "Malformed: x"),
        ):
            self.setUp()
            self.begin()
            self.box.received(event)
            self.comes(written(b"1"))
            self.assertEqual(self.console.ends[0][0], 1)
            self.assertIn(text, self.console.ends[0][1])

    def test_lost_and_interrupted(self) -> None:
        self.begin()
        self.box.received(confirm("look"))
        self.box.lost(BROKEN)
        self.clock.advance(WAIT_S)
        self.assertEqual(self.console.ends, [(1, "closed by the broker")])
        self.setUp()
        self.begin()
        self.box.interrupted()
        self.assertEqual(self.console.ends, [(1, "interrupted")])

    def test_no_answer(self) -> None:
        self.begin()
        self.clock.advance(TIMEOUT_S)
        self.assertEqual(self.console.ends, [(1, "no answer for 30 s")])

    def test_a_name_that_is_not_there(self) -> None:
        self.box.action = Printing(self.box, self.choice("ffff"), self.out.append, Letter.pretty)
        self.begin()
        self.quiet()
        self.assertEqual((self.console.lines, self.console.ends), (["ffff is not there"], [(1, "")]))


class DroppingTests(BoxTestCase):
    def drop(self, *words: str) -> None:
        self.box.action = Dropping(self.box, self.choice(*words), self.out.append, self.console.say)
        self.begin()
        self.comes(written(b"1"), written(b"2"))
        self.quiet()
        self.said()
        self.quiet()

    def test_one(self) -> None:
        name = a_letter(b"2").name
        self.drop(name)
        self.assertEqual(self.said(), [{"command": "ack-message", "delivery": [2], "confirm": 2}])
        self.assertEqual((self.lines(), self.console.ends), ([], []))
        self.box.received(confirm(2))
        self.assertEqual((self.lines(), self.console.ends), ([name], [(0, "")]))

    def test_all_until_no_more_come(self) -> None:
        self.drop()
        self.assertEqual([one["delivery"] for one in self.said()], [[1], [2]])
        self.box.received(confirm(1))
        self.box.received(confirm(2))
        self.comes(written(b"3"), first=3)
        self.quiet()
        self.said()
        self.quiet()
        self.assertEqual([one["delivery"] for one in self.said()], [[3]])
        self.box.received(confirm(3))
        self.quiet()
        self.assertEqual((len(self.lines()), self.console.ends), (3, [(0, "")]))

    def test_all_are_those_of_the_beginning(self) -> None:
        self.drop()
        for number in (1, 2):
            self.box.received(confirm(number))
        self.said()
        self.comes(written(b"1", time_stamp=LATER), first=3)
        self.quiet()
        self.quiet()
        self.assertNotIn("ack-message", [one["command"] for one in self.said()])
        self.assertEqual(self.console.ends, [(0, "")])

    def test_too_late(self) -> None:
        name = a_letter(b"2").name
        self.drop(name)
        self.box.received(confirm(2, "07", "Unknown delivery: 2"))
        self.assertEqual(self.console.lines, [f"{name} is still there (Unknown delivery: 2)"])
        self.assertEqual((self.lines(), self.console.ends), ([], [(1, "")]))


class ReplayingTests(BoxTestCase):
    def replay(self, *items: bytes, words: tuple[str, ...] = ()) -> None:
        self.box.action = Replaying(self.box, self.choice(*words), self.out.append, self.console.say)
        self.begin()
        self.comes(*map(written, items))
        self.quiet()
        self.said()
        self.quiet()

    def test_acknowledged_after_the_confirm(self) -> None:
        one = a_letter(b'{"n":1}')
        self.replay(b'{"n":1}', b"2", words=(one.name,))
        (sent,) = self.said()
        self.assertEqual(
            (sent["command"], sent["channel"], sent["data"]), ("send-message", "sms", [{"n": 1}])
        )
        self.assertEqual(sent["message_id"], one.message_id)
        self.box.received(confirm(sent["confirm"], receivers=0, stored=1))
        self.assertEqual(self.said(), [{"command": "ack-message", "delivery": [1], "confirm": 1}])
        self.assertEqual((self.lines(), self.console.ends), ([], []))
        self.box.received(confirm(1))
        self.assertEqual((self.lines(), self.console.ends), ([one.name], [(0, "")]))

    def test_sent_before_is_acknowledged(self) -> None:
        self.replay(b"1")
        (sent,) = self.said()
        self.box.received(confirm(sent["confirm"], receivers=0, stored=0, duplicate=True))
        self.assertEqual([one["command"] for one in self.said()], ["ack-message"])

    def test_what_is_not_carried_out_stays(self) -> None:
        for answer in ({"code": "06", "text": "Unavailable: full"}, {"receivers": 0, "stored": 0}):
            self.setUp()
            self.replay(b"1", words=(a_letter(b"1").name,))
            (sent,) = self.said()
            self.box.received(confirm(sent["confirm"], **answer))
            self.assertEqual((self.said(), self.lines(), self.console.ends), ([], [], [(1, "")]))
            self.assertIn("was not replayed", self.console.lines[0])

    def test_of_letters_that_say_the_same_each_is_sent(self) -> None:
        self.replay(b"1", b"2", b"1")
        self.assertEqual(["message_id" in one for one in self.said()], [False, True, False])

    def test_one_that_says_the_same_as_one_that_was_sent(self) -> None:
        self.replay(b"1")
        (sent,) = self.said()
        self.box.received(confirm(sent["confirm"], stored=1))
        self.box.received(confirm(1))
        self.comes(written(b"1"), first=2)
        self.quiet()
        self.said()
        self.quiet()
        (again,) = self.said()
        self.assertNotIn("message_id", again)


class UsageTests(SynchronousTestCase):
    def assert_refused(self, text: str, *argv: str) -> None:
        with self.assertRaisesRegex(UsageError, text):
            dead_letters.main(argv, {"WSMB_USER": "qa", "WSMB_PASSWORD": "s3cret"})

    def test_words(self) -> None:
        self.assert_refused("first comes one of list, show", "nosuch")
        self.assert_refused("first comes one of")
        self.assert_refused("no channel", "list")
        self.assert_refused("list takes no ID", "list", "sms", "abcd")
        self.assert_refused("list takes no ID", "list", "sms", "--all")
        for action in ("show", "replay", "drop"):
            self.assert_refused(f"{action} which: give IDs, or --all", action, "sms")
            self.assert_refused("which: give IDs, or --all", action, "sms", "abcd", "--all")
            for word in ("abc", "wxyz", ""):
                self.assert_refused("an ID has 4 or more", action, "sms", word)
        self.assert_refused("at most 100", "list", "x" * 100)
        self.assert_refused("at most 100", "list", "sms", "--dead-letter-channel", "x" * 101)


class JsonTests(SynchronousTestCase):
    def test_show_is_json(self) -> None:
        self.assertEqual(json.loads(a_letter(b'{"n":1}').pretty())["item"], {"n": 1})
