"""What a store does while its server is away, frozen or slow, whichever server it is."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.contracts.store_contract import ask
from tests.integration.server_case import append_numbers, store_threads
from wsmb.errors import Code


class AwayContract:
    """A ServerCase mixes it in."""

    async def test_a_restarted_server_gets_each_append_once(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        answers = append_numbers(store, range(1, 500))
        await answers[0]
        self.server.crash()
        self.server.launch()
        answers += append_numbers(store, range(500, 1000))
        await deferToThread(self.server.wait)
        await gatherResults(answers)
        self.assertTrue(await ask(store.check))
        self.assert_numbers(range(1000))

    async def test_after_a_thaw_what_was_asked_is_done_once(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        answers = append_numbers(store, range(1, 50))
        self.assertIs(await ask(store.check), False)
        self.server.thaw()
        await gatherResults(answers)
        self.assert_numbers(range(50))

    async def test_a_network_that_comes_back(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_off()
        answers = append_numbers(store, range(1, 50))
        self.assertIs(await ask(store.check), False)
        self.assertFalse([answer for answer in answers if answer.called])
        proxy.mend()
        await gatherResults(answers)
        self.assert_numbers(range(50))

    async def test_a_frozen_server_does_not_hold_up_check_and_close(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        answer = ask(store.append, "sms", [b"1"])
        self.assertIs(await ask(store.check), False)
        await ask(store.close)
        self.assertFalse(store_threads())
        self.assertIs((await answer).code, Code.UNAVAILABLE)
