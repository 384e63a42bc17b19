"""Tests for wsmb.client.silence."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsmb.client.silence import PING_TICKS, SILENCE_TICKS, Silence, Step


class SilenceTests(SynchronousTestCase):
    def test_pinged_then_given_up(self) -> None:
        silence = Silence()
        steps = [silence.tick() for _ in range(SILENCE_TICKS)]
        self.assertEqual(steps[PING_TICKS - 1], Step.PING)
        self.assertEqual(steps[-1], Step.GIVE_UP)
        self.assertEqual(set(steps[:-1]) - {Step.PING}, {Step.NOTHING})

    def test_whatever_comes_is_a_sign_of_life(self) -> None:
        silence = Silence()
        for _ in range(3):
            steps = [silence.tick() for _ in range(SILENCE_TICKS - 1)]
            self.assertNotIn(Step.GIVE_UP, steps)
            silence.heard()
