# SPDX-License-Identifier: Apache-2.0
"""What each relay message carries (spec/relay.md, section 3; CDDL section 6).

Class A messages are signed and in clear to the relay: they must work before and while
keys change.  Class B messages are signed, then sealed to the group.
"""

from enum import IntEnum
from typing import Final, TypeAlias

from incamera.protocol.encoding import MAX_ENTRY, Value
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.kem import (
    KEM_KEY_BYTES,
    SEAL_OVERHEAD,
    SEED_BYTES,
    verify_kem_key,
)
from incamera.protocol.schema import (
    BOOL,
    ArrayOf,
    As,
    Codec,
    Enumerated,
    ListOf,
    MapOf,
    key,
    octets,
    record,
    refuse,
    text,
    uint,
)
from incamera.protocol.wraps import MAX_SLOT, WRAP, Wrap

MAX_WRAPS: Final = 960
"""Wraps in one batch: at 68 bytes each they still fit into one message."""
MAX_PROOF_KEYS: Final = 1024
"""Proof keys in one message: the members of our largest meeting."""
MAX_OPENING: Final = 60_000
"""Bytes of an identity opening: its topic's records and its proof."""
MAX_SDP: Final = 16_384
"""Bytes of a session description with all its candidates."""
MAX_STREAMS: Final = 4
"""Live streams of one sender: its slot in the key id has two bits for them."""
MAX_CHAT: Final = 8192
"""Bytes of one chat message."""
MAX_CODEC: Final = 15
MAX_INSTANCE: Final = 64

ID: Final = octets(32)
ENTRY_ID: Final[Codec[EntryId]] = As(octets(32), EntryId)
KEY_ID: Final[Codec[KeyId]] = As(octets(32), KeyId)
KEM_KEY: Final[Codec[bytes]] = As(octets(KEM_KEY_BYTES), verify_kem_key)


class MessageType(IntEnum):
    """Type numbers of signed messages: class A below 96, class B from there."""

    MEMBER_KEYS = 64
    KEK = 65
    ACK = 66
    SWITCH = 67
    WRAP_ASK = 72
    DECLINE = 74
    IDENTITY = 96
    STREAMS = 98
    OFFER = 99
    ANSWER = 100
    CHAT = 101
    CONTROL = 102
    CONSENT = 103
    GATE = 104
    IDENTITY_KEYS = 106

    @property
    def is_sealed(self) -> bool:
        """True for class B: only ever sent in a box."""
        return self >= MessageType.IDENTITY


class DeclineReason(IntEnum):
    """Why the leader does not admit a request."""

    UNSTATED = 0
    IDENTITY = 1
    DOORS = 2
    FULL = 3
    TAG = 4


class ControlKind(IntEnum):
    """What a control message asks or tells; 9 to 16 are free."""

    RAISE_HAND = 1
    MUTE_REQUEST = 2
    ASK_REMOVAL = 3
    ASK_CLOSE_DOORS = 4
    KEY_FRAME = 5
    REACTION = 6
    BYE = 7
    ASK_PROOF_KEYS = 8


class ConsentKind(IntEnum):
    """What somebody agrees to."""

    RECORDING = 1
    TRANSCRIPT = 2
    STREAM = 3
    OTHER = 4


class Role(IntEnum):
    """Who of two members offers a connection."""

    OFFERER = 1
    ANSWERER = 2


@record
class MemberKeys:
    """A member's two unused KEM keys: for this leader and a spare for the next."""

    current: bytes = key(1, KEM_KEY)
    spare: bytes = key(2, KEM_KEY)
    generation: int = key(3, uint(2**32 - 1))


@record
class KekMessage:
    """A key-encryption key, sealed to one member's KEM key."""

    kek_id: bytes = key(1, ID)
    prev_epoch: EntryId = key(2, ENTRY_ID)
    receiver: EntryId = key(3, ENTRY_ID)
    kem_key_hash: bytes = key(4, ID)
    sealed: bytes = key(5, octets(SEAL_OVERHEAD + SEED_BYTES))


@record
class Ack:
    """The sender holds this key, checked against its commitment."""

    key_id: KeyId = key(1, KEY_ID)


@record
class Switch:
    """The leader's word to send under this key from now on."""

    key_id: KeyId = key(1, KEY_ID)
    epoch: int = key(2, uint())


@record
class WrapAsk:
    """The sender lacks the wrap of a key; `step` is the lowest t it still opens."""

    key_id: KeyId = key(1, KEY_ID)
    kek_id: bytes = key(2, ID)
    step: int = key(3, uint())


@record
class Decline:
    """The leader does not admit this request."""

    request: EntryId = key(1, ENTRY_ID)
    reason: DeclineReason = key(2, Enumerated(DeclineReason))


@record
class IdentityMessage:
    """The sender's own identity opening, as bytes."""

    opening: bytes = key(1, octets(1, MAX_OPENING))


