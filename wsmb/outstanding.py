"""What one channel has handed out and its receivers have not proved yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from wsmb import frames
from wsmb.acks import Subscription
from wsmb.deliveries import Delivery, Message
from wsmb.fanout import Fanout
from wsmb.forms import Forms
from wsmb.frames import Bundle
from wsmb.interfaces import Peer
from wsmb.receiver import Receiver


class Outstanding:
    """Hands out, and remembers what has been handed out until it is settled.

    `settled` gets each delivery that is outstanding no more, proved or failed; `redeliver` is called
    when all that fail together have failed.
    """

    def __init__(
        self, fanout: Fanout, settled: Callable[[Delivery], None], redeliver: Callable[[], None]
    ) -> None:
        self._fanout = fanout
        self._redeliver = redeliver
        self._settled = settled
        self._receivers: dict[Peer, Receiver] = {}
        self._subscriptions: dict[Peer, Subscription] = {}
        self.forms = Forms(fanout)
        self._unsettled: dict[Delivery, None] = {}
        self.ids: set[int] = set()
        """The items of the store that are with a receiver, or will be given to one from memory."""
        self.has_unstored = False
        """Whether something that the store does not have was handed out since this was last reset."""
        # What goes to the same receivers in a row is one delivery, and one bundle of frames.
        self._run: Delivery | None = None
        self._run_peers: Sequence[Peer] = ()
        self._run_bundle: Bundle | None = None

    def __len__(self) -> int:
        return len(self._unsettled)

    @property
    def has_acks(self) -> bool:
        """Whether one of the receivers acknowledges."""
        return bool(self._subscriptions)

    def join(self, receiver: Receiver, subscription: Subscription | None) -> None:
        """It receives, and acknowledges if there is a `subscription`."""
        peer = receiver.peer
        self._receivers[peer] = receiver
        if receiver.reads_texts:
            self.forms.join(peer)
        self._leave(peer)
        if subscription is not None:
            self._subscriptions[peer] = subscription

    def leave(self, peer: Peer) -> None:
        """`peer` receives no more; what it was sent stays outstanding."""
        self._receivers.pop(peer, None)
        self.forms.leave(peer)
        self._leave(peer)

    def use_timeout(self, timeout_s: float) -> None:
        """What is sent from now on has so long to be acknowledged."""
        for subscription in self._subscriptions.values():
            subscription.timeout_s = timeout_s

    def _leave(self, peer: Peer) -> None:
        subscription = self._subscriptions.pop(peer, None)
        if subscription is not None:
            subscription.left()

    def is_full(self, peer: Peer) -> bool:
        """Whether `peer` should not be given more now."""
        if self._subscriptions:
            subscription = self._subscriptions.get(peer)
            if subscription is not None:
                return subscription.is_full() or peer.is_full()
        return self._receivers[peer].is_full()

    def wait_for_room(self, room: Callable[[], None]) -> None:
        """Call `room` once, as soon as one of the receivers has proved something."""
        for receiver in self._receivers.values():
            receiver.wait_for_room(room)

    def hand(self, message: Message, peers: Sequence[Peer]) -> None:
        """Send `message` to `peers`, a sequence that is not changed any more."""
        if message.ids:
            self.ids.update(message.ids)
        else:
            self.has_unstored = True
        if self._subscriptions and not self._subscriptions.keys().isdisjoint(peers):
            self._hand_singly(message, peers)
            return
        payloads = None
        if message.texts is not None:
            payloads = self.forms.one_for_all(message, peers)
            if payloads is None:
                self._hand_singly(message, peers)
                return
        run, bundle = self._run, self._run_bundle
        if (
            run is None
            or bundle is None
            or self._run_peers is not peers
            or bundle.is_sealed
            or not self._fanout.is_open(bundle)
        ):
            run, bundle = self._begin_run(peers)
        run.add(message)
        if payloads is None:
            bundle.add(frames.text_frame(message.payload))
        else:
            for payload in payloads:
                bundle.add(frames.text_frame(payload))

    def tell(
        self,
        handed: Callable[[Message, Iterable[Receiver]], None],
        settled: Callable[[Delivery], None],
    ) -> None:
        """Tell of all that is handed out from now on, and of how it is settled, until `tell_no_more`.

        Done in the place of the methods, so that it costs nothing where nobody wants to know.
        """

        def hand(message: Message, peers: Sequence[Peer]) -> None:
            handed(message, [self._receivers[peer] for peer in peers])
            Outstanding.hand(self, message, peers)

        def close(delivery: Delivery) -> None:
            settled(delivery)
            Outstanding._close(self, delivery)

        self.tell_no_more()
        self.__dict__.update(hand=hand, _close=close)

    def tell_no_more(self) -> None:
        """See `tell`."""
        self._run = None  # whose end would still be told of
        for name in ("hand", "_close"):
            self.__dict__.pop(name, None)

    def _begin_run(self, peers: Sequence[Peer]) -> tuple[Delivery, Bundle]:
        self._run = run = self._begin(peers)
        self._run_peers = peers
        self._run_bundle = bundle = self._fanout.begin(peers)
        for peer in peers:
            self._receivers[peer].handed(run)
        return run, bundle

    def _hand_singly(self, message: Message, peers: Sequence[Peer]) -> None:
        delivery = self._begin(peers)
        delivery.add(message)
        plain = [peer for peer in peers if peer not in self._subscriptions]
        self.forms.send(message, plain)
        for peer in plain:
            self._receivers[peer].handed(delivery)
        for peer in peers:
            subscription = self._subscriptions.get(peer)
            if subscription is not None:
                subscription.give(delivery)

    def _begin(self, peers: Sequence[Peer]) -> Delivery:
        delivery = Delivery(len(peers), self._close, self._redeliver)
        self._unsettled[delivery] = None
        return delivery

    def _close(self, delivery: Delivery) -> None:
        del self._unsettled[delivery]
        self._settled(delivery)

    def messages(self) -> list[Message]:
        """All that is outstanding."""
        return [message for delivery in self._unsettled for message in delivery.messages]
