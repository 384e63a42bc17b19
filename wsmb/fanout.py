"""Handing frames to peers, in one order for each peer."""

from __future__ import annotations

from collections.abc import Sequence

from wsmb.frames import Bundle
from wsmb.interfaces import Peer


class Fanout:
    """Sends frames to peers. What goes to the same peers in a row is bundled: the cost of a further
    frame does not depend on how many they are.

    A broker has one for all its channels: a bundle takes frames only as long as nothing else has been
    sent, so that what a peer gets is in the order in which it was sent.
    """

    __slots__ = ("_bundle", "_peers")

    def __init__(self) -> None:
        self._peers: Sequence[Peer] = ()
        self._bundle: Bundle | None = None

    def send(self, peers: Sequence[Peer], frame: bytes) -> None:
        """Send `frame` to each of `peers`, a sequence that is not changed any more."""
        if peers is not self._peers or len(peers) == 1:
            self._peers = peers
            self._bundle = None
            for peer in peers:
                peer.send_frame(frame)
            return
        bundle = self._bundle
        if bundle is None or bundle.is_sealed:
            bundle = self.begin(peers)
        bundle.add(frame)

    def begin(self, peers: Sequence[Peer]) -> Bundle:
        """Send each of `peers` a new bundle, to which frames may be added as long as it is open."""
        self._peers = peers
        self._bundle = bundle = Bundle()
        for peer in peers:
            peer.send_bundle(bundle)
        return bundle

    def is_open(self, bundle: Bundle) -> bool:
        """Whether `bundle`, not sealed yet, may still take frames: nothing else was sent since."""
        return bundle is self._bundle
