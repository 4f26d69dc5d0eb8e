# SPDX-License-Identifier: Apache-2.0
"""What may arrive over the relay, and who said it (spec/relay.md, section 3).

    clear   signed messages of class A, entry pushes, wraps, group and request boxes
    sealed  signed messages of class B, inside a group box or a proof box

Parsing checks form only.  Whoever knows the sender's key then verifies the message and
passes it through a `CounterGuard`, so nothing is taken twice.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol import labels
from incamera.protocol.box import (
    GROUP_BOX,
    REQUEST_BOX,
    GroupBox,
    GroupContext,
    RequestBox,
    open_group,
)
from incamera.protocol.encoding import MAX_MESSAGE, MAX_UINT, Value, encode, parse
from incamera.protocol.envelope import Signed, parse_signed, sign
from incamera.protocol.ids import Kid, MeetingId, MessageId, VerifyKey
from incamera.protocol.message_bodies import (
    TYPES,
    Body,
    EntryPush,
    MessageType,
    WrapBatch,
    WrapOne,
    body_codec,
)
from incamera.protocol.ports import Signer
from incamera.protocol.schema import As, Codec, MapOf, key, octets, record, refuse, uint
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of

_TAG_18: Final = b"\xd2"
_COUNTER_BITS: Final = 32
MAX_BOOT: Final = MAX_UINT >> _COUNTER_BITS
"""Highest boot number: one new one per start of the daemon, 2^21 of them."""


@record
class MessageHeader:
    """Who says what kind of thing in which meeting, and when in its own order."""

    sender: Kid = key(4, As(octets(16), Kid))
    type: int = key(16, uint())
    meeting: MeetingId = key(70, As(octets(32), MeetingId))
    counter: int = key(71, uint())
    term: int = key(73, uint())


_HEADER: Final = MapOf(MessageHeader)


@dataclass(frozen=True, slots=True)
class Message:
    """A signed message in parts; its signature holds only after `verify`."""

    signed: Signed
    header: MessageHeader
    body: Body
    id: MessageId
    data: bytes

    @property
    def type(self) -> MessageType:
        """What kind of message it is."""
        return MessageType(self.header.type)

    def verify(self, sender: VerifyKey, meeting: MeetingId) -> None:
        """Check that `sender` signed this for `meeting`.

        Raises PeerError: WRONG_SENDER, WRONG_PLACE or BAD_SIGNATURE.
        """
        if self.header.sender != kid_of(sender):
            raise PeerError(Code.WRONG_SENDER, "message names another sender")
        if self.header.meeting != meeting:
            raise PeerError(Code.WRONG_PLACE, "message is of another meeting")
        self.signed.verify(sender, labels.MESSAGE)


Incoming: TypeAlias = Message | WrapOne | EntryPush | GroupBox | RequestBox
"""Everything that a member may receive in clear."""
Unsigned: TypeAlias = WrapOne | WrapBatch | EntryPush | GroupBox | RequestBox

_WRAP_ONE: Final = MapOf(WrapOne)
_WRAP_BATCH: Final = MapOf(WrapBatch)
_ENTRY_PUSH: Final = MapOf(EntryPush)


def sign_message(
    signer: Signer, body: Body, *, meeting: MeetingId, counter: int, term: int
) -> Message:
    """Return `body` signed; its type follows from its class.

    Raises UsageError(TOO_LARGE) if it is longer than a message may be.
    """
    kind = TYPES[type(body)]
    header = MessageHeader(
        sender=kid_of(signer.public),
        type=int(kind),
        meeting=meeting,
        counter=counter,
        term=term,
    )
    payload = body_codec(kind).encode(body)
    signed = sign(
        signer, labels.MESSAGE, header=_HEADER.encode(header), payload=payload
    )
    data = signed.encode()
    if len(data) > MAX_MESSAGE:
        raise UsageError(Code.TOO_LARGE, f"a message of {len(data)} bytes")
    return Message(signed, header, body, _id(signed), data)


def parse_message(data: bytes) -> Incoming:
    """Return what arrived in clear.

    Raises PeerError: TOO_LARGE, NOT_CANONICAL, SCHEMA, UNKNOWN_TYPE, BAD_KEY for a
    malformed KEM key, NOT_ALLOWED for a message that belongs into a box.
    """
    if data[:1] != _TAG_18:
        return _parse_unsigned(parse(data, MAX_MESSAGE))
    message = _parse_signed_message(data)
    if message.type.is_sealed:
        raise PeerError(Code.NOT_ALLOWED, "message of this type came in clear")
    return message


def parse_sealed_message(data: bytes) -> Message:
    """Return the signed message from inside a box; raises as `parse_message`."""
    message = _parse_signed_message(data)
    if not message.type.is_sealed:
        raise PeerError(Code.NOT_ALLOWED, "message of this type came in a box")
    return message


def open_message(
    group: Secret, box: GroupBox, *, context: GroupContext, sender: VerifyKey
) -> Message:
    """Return the verified message in a group box of the member with key `sender`.

    `sender` is the key in slot `box.slot` of the roster of `context`.  Raises
    PeerError: BAD_BOX, and as `parse_sealed_message` and `Message.verify`.
    """
    message = parse_sealed_message(open_group(group, box, context))
    message.verify(sender, context.meeting)
    return message


def parse_wrap_batch(data: bytes) -> WrapBatch:
    """Return a leader's batch of wraps, which only the relay receives."""
    return _WRAP_BATCH.decode(parse(data, MAX_MESSAGE))


