# SPDX-License-Identifier: Apache-2.0
"""Vectors of relay messages (spec/relay.md, section 3).

message   a signed message (`data`) with its sender's key: header, body fields, id
unsigned  a form without a signature
batch     a leader's batch of wraps
counters  messages in order through one counter guard: the last one's fate

Bodies at their maxima are zero-filled, so `data` may be given as parts: hex strings and
numbers, each number standing for that many zero bytes.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from spec.generators._cases import (
    Case,
    digest,
    fails,
    file,
    holds,
    plain,
    secret,
    signer,
)

from incamera.errors import Code
from incamera.protocol import labels
from incamera.protocol.box import GroupBox, RequestBox
from incamera.protocol.encoding import encode
from incamera.protocol.envelope import sign
from incamera.protocol.ids import EntryId, KeyId, MeetingId
from incamera.protocol.kem import kem_public
from incamera.protocol.message import (
    CounterGuard,
    Message,
    encode_unsigned,
    parse_message,
    parse_sealed_message,
    parse_wrap_batch,
    sign_message,
)
from incamera.protocol.message_bodies import (
    MAX_CHAT,
    MAX_OPENING,
    MAX_PROOF_KEYS,
    MAX_SDP,
    MAX_WRAPS,
    TYPES,
    Ack,
    Answer,
    Body,
    Chat,
    Consent,
    ConsentKind,
    Control,
    ControlKind,
    Decline,
    DeclineReason,
    EntryPush,
    GateMessage,
    IdentityKeys,
    IdentityMessage,
    KekMessage,
    MemberKeys,
    Offer,
    ProofKey,
    Role,
    Stream,
    StreamMessage,
    Switch,
    WrapAsk,
    WrapBatch,
    WrapOne,
)
from incamera.protocol.signing import kid_of
from incamera.protocol.wraps import Wrap

MAX = 2**53 - 1
SENDER = signer("member")
MEETING = MeetingId(digest("meeting"))
ENTRY = EntryId(digest("request"))
KEY = KeyId(digest("epoch entry"))
KEM, SPARE = kem_public(secret("kem")), kem_public(secret("spare"))
WIDE = Wrap(slot=4095, generation=2**32 - 1, step=MAX, sealed=bytes(48))
STREAMS = tuple(
    Stream(number=MAX - 3 + kind, kind=kind, instance="i" * 64, codec=15)
    for kind in range(4)
)
DESCRIPTION: dict[str, Any] = {
    "sender": ENTRY,
    "receiver": EntryId(digest("publish")),
    "connection": digest("connection")[:16],
    "role": Role.OFFERER,
    "fingerprint": digest("certificate"),
    "sdp": "v=0\r\n",
    "streams": (Stream(number=4, kind=0, instance="", codec=1),),
}
BODIES: dict[str, Body] = {
    "member keys": MemberKeys(current=KEM, spare=SPARE, generation=2**32 - 1),
    "KEK": KekMessage(
        kek_id=digest("kek id"),
        prev_epoch=EntryId(digest("previous epoch")),
        receiver=ENTRY,
        kem_key_hash=digest("key"),
        sealed=bytes(1168),
    ),
    "acknowledgement": Ack(key_id=KEY),
    "switch": Switch(key_id=KEY, epoch=MAX),
    "wrap ask": WrapAsk(key_id=KEY, kek_id=bytes(32), step=MAX),
    "decline": Decline(request=ENTRY, reason=DeclineReason.TAG),
    "identity": IdentityMessage(opening=b"x"),
    "identity at its maximum": IdentityMessage(opening=bytes(MAX_OPENING)),
    "no streams": StreamMessage(streams=()),
    "streams at their maximum": StreamMessage(streams=STREAMS),
    "offer": Offer(**DESCRIPTION),
    "answer": Answer(
        **{**DESCRIPTION, "role": Role.ANSWERER}, peer_fingerprint=digest("other")
    ),
    "offer at its maximum": Offer(
        **{**DESCRIPTION, "sdp": "v" * MAX_SDP, "streams": STREAMS}
    ),
    "chat": Chat(id=digest("chat"), text="héllo", answers=digest("earlier")),
    "chat at its maximum": Chat(id=digest("chat"), text="x" * MAX_CHAT),
    "control": Control(kind=ControlKind.ASK_PROOF_KEYS),
    "control at its maximum": Control(kind=ControlKind.BYE, target=ENTRY, on=True),
    "consent": Consent(kind=ConsentKind.RECORDING, given=True),
    "consent at its maximum": Consent(kind=ConsentKind.OTHER, given=False, to=ENTRY),
    "gate": GateMessage(secret=digest("link"), policy_entry=ENTRY),
    "identity keys": IdentityKeys(keys=(ProofKey(slot=0, key=digest("proof")),)),
    "identity keys at their maximum": IdentityKeys(
        keys=(ProofKey(slot=4095, key=bytes(32)),) * MAX_PROOF_KEYS
    ),
}


def build() -> dict[str, object]:
    """Return the whole file."""
    makers = (messages, faults, unsigned, unsigned_faults, batches, counters)
    return file(
        "relay messages: spec/relay.md, section 3",
        [case for make in makers for case in make()],
    )


def say(body: Body, *, counter: int = 1, term: int = 2) -> Message:
    """Return a body signed by the member."""
    return sign_message(SENDER, body, meeting=MEETING, counter=counter, term=term)


def parts(data: bytes) -> Any:
    """Return data as hex, or in parts where it has long runs of zeros."""
    out: list[Any] = []
    rest = data
    while (at := rest.find(bytes(256))) >= 0:
        run = len(rest[at:]) - len(rest[at:].lstrip(b"\0"))
        out += [rest[:at].hex(), run]
        rest = rest[at + run :]
    return [*out, rest.hex()] if out else data.hex()


def messages() -> list[Case]:
    """Every body, up to its maximum."""
    cases = []
    for name, body in BODIES.items():
        message = say(body, counter=(1 << 32) | 7)
        parse = parse_sealed_message if message.type.is_sealed else parse_message
        if parse(message.data) != message:
            raise ValueError(name)
        head = {"sender_key": SENDER.public, "data": parts(message.data)}
        expect = {"header": message.header, "id": message.id, "body": short(body)}
        inputs = {**head, "sealed": message.type.is_sealed}
        cases.append(holds(name, "message", inputs, partial(dict, expect)))
    return cases


def short(body: Body) -> Any:
    """Return the body's fields, those at a maximum by their length alone."""
    fields = plain(body)
    for name, value in fields.items():
        if (isinstance(value, str | list) and len(value) > 3000) or (
            isinstance(value, list) and len(value) > 100
        ):
            fields[name] = {"length": len(value)}
    return fields


