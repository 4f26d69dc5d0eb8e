# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.encoding import MAX_MESSAGE, encode, parse
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.kem import kem_public
from incamera.protocol.message_bodies import (
    BODIES,
    MAX_PROOF_KEYS,
    TYPES,
    Ack,
    Answer,
    Chat,
    Consent,
    ConsentKind,
    Control,
    ControlKind,
    Decline,
    DeclineReason,
    GateMessage,
    IdentityKeys,
    IdentityMessage,
    KekMessage,
    MemberKeys,
    MessageType,
    Offer,
    ProofKey,
    Role,
    Stream,
    StreamMessage,
    Switch,
    WrapAsk,
    body_codec,
)
from incamera.protocol.secret import Secret

ID = b"i" * 32
ENTRY = EntryId(b"e" * 32)
KEY = KeyId(b"k" * 32)
KEM = kem_public(Secret(bytearray(32)))
STREAMS = tuple(
    Stream(number=4 * n + n, kind=n, instance="i" * 64, codec=15) for n in range(4)
)
DESCRIPTION: dict[str, Any] = {
    "sender": ENTRY,
    "receiver": ENTRY,
    "connection": b"c" * 16,
    "role": Role.OFFERER,
    "fingerprint": ID,
    "sdp": "v" * 16_384,
    "streams": STREAMS,
}
LARGEST = [
    MemberKeys(current=KEM, spare=KEM, generation=2**32 - 1),
    KekMessage(
        kek_id=ID, prev_epoch=ENTRY, receiver=ENTRY, kem_key_hash=ID, sealed=bytes(1168)
    ),
    Ack(key_id=KEY),
    Switch(key_id=KEY, epoch=2**53 - 1),
    WrapAsk(key_id=KEY, kek_id=ID, step=2**53 - 1),
    Decline(request=ENTRY, reason=DeclineReason.TAG),
    IdentityMessage(opening=bytes(60_000)),
    StreamMessage(streams=STREAMS),
    Offer(**DESCRIPTION),
    Answer(**DESCRIPTION, peer_fingerprint=ID),
    Chat(id=ID, text="é" * 4096, answers=ID),
    Control(kind=ControlKind.BYE, target=ENTRY, on=True),
    Consent(kind=ConsentKind.RECORDING, given=True),
    Consent(kind=ConsentKind.OTHER, given=False, to=ENTRY),
    GateMessage(secret=ID, policy_entry=ENTRY),
    IdentityKeys(
        keys=tuple(ProofKey(slot=4095, key=ID) for _ in range(MAX_PROOF_KEYS))
    ),
]


@pytest.mark.parametrize("body", LARGEST, ids=lambda body: type(body).__name__)
def test_each_body_round_trips_at_its_maximum(body: Any) -> None:
    codec = body_codec(TYPES[type(body)])
    data = encode(codec.encode(body))
    assert len(data) < MAX_MESSAGE - 300  # header and signature fit, too
    assert codec.decode(parse(data, MAX_MESSAGE)) == body


def test_every_type_has_a_body_and_a_largest_one() -> None:
    assert set(BODIES) == set(MessageType)
    assert {type(body) for body in LARGEST} == set(TYPES)


FAULTS: list[tuple[MessageType, Any, Code]] = [
    (MessageType.MEMBER_KEYS, {1: KEM, 2: KEM, 3: 2**32}, Code.SCHEMA),
    (MessageType.MEMBER_KEYS, {1: KEM, 2: KEM[:-1], 3: 0}, Code.SCHEMA),
    (MessageType.MEMBER_KEYS, {1: KEM, 2: KEM[:1184] + bytes(32), 3: 0}, Code.BAD_KEY),
    (MessageType.KEK, {1: ID, 2: ID, 3: ID, 4: ID, 5: bytes(1167)}, Code.SCHEMA),
    (MessageType.ACK, {1: b""}, Code.SCHEMA),
    (MessageType.SWITCH, {1: ID}, Code.SCHEMA),
    (MessageType.WRAP_ASK, {1: ID, 2: ID, 3: None}, Code.SCHEMA),
    (MessageType.DECLINE, {1: ID, 2: 5}, Code.SCHEMA),
    (MessageType.IDENTITY, {1: b""}, Code.SCHEMA),
    (MessageType.STREAMS, {1: [[0, 0, "", 0]] * 5}, Code.SCHEMA),
    (MessageType.STREAMS, {1: [[1, 0, "", 0]]}, Code.SCHEMA),
    (MessageType.STREAMS, {1: [[4, 4, "", 0]]}, Code.SCHEMA),
    (MessageType.STREAMS, {1: [[0, 0, "i" * 65, 0]]}, Code.SCHEMA),
    (MessageType.STREAMS, {1: [[0, 0, "", 16]]}, Code.SCHEMA),
    (MessageType.CHAT, {1: ID, 2: "x" * 8193}, Code.SCHEMA),
    (MessageType.CHAT, {1: ID, 2: "x", 3: None}, Code.SCHEMA),
    (MessageType.CONTROL, {1: 0}, Code.SCHEMA),
    (MessageType.CONTROL, {1: 9}, Code.SCHEMA),
    (MessageType.CONTROL, {1: 1, 3: 1}, Code.SCHEMA),
    (MessageType.CONSENT, {1: 5, 2: True}, Code.SCHEMA),
    (MessageType.CONSENT, {1: 1}, Code.SCHEMA),
    (MessageType.GATE, {1: ID, 2: b""}, Code.SCHEMA),
    (MessageType.IDENTITY_KEYS, {1: []}, Code.SCHEMA),
    (MessageType.IDENTITY_KEYS, {1: [[4096, ID]]}, Code.SCHEMA),
    (MessageType.IDENTITY_KEYS, {1: [[0, ID]] * 1025}, Code.SCHEMA),
]


@pytest.mark.parametrize(("kind", "value", "code"), FAULTS)
def test_one_fault_is_refused(
    kind: MessageType, value: Any, code: Code, refused: Any
) -> None:
    with refused(code):
        body_codec(kind).decode(value)


@pytest.mark.parametrize(
    ("number", "value"),
    [(3, bytes(15)), (4, 3), (5, b""), (6, None), (7, ""), (7, "v" * 16_385), (9, 0)],
)
def test_one_fault_of_a_description_is_refused(
    number: int, value: Any, refused: Any
) -> None:
    codec = body_codec(MessageType.OFFER)
    wire: Any = codec.encode(Offer(**DESCRIPTION))
    with refused(Code.SCHEMA):
        codec.decode({**wire, number: value})


def test_offer_and_answer_differ_in_type_only() -> None:
    offer: Any = Offer(**DESCRIPTION)
    answer: Any = Answer(**DESCRIPTION)
    assert offer != answer
    assert TYPES[type(offer)] is not TYPES[type(answer)]


def test_classes_of_types() -> None:
    assert not MessageType.DECLINE.is_sealed
    assert MessageType.IDENTITY.is_sealed