def encode_unsigned(value: Unsigned) -> bytes:
    """Return the bytes of something that carries no signature of its own."""
    codec: Codec[Unsigned] = _CODECS[type(value)]
    return encode(codec.encode(value))


def split_batch(batch: WrapBatch) -> dict[int, WrapOne]:
    """Return each slot's own wrap: what the relay passes on."""
    return {wrap.slot: WrapOne(key_id=batch.key_id, wrap=wrap) for wrap in batch.wraps}


class CounterGuard:
    """The highest counter seen of every sender and type; nothing is taken twice."""

    def __init__(self) -> None:
        self._highest: dict[tuple[Kid, int], int] = {}

    def check(self, message: Message) -> None:
        """Raise PeerError(REPLAYED) unless a *verified* message's counter is new."""
        header = message.header
        place = header.sender, header.type
        if header.counter <= self._highest.get(place, -1):
            raise PeerError(Code.REPLAYED, "message counter was seen or passed")

    def admit(self, message: Message) -> None:
        """Take a *verified* message; PeerError(REPLAYED) unless its counter is new."""
        self.check(message)
        header = message.header
        self._highest[header.sender, header.type] = header.counter

    def forget(self, sender: Kid) -> None:
        """Drop what is known of a member that is gone; its key never comes back."""
        self._highest = {
            place: value for place, value in self._highest.items() if place[0] != sender
        }

    def save(self) -> Value:
        """Return the saved form."""
        return [[*place, value] for place, value in sorted(self._highest.items())]

    @classmethod
    def load(cls, value: Value) -> "CounterGuard":
        """Return what `save` wrote; UsageError(STORAGE) for anything else."""
        guard = cls()
        if not isinstance(value, list):
            raise UsageError(Code.STORAGE, "saved counters are damaged")
        for item in value:
            match item:
                case [bytes() as sender, int() as kind, int() as counter]:
                    guard._highest[Kid(sender), kind] = counter
                case _:
                    raise UsageError(Code.STORAGE, "saved counters are damaged")
        return guard


class MessageCounter:
    """Our own counter: boot << 32 | n, so a restart needs no exact memory."""

    def __init__(self, boot: int) -> None:
        """`boot` is higher than ever before in this meeting, and saved before use."""
        if not 0 <= boot <= MAX_BOOT:
            raise UsageError(Code.COUNTER_EXHAUSTED, "too many restarts")
        self._next = boot << _COUNTER_BITS
        self._end = (boot + 1) << _COUNTER_BITS

    def take(self) -> int:
        """Return the next value; UsageError(COUNTER_EXHAUSTED) after 2^32."""
        if self._next == self._end:
            raise UsageError(Code.COUNTER_EXHAUSTED, "message counter is used up")
        self._next += 1
        return self._next - 1


def _parse_signed_message(data: bytes) -> Message:
    signed = parse_signed(data, MAX_MESSAGE)
    header = _HEADER.decode(parse(signed.protected, MAX_MESSAGE))
    try:
        kind = MessageType(header.type)
    except ValueError:
        raise PeerError(Code.UNKNOWN_TYPE, f"message type {header.type}") from None
    body = body_codec(kind).decode(parse(signed.payload, MAX_MESSAGE))
    return Message(signed, header, body, _id(signed), data)


def _parse_unsigned(value: Value) -> Incoming:
    """Tell the unsigned forms apart by their keys and the type under key 2."""
    match value:
        case {1: _, 2: int(), 3: _, 4: _}:
            return GROUP_BOX.decode(value)
        case {1: _, 2: bytes(), 3: _}:
            return REQUEST_BOX.decode(value)
        case {1: _, 2: list()}:
            return _WRAP_ONE.decode(value)
        case {1: _}:
            return _ENTRY_PUSH.decode(value)
    raise refuse("no message has this form")


def _id(signed: Signed) -> MessageId:
    return MessageId(signed.identify(labels.MESSAGE))


_CODECS: Final[dict[type, Codec[Unsigned]]] = {
    WrapOne: _WRAP_ONE,  # type: ignore[dict-item]  # a codec of one of the union
    WrapBatch: _WRAP_BATCH,  # type: ignore[dict-item]  # as above
    EntryPush: _ENTRY_PUSH,  # type: ignore[dict-item]  # as above
    GroupBox: GROUP_BOX,  # type: ignore[dict-item]  # as above
    RequestBox: REQUEST_BOX,  # type: ignore[dict-item]  # as above
}