def wire(header: dict[int, Any], payload: Any, label: bytes = labels.MESSAGE) -> bytes:
    """Return an acknowledgement with other header fields or another payload."""
    whole = {4: kid_of(SENDER.public), 16: 66, 70: MEETING, 71: 1, 73: 2, **header}
    whole = {number: value for number, value in whole.items() if value is not ...}
    return sign(SENDER, label, header=whole, payload=payload).encode()


def faults() -> list[Case]:
    """One fault each in a signed message."""
    good, ack = say(BODIES["acknowledgement"]), {1: KEY}
    spoiled = good.data[:-1] + bytes([good.data[-1] ^ 1])
    sealed, kem = say(BODIES["chat"]).data, BODIES["member keys"]
    low = say(kem).data.replace(SPARE, SPARE[:1184] + bytes(32))
    other = MeetingId(digest("other"))
    foreign = sign_message(SENDER, Ack(key_id=KEY), meeting=other, counter=1, term=2)
    stranger = sign_message(
        signer("stranger"), Ack(key_id=KEY), meeting=MEETING, counter=1, term=2
    )
    data: dict[str, tuple[bytes, Code]] = {
        "the last bit of the signature": (spoiled, Code.BAD_SIGNATURE),
        "signed as an entry": (wire({}, ack, labels.ENTRY), Code.BAD_SIGNATURE),
        "another sender": (stranger.data, Code.WRONG_SENDER),
        "another meeting": (foreign.data, Code.WRONG_PLACE),
        "unknown type": (wire({16: 95}, ack), Code.UNKNOWN_TYPE),
        "a type of later versions": (wire({16: 68}, ack), Code.UNKNOWN_TYPE),
        "no counter": (wire({71: ...}, ack), Code.SCHEMA),
        "unknown header field": (wire({74: 0}, ack), Code.SCHEMA),
        "unknown body field": (wire({}, {**ack, 2: 0}), Code.SCHEMA),
        "empty body": (wire({}, {}), Code.SCHEMA),
        "body is a list": (wire({}, [KEY]), Code.SCHEMA),
        "a sealed type in clear": (sealed, Code.NOT_ALLOWED),
        "an unusable KEM key": (low, Code.BAD_KEY),
        "stream number of another kind": (
            wire({16: 98}, {1: [[1, 0, "", 0]]}),
            Code.SCHEMA,
        ),
        "null for what is absent": (
            wire({16: 101}, {1: KEY, 2: "x", 3: None}),
            Code.SCHEMA,
        ),
        "control kind 9": (wire({16: 102}, {1: 9}), Code.SCHEMA),
        "consent kind 5": (wire({16: 103}, {1: 5, 2: True}), Code.SCHEMA),
        "a byte behind": (good.data + b"\0", Code.NOT_CANONICAL),
        "above the maximum": (b"\xd2" + bytes(65_536), Code.TOO_LARGE),
    }
    return [
        fails(
            f"message: {name}",
            "message",
            {"sender_key": SENDER.public, "meeting": MEETING, "data": parts(text)},
            action=lambda t=text: verified(t),  # type: ignore[misc]  # bound at once
            code=code,
        )
        for name, (text, code) in data.items()
    ]


