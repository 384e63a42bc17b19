"""The checker of `make chaos` finds what is lost, doubled and out of order, in made-up histories."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chaos.check import Fault, Verdict, check
from chaos.history import History
from chaos.items import PER_SENDER, Plan, identify

S = 1_000_000


class CheckTests(SynchronousTestCase):
    """Sender 1 without message ids, sender 2 with; frames of two items, all on the channel "c"."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.verdict = Verdict()

    def sender(self, *lines: str, number: int = 1) -> None:
        head = f"H {number} c 2 {int(number == 2)}"
        (self.folder / f"sender-{number}").write_text("\n".join([head, *lines, ""]))

    def receiver(self, *lines: str, name: str = "r") -> None:
        (self.folder / f"receiver-{name}").write_text("\n".join(["H c", *lines, ""]))

    def check(self, *faults: Fault) -> Verdict:
        history = History(self.folder)
        self.addCleanup(history.close)
        history.update()
        return check(history, faults)

    def test_all_is_well(self) -> None:
        self.sender("O 0", "C 10 0 00 2 0", "C 11 1 00 2 0", "E 20 2")
        self.receiver("O 5", came(20, 0, 1), came(21, 2, 3), "P 22", "X 23")
        verdict = self.check()
        self.assertEqual((verdict.confirmed, verdict.wrong, verdict.doubled), (4, 0, 0))

    def test_what_is_confirmed_as_stored_and_does_not_come_is_lost(self) -> None:
        self.sender("C 10 0 00 2 0", "C 11 1 00 2 0")
        self.receiver("O 5", came(20, 0), came(21, 2, 3))
        verdict = self.check(Fault("broker killed", 12, 13))
        self.assertEqual((verdict.confirmed, verdict.lost, verdict.wrong), (4, 1, 1))
        self.assertIn("item 1 of sender 1 on c", verdict.examples[0])

    def test_what_is_not_confirmed_or_refused_is_not_lost(self) -> None:
        self.sender("C 10 0 06 0 0")
        self.assertEqual(self.check().wrong, 0)

    def test_a_stream_of_which_nothing_came_is_lost(self) -> None:
        self.sender("C 10 0 00 2 0")
        self.assertEqual(self.check().lost, 2)

    def test_what_was_handed_over_may_go_with_the_broker_and_only_with_it(self) -> None:
        self.sender(f"C {10 * S} 0 00 0 0")
        self.assertEqual(self.check().lost, 2)
        verdict = self.check(Fault("broker killed", 11 * S, 12 * S))
        self.assertEqual((verdict.lost, verdict.handed_over), (0, 2))
        self.assertEqual(self.check(Fault("broker killed", 20 * S, 21 * S)).lost, 2)
        self.assertEqual(self.check(Fault("database killed", 11 * S, 12 * S)).lost, 2)

    def test_what_always_keeps_was_not_only_handed_over(self) -> None:
        (self.folder / "sender-1").write_text(f"H 1 always0 2 1\nC {10 * S} 0 00 0 1\n")
        verdict = self.check(Fault("broker killed", 11 * S, 12 * S))
        self.assertEqual((verdict.lost, verdict.handed_over), (2, 0))

    def test_a_repetition_of_what_was_not_proved_is_allowed(self) -> None:
        self.sender("C 10 0 00 2 0")
        self.receiver("O 5", came(20, 0, 1), "X 21", "O 22", came(23, 0, 1), "P 24")
        verdict = self.check()
        self.assertEqual((verdict.doubled, verdict.doubled_wrongly, verdict.out_of_order), (2, 0, 0))

    def test_a_repetition_of_what_was_proved_long_ago_is_not(self) -> None:
        self.sender("C 10 0 00 2 0")
        self.receiver("O 5", came(20, 0, 1), "P 21", came(60 * S, 0))
        verdict = self.check()
        self.assertEqual((verdict.doubled, verdict.doubled_wrongly, verdict.wrong), (1, 1, 1))

    def test_a_proof_may_be_lost_with_the_broker_that_was_killed_just_after_it(self) -> None:
        self.sender("C 10 0 00 2 0")
        self.receiver("O 5", came(20, 0, 1), "P 21", came(60 * S, 0))
        self.assertEqual(self.check(Fault("broker killed", 1 * S, 2 * S)).doubled_wrongly, 0)
        self.assertEqual(self.check(Fault("broker killed", 30 * S, 31 * S)).doubled_wrongly, 1)

    def test_what_came_again_before_the_kill_did_not_come_because_of_it(self) -> None:
        self.sender("C 10 0 00 2 0", number=2)
        twice = came(20, 0, 1, sender=2), "P 21", came(22, 0, sender=2), "P 23"
        self.receiver("O 5", *twice)
        self.assertEqual(self.check(Fault("broker killed", 1 * S, 2 * S)).doubled_wrongly, 1)

    def test_what_was_not_proved_once_may_come_twice_but_not_three_times(self) -> None:
        self.sender("C 10 0 00 2 0")
        self.receiver("O 5", came(20, 0, 1), "X 21", "O 22", came(23, 0, 1), "P 24", came(60 * S, 0, 1))
        verdict = self.check()
        self.assertEqual((verdict.doubled, verdict.doubled_wrongly), (4, 2))

    def test_a_proof_waits_for_a_database_that_is_away(self) -> None:
        self.sender("C 10 0 00 2 0")
        self.receiver("O 5", came(20, 0, 1), "P 21", came(60 * S, 0))
        away, killed = Fault("database frozen", 1, 30 * S), Fault("broker killed", 31 * S, 32 * S)
        self.assertEqual(self.check(away, killed).doubled_wrongly, 0)

    def test_a_frame_that_was_sent_twice_may_come_twice_but_not_with_a_message_id(self) -> None:
        lines = ["O 0", "O 15", "A 16 0", "C 17 0 00 2 0"]
        self.sender(*lines)
        self.sender(*lines, number=2)
        for sender, wrong in ((1, 0), (2, 2)):
            self.receiver("O 5", *(came(20, 0, 1, sender=s) for s in (1, 2, sender)), "P 50")
            self.assertEqual(self.check().doubled_wrongly, wrong)

    def test_a_frame_that_was_sent_twice_may_not_come_three_times(self) -> None:
        self.sender("A 16 0", "C 17 0 00 2 0")
        self.receiver("O 5", came(20, 0, 1), came(21, 0, 1), came(22, 0, 1), "P 50")
        self.assertEqual(self.check().doubled_wrongly, 2)

    def test_an_older_item_after_a_newer_one_is_out_of_order(self) -> None:
        self.sender("C 10 0 00 2 0", "C 11 1 00 2 0")
        self.receiver("O 5", came(20, 2), came(21, 0, 1), came(22, 3), "P 30")
        verdict = self.check()
        self.assertEqual((verdict.out_of_order, verdict.wrong), (2, 2))

    def test_redeliveries_may_be_out_of_order(self) -> None:
        self.sender("C 10 0 00 2 0", "C 11 1 00 2 0")
        self.receiver("O 5", came(20, 2, 3), came(21, 0, 1, redelivered=True), "P 30")
        self.assertEqual(self.check().wrong, 0)

    def test_what_a_dead_receiver_may_have_had_may_come_late(self) -> None:
        self.sender("C 10 0 00 2 0", "C 11 1 00 2 0")
        self.receiver("O 5", came(20, 2, 3), came(9 * S, 0, 1), f"P {9 * S}")
        self.receiver("O 5", f"X {5 * S}", name="dead")
        self.assertEqual(self.check().wrong, 0)

    def test_what_was_refused_comes_later(self) -> None:
        self.sender("C 9 0 06 0 0", "C 10 1 00 2 0", "C 11 0 00 2 0")
        self.receiver("O 5", came(20, 2, 3), came(21, 0, 1), "P 30")
        self.assertEqual(self.check().wrong, 0)

    def test_a_line_that_a_kill_cut_off_does_not_count(self) -> None:
        self.sender("C 10 0 00 2 0")
        self.receiver("O 5", came(20, 0, 1)[:-12], "X 21")
        self.assertEqual(self.check().lost, 2)

    def test_recovery_is_up_to_the_first_confirm(self) -> None:
        self.sender(f"C {1 * S} 0 00 2 0", f"C {5 * S} 1 00 2 0", f"C {9 * S} 2 00 2 0")
        self.receiver("O 5", came(20, *range(6)), "P 21")
        verdict = self.check(
            Fault("broker killed", 2 * S, 3 * S),
            Fault("receiver killed", 5 * S, None),
            Fault("x", 6 * S, 8 * S),
        )
        self.assertEqual(verdict.recovery, (1.5, 2.0))

    def test_a_confirm_that_nobody_asked_for_is_wrong(self) -> None:
        self.sender("? 10 confirm 7 was not awaited")
        self.assertEqual(self.check().wrong, 1)


class PlanTests(SynchronousTestCase):
    def test_a_frame_and_its_items_belong_together(self) -> None:
        plan = Plan(3, ["a", "b"], 4, True)
        for frame in range(200):
            command = json.loads(plan.command(frame))
            self.assertEqual((command["channel"], command["confirm"]), (plan.channel(frame), frame))
            self.assertEqual(command["message_id"], f"3-{frame}")
            numbers = [identify(item) for item in command["data"]]
            self.assertEqual(numbers, [(3, number) for number in plan.numbers(frame)])
            for number in plan.numbers(frame):
                self.assertEqual(plan.frame(command["channel"], number), frame)


def came(time_us: int, *numbers: int, sender: int = 1, redelivered: bool = False) -> str:
    """A receiver's line."""
    frame = {"command": "send-message", "channel": "c", "data": items(sender, numbers)}
    return f"D {time_us} {json.dumps({**frame, **({'redelivered': True} if redelivered else {})})}"


def items(sender: int, numbers: Iterable[int]) -> list[int]:
    return [sender * PER_SENDER + number for number in numbers]
