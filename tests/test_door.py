"""Tests for wsmb.door: each limit, at it and one past it."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsmb.door import SPARE_SOCKETS, Door, Visit
from wsmb.handshake import Refusal
from wsmb.settings import Limits

FULL, TOO_MANY = Refusal(503), Refusal(429)


class DoorTests(SynchronousTestCase):
    def inside(self, door: Door, address: str = "192.0.2.1", user: str = "qa") -> Visit:
        visit = Visit(door)
        self.assertIsNone(visit.is_from(address))
        self.assertIsNone(visit.enters(user))
        return visit

    def test_handshakes(self) -> None:
        door = Door(Limits(max_handshakes=2))
        first, second, third = Visit(door), Visit(door), Visit(door)
        self.assertEqual((third.knocks(), door.handshakes), (FULL, 3))
        third.ends()
        self.assertIsNone(second.knocks())
        self.assertIsNone(first.enters("qa"))
        self.assertIsNone(Visit(door).knocks())

    def test_handshakes_of_an_address(self) -> None:
        door = Door(Limits(max_handshakes_per_address=2))
        visits = [Visit(door) for _ in range(4)]
        answers = [visit.is_from("2001:db8::" + str(number)) for number, visit in enumerate(visits[:3])]
        self.assertEqual(answers, [None, None, TOO_MANY])
        self.assertIsNone(visits[3].is_from("2001:db8:1::"))
        visits[2].ends()
        visits[0].enters("qa")
        self.assertIsNone(Visit(door).is_from("2001:db8::9"))

    def test_who_waits_for_its_password_to_be_checked_is_no_handshake(self) -> None:
        door = Door(Limits(max_handshakes=1, max_handshakes_per_address=1))
        waiting = [self.waiting(door) for _ in range(3)]
        self.assertEqual((door.handshakes, door.waiting, door.sockets), (0, 3, 3))
        waiting[0].is_checked()
        self.assertIsNone(waiting[0].enters("qa"))
        waiting[1].ends()
        self.assertEqual((door.waiting, door.sockets, door.handshakes_of), (1, 2, {}))

    def waiting(self, door: Door) -> Visit:
        visit = Visit(door)
        self.assertIsNone(visit.knocks() or visit.is_from("192.0.2.1"))
        visit.waits()
        return visit

    def test_who_has_waited_in_vain_and_stays_is_one_again(self) -> None:
        door = Door(Limits(max_handshakes=1, max_handshakes_per_address=1))
        refused = self.waiting(door)
        refused.is_checked()
        late = Visit(door)
        self.assertEqual((late.knocks(), late.is_from("192.0.2.1")), (FULL, TOO_MANY))
        self.assertEqual((door.handshakes, door.waiting), (2, 0))

    def test_sockets_of_those_who_wait_count(self) -> None:
        door = Door(Limits())
        door.most_files = 2
        self.waiting(door), self.waiting(door)
        self.assertEqual(Visit(door).knocks(), FULL)

    def test_of_which_address_may_turn_out_twice(self) -> None:
        door = Door(Limits(max_handshakes_per_address=1))
        visit = Visit(door)
        visit.is_from("192.0.2.1")
        visit.is_from("192.0.2.2")
        self.assertEqual(door.handshakes_of, {"192.0.2.2": 1})

    def test_other_limits(self) -> None:
        door = Door(Limits(max_connections=5, max_handshakes=5))
        door.most_files = 8
        door.use(Limits(max_connections=1, max_handshakes=2))
        self.assertEqual(door.max_sockets, 3)
        door.use(Limits(max_connections=50, max_handshakes=50))
        self.assertEqual(door.max_sockets, 8)

    def test_sockets(self) -> None:
        door = Door(Limits())
        door.most_files = 2
        self.inside(door)
        self.assertIsNone(Visit(door).knocks())
        self.assertEqual(Visit(door).knocks(), FULL)

    def test_some_more_than_the_most_sockets_can_be_told_so(self) -> None:
        door = Door(Limits())
        door.most_files = 2
        visits = [Visit(door) for _ in range(1 + SPARE_SOCKETS)]
        self.assertFalse(door.is_overrun)
        visits.append(Visit(door))
        self.assertTrue(door.is_overrun)

    def test_connections(self) -> None:
        door = Door(Limits(max_connections=2))
        first, _ = self.inside(door), self.inside(door)
        late = Visit(door)
        late.is_from("192.0.2.9")
        self.assertEqual((late.knocks(), late.may_enter(), late.enters("other")), (None, FULL, FULL))
        first.ends()
        self.assertIsNone(late.may_enter())
        self.assertIsNone(late.enters("other"))

    def test_connections_of_an_address(self) -> None:
        door = Door(Limits(max_connections_per_address=2))
        first, _ = self.inside(door), self.inside(door, user="other")
        late = Visit(door)
        late.is_from("192.0.2.1")
        self.assertEqual((late.may_enter(), late.enters("third")), (TOO_MANY, TOO_MANY))
        self.inside(door, "192.0.2.2")
        first.ends()
        self.assertIsNone(late.enters("third"))

    def test_connections_of_a_user(self) -> None:
        door = Door(Limits(max_connections_per_user=2))
        first, _ = self.inside(door), self.inside(door, "192.0.2.2")
        late = Visit(door)
        late.is_from("192.0.2.3")
        self.assertIsNone(late.may_enter())
        self.assertEqual(late.enters("qa"), TOO_MANY)
        self.assertIsNone(late.enters("other"))
        late.ends()
        first.ends()
        self.inside(door)

    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.sampled_from("xy"))))
    def test_when_all_have_gone_nothing_is_left(self, ways: list[tuple[int, str, str]]) -> None:
        door = Door(Limits(max_connections=3, max_handshakes=4, max_connections_per_user=2))
        visits = []
        for steps, address, user in ways:
            visit = Visit(door)
            visits.append(visit)
            for step in (
                visit.knocks,
                lambda v=visit, a=address: v.is_from(a),
                visit.waits,
                visit.is_checked,
                lambda v=visit, u=user: v.enters(u),
            )[:steps]:
                step()
        for visit in visits:
            visit.ends()
        self.assertEqual((door.handshakes, door.waiting, door.connections), (0, 0, 0))
        self.assertEqual((door.handshakes_of, door.connections_of, door.connections_as), ({}, {}, {}))
