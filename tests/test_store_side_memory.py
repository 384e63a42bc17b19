"""Tries and expiry where no table can be made for them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsmb.store.side_memory import SideMemory


class SideMemoryTest(SynchronousTestCase):
    def test_it_does_not_grow_for_ever(self) -> None:
        memory = SideMemory()
        memory.put((number, 1, None) for number in range(150_000))
        self.assertEqual(len(memory), 100_000)
        self.assertEqual(list(memory.notes([49_999, 50_000, 149_999])), [50_000, 149_999])

    def test_what_has_expired_is_found_a_portion_at_a_time(self) -> None:
        memory = SideMemory()
        memory.put([(1, 0, 5.0), (2, 1, None), (3, 0, 6.0), (4, 0, 7.0), (5, 0, 1.0)])
        self.assertEqual(memory.expired(6.5, 2), [1, 3])
        memory.delete([1, 3, 9])
        self.assertEqual(memory.expired(6.5, 2), [5])
