"""Which form of a message is for whom, on one channel.

Most receivers read commands. Those with the channel in their URL read texts (see Message).
"""

from __future__ import annotations

from collections.abc import Sequence

from wsmb import frames
from wsmb.deliveries import Message
from wsmb.fanout import Fanout
from wsmb.interfaces import Peer


class Forms:
    """Who reads texts, and sends each the form that it reads."""

    __slots__ = ("_fanout", "_peers", "_split", "readers")

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self.readers: set[Peer] = set()
        """Who reads texts. (Not to be changed.)"""
        # What goes to the same peers as the last message need not be split again.
        self._peers: Sequence[Peer] = ()
        self._split: tuple[Sequence[Peer], Sequence[Peer]] = ((), ())

    def join(self, peer: Peer) -> None:
        """`peer` reads texts."""
        self.readers.add(peer)

    def leave(self, peer: Peer) -> None:
        """`peer` receives no more."""
        self.readers.discard(peer)
        self._peers, self._split = (), ((), ())

    def one_for_all(self, message: Message, peers: Sequence[Peer]) -> Sequence[bytes] | None:
        """What goes to each of `peers`, a frame each; None if not all of them read the same."""
        readers, others = self._split_up(peers)
        if readers and others:
            return None
        return message.texts if readers else (message.payload,)

    def send(self, message: Message, peers: Sequence[Peer]) -> None:
        """Send `message` to `peers`, a sequence that is not changed any more, and follow it no further."""
        readers, others = ((), peers) if message.texts is None else self._split_up(peers)
        if readers and message.texts is not None:
            for text in message.texts:
                self._fanout.send(readers, frames.text_frame(text))
        if others:
            self._fanout.send(others, frames.text_frame(message.payload))

    def _split_up(self, peers: Sequence[Peer]) -> tuple[Sequence[Peer], Sequence[Peer]]:
        """Those who read texts, and the others."""
        if peers is not self._peers:
            self._peers = peers
            readers = [peer for peer in peers if peer in self.readers]
            if not readers:
                self._split = (), peers
            elif len(readers) == len(peers):
                self._split = peers, ()
            else:
                self._split = readers, [peer for peer in peers if peer not in self.readers]
        return self._split