@record
class Stream:
    """One stream of a sender: number = 4 x generation + kind."""

    number: int = key(0, uint())
    kind: int = key(1, uint(3))
    instance: str = key(2, text(MAX_INSTANCE))
    codec: int = key(3, uint(MAX_CODEC))


class _StreamCodec(ArrayOf[Stream]):
    """An array whose number and kind agree: the key id says the kind only once."""

    def decode(self, value: Value, /) -> Stream:
        stream = super().decode(value)
        if stream.number % 4 != stream.kind:
            raise refuse("stream number does not end in its kind")
        return stream


STREAMS: Final = ListOf(_StreamCodec(Stream), MAX_STREAMS)


@record
class StreamMessage:
    """All live streams of the sender."""

    streams: tuple[Stream, ...] = key(1, STREAMS)


@record
class Description:
    """One end of a media connection: who, which connection, whose DTLS certificate."""

    sender: EntryId = key(1, ENTRY_ID)
    receiver: EntryId = key(2, ENTRY_ID)
    connection: bytes = key(3, octets(16))
    role: Role = key(4, Enumerated(Role))
    fingerprint: bytes = key(5, ID)
    peer_fingerprint: bytes | None = key(6, ID, default=None)
    sdp: str = key(7, text(MAX_SDP, 1))
    streams: tuple[Stream, ...] = key(8, STREAMS)


@record
class Offer(Description):
    """The offer of a media connection."""


@record
class Answer(Description):
    """The answer to an offer; `peer_fingerprint` repeats the offer's."""


@record
class Chat:
    """Something said; `answers` is the id of the chat message it answers."""

    id: bytes = key(1, ID)
    text: str = key(2, text(MAX_CHAT))
    answers: bytes | None = key(3, ID, default=None)


@record
class Control:
    """A hand, a request to be quiet, and the like; `target` is a member's entry."""

    kind: ControlKind = key(1, Enumerated(ControlKind))
    target: EntryId | None = key(2, ENTRY_ID, default=None)
    on: bool | None = key(3, BOOL, default=None)


@record
class Consent:
    """The sender agrees, or no longer; to all, or to one member's request."""

    kind: ConsentKind = key(1, Enumerated(ConsentKind))
    given: bool = key(2, BOOL)
    to: EntryId | None = key(3, ENTRY_ID, default=None)


@record
class GateMessage:
    """A new link secret, and the policy entry that puts its gate in force."""

    secret: bytes = key(1, ID)
    policy_entry: EntryId = key(2, ENTRY_ID)


@record
class ProofKey:
    """The key of one present member's stored identity proof."""

    slot: int = key(0, uint(MAX_SLOT))
    key: bytes = key(1, octets(32))


@record
class IdentityKeys:
    """The proof keys of those present, for those who have just come in."""

    keys: tuple[ProofKey, ...] = key(1, ListOf(ArrayOf(ProofKey), MAX_PROOF_KEYS, 1))


Body: TypeAlias = (
    MemberKeys
    | KekMessage
    | Ack
    | Switch
    | WrapAsk
    | Decline
    | IdentityMessage
    | StreamMessage
    | Offer
    | Answer
    | Chat
    | Control
    | Consent
    | GateMessage
    | IdentityKeys
)

BODIES: Final[dict[MessageType, type[Body]]] = {
    MessageType.MEMBER_KEYS: MemberKeys,
    MessageType.KEK: KekMessage,
    MessageType.ACK: Ack,
    MessageType.SWITCH: Switch,
    MessageType.WRAP_ASK: WrapAsk,
    MessageType.DECLINE: Decline,
    MessageType.IDENTITY: IdentityMessage,
    MessageType.STREAMS: StreamMessage,
    MessageType.OFFER: Offer,
    MessageType.ANSWER: Answer,
    MessageType.CHAT: Chat,
    MessageType.CONTROL: Control,
    MessageType.CONSENT: Consent,
    MessageType.GATE: GateMessage,
    MessageType.IDENTITY_KEYS: IdentityKeys,
}
TYPES: Final = {kind: number for number, kind in BODIES.items()}


def body_codec(kind: MessageType) -> Codec[Body]:
    """Return the wire form of the bodies of one type."""
    return _CODECS[kind]


_CODECS: Final[dict[MessageType, Codec[Body]]] = {
    number: MapOf(kind) for number, kind in BODIES.items()
}


@record
class WrapBatch:
    """Wraps of one key for several members, from the leader to the relay."""

    key_id: KeyId = key(1, KEY_ID)
    wraps: tuple[Wrap, ...] = key(2, ListOf(WRAP, MAX_WRAPS, 1))


@record
class WrapOne:
    """One member's wrap, from the relay to it."""

    key_id: KeyId = key(1, KEY_ID)
    wrap: Wrap = key(2, WRAP)


@record
class EntryPush:
    """A signed entry before the ledger orders it; `time_ms` once it is ordered."""

    entry: bytes = key(1, octets(1, MAX_ENTRY))
    time_ms: int | None = key(2, uint(), default=None)
