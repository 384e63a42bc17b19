"""Who wants to know when a frame has been proved: senders that wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from wsmb.deliveries import Message
from wsmb.interfaces import Peer


class Watch:
    """One frame of a sender that sends nothing else."""

    def __init__(self, proved: Callable[[], None]) -> None:
        """`proved` is called once, as soon as a receiver has proved it; each of its items, if they went
        separately."""
        self.ids: set[int] = set()
        """Its items that are in the store, and that nobody has proved yet."""
        self._proved = proved
        self.is_proved = False

    def prove(self) -> None:
        """All of it is proved."""
        if not self.is_proved:
            self.is_proved = True
            self._proved()


class Watches(dict[Peer, Watch]):
    """The watches of a broker, by sender.

    A frame is known by its sender as long as it is the message that came from it, and by the ids of its
    items once it is read from the store. Most of the time there is none, so that whoever has something
    to tell first looks whether this is empty.
    """

    def stored(self, sender: Peer | None, ids: Sequence[int]) -> None:
        """The items of a message from `sender` are in the store under these ids."""
        watch = None if sender is None else self.get(sender)
        if watch is not None:
            watch.ids.update(ids)

    def proved(self, messages: Iterable[Message]) -> None:
        """These messages have been proved."""
        for message in messages:
            watch = None if message.sender is None else self.get(message.sender)
            if watch is not None:
                watch.prove()
            elif message.ids:
                self._prove_items(message.ids)

    def _prove_items(self, ids: Sequence[int]) -> None:
        for watch in list(self.values()):
            if not watch.ids.isdisjoint(ids):
                watch.ids.difference_update(ids)
                if not watch.ids:
                    watch.prove()
