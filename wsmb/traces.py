"""Following one message: what becomes of what is sent under an id that somebody has asked about.

Who wants to know receives on a channel of the broker's own whose name holds the key of the message id
(`channel_of`), before the message is sent; each step comes there as an item. The channel that the message
is on then tells of it (Following): so long as nobody asks, a message costs nothing for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from wsmb.deliveries import Delivery, Message
from wsmb.errors import StoreError
from wsmb.receiver import Receiver

PREFIX = "$trace."
_KEY_HEX_CHARS = 32
_encode = msgspec.json.encode


def channel_of(key: bytes) -> str:
    """Where the steps of the message with this key (see message_ids) are told."""
    return PREFIX + key.hex()


def _key_of(name: str) -> bytes | None:
    digits = name.removeprefix(PREFIX)
    if digits == name or len(digits) != _KEY_HEX_CHARS or set(digits) - set("0123456789abcdef"):
        return None
    return bytes.fromhex(digits)


class Traces:
    """The messages that somebody wants to know about. Empty, and so false, most of the time.

    `tell` puts a step, a JSON text, on a channel of this broker's own.
    """

    def __init__(self, time_stamp: Callable[[], str], tell: Callable[[str, bytes], None]) -> None:
        self._time_stamp = time_stamp
        self._tell = tell
        self._keys: set[bytes] = set()
        # A message by itself as long as it is the one that was sent; by the ids of its items once it is read
        # from the store.
        self._messages: dict[Message, bytes] = {}
        self._ids: dict[int, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def begin(self, name: str) -> None:
        """Somebody receives on the channel `name`, which may be one for steps."""
        key = _key_of(name)
        if key is not None:
            self._keys.add(key)

    def end(self, name: str) -> bytes:
        """Nobody does any more. The key of the message that it was about, if there is one."""
        key = _key_of(name) or b""
        if key in self._keys:
            self._keys.discard(key)
            self._messages = {message: one for message, one in self._messages.items() if one != key}
            self._ids = {item_id: one for item_id, one in self._ids.items() if one != key}
        return key

    def follows(self, key: bytes) -> bool:
        """Whether somebody wants to know of the message with this key."""
        return key in self._keys

    def step(self, key: bytes, step: str, **fields: object) -> None:
        """Tell of one, if it is followed."""
        if key in self._keys:
            text = _encode({"step": step, "time": self._time_stamp(), **fields})
            self._tell(channel_of(key), text)

    # What channels tell

    def stored(self, message: Message, result: Sequence[int] | StoreError) -> None:
        """The store has taken `message`, under these ids, or has not."""
        for key in self._of(message):
            if isinstance(result, StoreError):
                self.step(key, "refused", reason=str(result))
                self._messages.pop(message, None)
            elif result:
                self._ids.update(dict.fromkeys(result, key))
                self.step(key, "stored", items=len(result))

    def handed(self, message: Message, receivers: Iterable[Receiver]) -> None:
        """`message` goes to these receivers."""
        for key, items in self._of(message).items():
            for receiver in receivers:
                address = getattr(receiver.peer, "peer", "")
                self.step(key, "handed", user=receiver.user, address=address, items=items)

    def settled(self, delivery: Delivery) -> None:
        """A delivery is proved, or has failed."""
        for message in delivery.messages:
            for key, items in self._of(message).items():
                if delivery.is_proved:
                    self.step(key, "proved", items=items)
                    self._forget(message)
                else:
                    how = delivery.dead_reason or ("given back" if delivery.is_acknowledged else "not proved")
                    self.step(key, "failed", user=delivery.last_user, reason=how, items=items)

    def ended(self, message: Message, step: str, **fields: object) -> None:
        """`message` goes to nobody any more: `expired` or `dead`."""
        for key, items in self._of(message).items():
            self.step(key, step, items=items, **fields)
        self._forget(message)

    def expired(self, ids: Iterable[int]) -> None:
        """Items in the store are too old."""
        for key, items in Counter(self._ids[one] for one in ids if one in self._ids).items():
            self.step(key, "expired", items=items)

    def _of(self, message: Message) -> Counter[bytes]:
        """The messages that `message` is of, by key, each with the number of its items."""
        key = self._messages.get(message)
        if key is None and message.key in self._keys:
            key = message.key
        if key is None:
            return Counter(self._ids[one] for one in message.ids if one in self._ids)
        self._messages[message] = key
        return Counter({key: len(message.split())})

    def _forget(self, message: Message) -> None:
        self._messages.pop(message, None)
        for item_id in message.ids:
            self._ids.pop(item_id, None)
