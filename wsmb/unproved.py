"""What becomes of messages that were handed out: forgotten once proved, else delivered again.

A message that has failed goes to another receiver, or back to wait in its old place, or to the dead
letters. What is not in the store yet is put there first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from wsmb import replies
from wsmb.deliveries import Delivery, Message, is_expired
from wsmb.errors import StoreError
from wsmb.outstanding import Outstanding
from wsmb.settings import ChannelSettings, KeepData, dead_letters_of
from wsmb.surroundings import Surroundings

TOO_MANY_TRIES = "max_deliveries"
REJECTED = "rejected"
BURY_AGAIN_S = 60.0


class Again(Protocol):
    """The channel, as it is asked to deliver again."""

    def deliver_again(self, message: Message) -> bool:
        """Give a failed message to another receiver at once, if there is one. False if not."""

    def restored(self, ids: Sequence[int]) -> None:
        """Items in the store that were out wait again, in their old place."""

    def removed(self, ids: Sequence[int]) -> None:
        """Items have just been removed from the store."""


class Unproved:
    """The outstanding messages of one channel, and what follows when they are settled."""

    def __init__(self, name: str, settings: ChannelSettings, around: Surroundings, channel: Again) -> None:
        self._name = name
        self._settings = settings
        self._keeps = settings.keep_data is not KeepData.NEVER
        self._around = around
        self._store = around.store
        self._channel = channel
        self.outstanding = Outstanding(around.fanout, self._settled, self.redeliver)
        self._failed: list[Delivery] = []
        self._storing = 0
        self._delayed = 0

    def use_settings(self, settings: ChannelSettings, *, keeps: bool) -> None:
        """From now on these count, but for keep_data; `keeps`: whether what has failed goes to the store."""
        self._settings = settings
        self._keeps = keeps

    @property
    def is_idle(self) -> bool:
        """Whether nothing is outstanding or on its way to the store."""
        return not (len(self.outstanding) or self._failed or self._storing or self._delayed)

    def release(self, message: Message) -> None:
        """The items of `message` are the store's again."""
        self.outstanding.ids.difference_update(message.ids)

    def finish(self, message: Message, receivers: int) -> None:
        """`message` was handed out: its sender is told, once its id is remembered."""
        done, message.done = message.done, None
        if done is None:
            return
        if message.key is None:
            done(None, receivers=receivers)
            return

        def remembered(result: Sequence[int] | StoreError) -> None:
            done(result if isinstance(result, StoreError) else None, receivers=receivers)

        key, message.key = message.key, None
        self._store.append(self._name, (), remembered, key=key)

    # Into the store

    def store_first(
        self,
        message: Message,
        committed: Callable[[Message, StoreError | None], None],
        *,
        is_new: bool = False,
    ) -> None:
        """Put `message` into the store; its items are not to be read there, but go from memory.

        `is_new`: its sender has not been told that it was taken, so that it may be refused.
        """
        message.storing = True
        self._storing += 1

        def stored(result: Sequence[int] | StoreError) -> None:
            message.storing = False
            self._storing -= 1
            if self._around.traces:
                self._around.traces.stored(message, result)
            if isinstance(result, StoreError):
                committed(message, result)
            else:
                message.ids = result
                self.outstanding.ids.update(result)
                if self._around.watches:
                    self._around.watches.stored(message.sender, result)
                committed(message, None)
            self._tell_idle()

        message.append_to(self._store, self._name, stored, self._settings if is_new else None)

    def persist(self, others: Sequence[Message] = ()) -> None:
        """Put what is outstanding into the store, since something newer is about to go there.

        With `others`: these, and what is older than one of them.
        """
        if not self.outstanding.has_unstored and not others:
            return
        self.outstanding.has_unstored = bool(others)
        messages = self.outstanding.messages()
        messages += [message for delivery in self._failed for message in delivery.messages]
        if others:
            newest = max(message.number for message in others)
            messages = [message for message in messages if message.number < newest]
        there = {id(message): message for message in (*messages, *others)}
        for message in sorted(there.values(), key=lambda message: message.number):
            if not message.ids and not message.storing:
                message.key = None  # remembered by itself when it was handed out
                self.store_first(message, self._persisted)

    def _persisted(self, message: Message, error: StoreError | None) -> None:
        if error is None and message.is_settled:
            self._forget([message])
        elif error is None and message.is_back:
            self._restore([message])
        elif message.is_back and not self._channel.deliver_again(message):
            # The database will never take it, and nobody else is there to have it.
            self._around.counts["lost"] += len(message.split())

    # Settled

    def _settled(self, delivery: Delivery) -> None:
        self._around.settled[delivery.is_proved] += len(delivery.messages)
        if delivery.is_proved:
            if self._around.watches:
                self._around.watches.proved(delivery.messages)
            self._forget(delivery.messages)
            self._tell_idle()
        else:
            if not self._failed:
                # All that a connection leaves behind fails at once, and goes back together.
                self._around.later(0, self.redeliver)
            self._failed.append(delivery)

    def _forget(self, messages: Sequence[Message]) -> None:
        ids: list[int] = []
        for message in messages:
            message.is_settled = True
            ids += message.ids
        self._remove(ids)

    def _remove(self, ids: Sequence[int]) -> None:
        if ids:
            self.outstanding.ids.difference_update(ids)
            self._store.remove(ids)
            self._channel.removed(ids)

    def freshen(self, message: Message) -> bool:
        """Take out of `message` what is too old to be delivered. False if nothing is left of it."""
        now, field = self._around.pulse.unix_time_s, self._settings.expire_field
        if message.expires_at is not None and message.expires_at <= now:
            self._forget_expired(message)
            return False
        if not field or message.is_batch or message.storing:
            return True
        items = message.split()
        fresh = [place for place, item in enumerate(items) if not is_expired(item, None, field, now)]
        if not fresh:
            self._forget_expired(message)
        elif len(fresh) < len(items):
            self._around.counts["expired"] += len(items) - len(fresh)
            self._remove([item_id for place, item_id in enumerate(message.ids) if place not in fresh])
            message.ids = [message.ids[place] for place in fresh] if message.ids else ()
            message.items = [items[place] for place in fresh]
            message.payload = replies.waiting(self._name, message.items)
        return bool(fresh)

    def _forget_expired(self, message: Message) -> None:
        if self._around.traces:
            self._around.traces.ended(message, "expired")
        self._around.counts["expired"] += len(message.split())
        self._forget([message])

    def redeliver(self) -> None:
        """See to what has failed since the last call."""
        if not self._failed:
            return
        failed, self._failed = self._failed, []
        both = [(message, delivery) for delivery in failed for message in delivery.messages]
        back: list[Message] = []
        for message, delivery in sorted(both, key=lambda pair: pair[0].number):
            if delivery.is_tried:
                message.tries += 1
            if not self._is_done_with(message, delivery):
                back.append(message)
        self._put_back(back)
        self._tell_idle()

    def _is_done_with(self, message: Message, delivery: Delivery) -> bool:
        """Whether `message` has found another place than the one it had."""
        if message.is_settled or not self.freshen(message):
            return True
        reason = delivery.dead_reason
        if not reason and delivery.is_acknowledged and 0 < self._settings.max_deliveries <= message.tries:
            reason = TOO_MANY_TRIES
        if reason:
            self._bury(message, reason, delivery.last_user)
            return True
        self._around.counts["redelivered"] += 1
        if delivery.delay_s:
            self._wait(message, delivery.delay_s)
            return True
        return self._channel.deliver_again(message)

    def _put_back(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        there = [message for message in messages if message.ids]
        for message in messages:
            message.is_back = True
        self.persist(messages)
        self._restore(there)

    def _restore(self, messages: Sequence[Message]) -> None:
        tries = {item_id: message.tries for message in messages for item_id in message.ids if message.tries}
        if tries:
            self._store.note_tries(tries)
        ids = sorted(item_id for message in messages for item_id in message.ids)
        if ids:
            self.outstanding.ids.difference_update(ids)
            self._channel.restored(ids)

    def _wait(self, message: Message, delay_s: float) -> None:
        """Not for anybody before `delay_s`; in the store meanwhile, where messages are kept."""
        if self._keeps and not message.ids and not message.storing:
            self.store_first(message, self._persisted)

        def waited() -> None:
            self._delayed -= 1
            if self._keeps:
                self._put_back([message])
            elif self.freshen(message):
                self._channel.deliver_again(message)
            self._tell_idle()

        if message.ids:
            # The broker may be gone before the delay is over.
            self._store.note_tries(dict.fromkeys(message.ids, message.tries))
            message.payload, message.items, message.texts = b"", (), None  # it will be read again
        self._delayed += 1
        self._around.later(delay_s, waited)

    def _bury(self, message: Message, reason: str, user: str) -> None:
        if self._settings.is_dead_letters:
            self._forget([message])
            return
        letters = [
            replies.dead_letter(
                item,
                channel=self._name,
                reason=reason,
                deliveries=message.tries,
                receiver=user,
                time_stamp=self._around.time_stamp(),
            )
            for item in message.split()
        ]
        self._storing += 1
        dead_letters = self._settings.dead_letter_channel or dead_letters_of(self._name)

        def buried(error: StoreError | None, receivers: int = 0, stored: int = 0) -> None:
            self._storing -= 1
            if error is None:
                self._around.counts["dead"] += len(letters)
                if self._around.traces:
                    self._around.traces.ended(message, "dead", channel=dead_letters, reason=reason)
                self._forget([message])
            else:
                self._wait(message, BURY_AGAIN_S)
            self._tell_idle()

        self._around.bury(dead_letters, letters, buried)

    def note_try(self, message: Message) -> None:
        """`message` is with a receiver that takes its time: after a crash, that was its first try."""
        if message.ids:
            self._store.note_tries(dict.fromkeys(message.ids, message.tries + 1))

    def _tell_idle(self) -> None:
        if self.is_idle:
            self._around.idle(self._name)