def verified(data: bytes) -> None:
    """Parse what came in clear and check its signature."""
    message = parse_message(data)
    if isinstance(message, Message):
        message.verify(SENDER.public, MEETING)


def unsigned() -> list[Case]:
    """The forms without a signature, small and at their maxima."""
    salt = digest("salt")[:16]
    hashes: dict[str, Any] = {"request": ENTRY, "leader_key_hash": digest("key")}
    box: dict[str, Any] = {"key_id": KEY, "salt": salt}
    forms: dict[str, Any] = {
        "wrap": WrapOne(key_id=KEY, wrap=WIDE),
        "pushed entry": EntryPush(entry=b"entry"),
        "pushed entry with its time": EntryPush(entry=b"entry", time_ms=MAX),
        "pushed entry at its maximum": EntryPush(entry=bytes(16_384)),
        "group box": GroupBox(slot=0, sealed=bytes(272), **box),
        "group box at its maximum": GroupBox(slot=4095, sealed=bytes(64_016), **box),
        "request box": RequestBox(sealed=bytes(1392), **hashes),
        "request box at its maximum": RequestBox(sealed=bytes(65_136), **hashes),
    }
    cases = []
    for name, form in forms.items():
        data = encode_unsigned(form)
        if parse_message(data) != form:
            raise ValueError(name)
        kind = {"form": type(form).__name__, "length": len(data)}
        cases.append(holds(name, "unsigned", {"data": parts(data)}, lambda k=kind: k))  # type: ignore[misc]  # bound at once
    return cases


def unsigned_faults() -> list[Case]:
    """One fault each in a form without a signature."""
    values: dict[str, Any] = {
        "no keys": {},
        "a list": [],
        "no form": {2: 0},
        "an empty entry": {1: b""},
        "an entry above its maximum": {1: bytes(16_385)},
        "slot 4096": {1: KEY, 2: [4096, 0, 0, bytes(48)]},
        "generation 2^32": {1: KEY, 2: [0, 2**32, 0, bytes(48)]},
        "a wrap of 47 bytes": {1: KEY, 2: [0, 0, 0, bytes(47)]},
        "a salt of 15 bytes": {1: KEY, 2: 0, 3: bytes(15), 4: bytes(272)},
        "a box too short": {1: KEY, 2: 0, 3: bytes(16), 4: bytes(271)},
        "a box above its maximum": {1: KEY, 2: 0, 3: bytes(16), 4: bytes(64_017)},
        "a request box too short": {1: ENTRY, 2: KEY, 3: bytes(1391)},
        "a request box above its maximum": {1: ENTRY, 2: KEY, 3: bytes(65_137)},
    }
    return [
        fails(
            f"unsigned: {name}",
            "unsigned",
            {"data": parts(encode(value))},
            action=lambda v=value: parse_message(encode(v)),  # type: ignore[misc]  # bound at once
            code=Code.SCHEMA,
        )
        for name, value in values.items()
    ]


def batches() -> list[Case]:
    """A batch at its maximum, and one above it."""
    batch = WrapBatch(key_id=KEY, wraps=(replace(WIDE, sealed=bytes(48)),) * MAX_WRAPS)
    small = WrapBatch(key_id=KEY, wraps=(WIDE,))
    data = encode_unsigned(batch)
    if parse_wrap_batch(data) != batch:
        raise ValueError("batch")
    empty = encode({1: KEY, 2: []})
    return [
        holds(
            "batch",
            "batch",
            {"data": encode_unsigned(small)},
            lambda: {"wraps": 1},
        ),
        holds(
            "batch at its maximum",
            "batch",
            {"start": data[:120], "wraps": MAX_WRAPS, "each": data[-68:]},
            lambda: {"length": len(data)},
        ),
        fails(
            "an empty batch",
            "batch",
            {"data": empty},
            action=lambda: parse_wrap_batch(empty),
            code=Code.SCHEMA,
        ),
    ]


def counters() -> list[Case]:
    """Counters rise per sender and type."""

    def run(numbers: list[int]) -> dict[str, Any]:
        guard = CounterGuard()
        for number in numbers:
            guard.admit(say(Ack(key_id=KEY), counter=number))
        return {"highest": max(numbers)}

    rising = [[0], [1, 2, 9], [7, 1 << 32], [MAX - 1, MAX]]
    falling = [[0, 0], [5, 4], [1 << 32, 9], [MAX, MAX]]
    return [
        *(
            holds(f"counters {n}", "counters", {"counters": n}, lambda n=n: run(n))  # type: ignore[misc]  # bound at once
            for n in rising
        ),
        *(
            fails(
                f"counters {n}",
                "counters",
                {"counters": n},
                action=lambda n=n: run(n),  # type: ignore[misc]  # bound at once
                code=Code.REPLAYED,
            )
            for n in falling
        ),
    ]


if set(map(type, BODIES.values())) != set(TYPES):
    raise ValueError("a body lacks its vector")
