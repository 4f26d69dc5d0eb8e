# SPDX-License-Identifier: Apache-2.0
"""What do a member and the relay say to each other (spec/relay.md, section 3)?

Each WebSocket message is one frame: a canonical CBOR map whose key 0 is its kind.  The
gateway opens with a challenge; the client proves its meeting key; then both post,
deliver and acknowledge.  What is inside a post is opaque here.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import MAX_MESSAGE, encode, parse
from incamera.protocol.envelope import countersign_structure
from incamera.protocol.ids import Kid, MeetingId, VerifyKey
from incamera.protocol.ports import Signer
from incamera.protocol.schema import (
    As,
    ListOf,
    MapOf,
    key,
    octets,
    record,
    refuse,
    text,
    uint,
)
from incamera.protocol.signing import verify_key, verify_signature

MAX_FRAME: Final = MAX_MESSAGE + 64
"""Bytes of one frame: the largest message, a kid, a number and their heads."""
MAX_RECEIVERS: Final = 4096
"""Members of the largest roster."""
_KID: Final = As(octets(16), Kid)
_SIGNATURE: Final = octets(64)


@record
class Challenge:
    """The gateway's first frame: 32 fresh random bytes."""

    kind: int = key(0, uint(1, 1), default=1)
    challenge: bytes = key(1, octets(32))


@record
class Answer:
    """The client's first frame: who it is and that it holds the key."""

    kind: int = key(0, uint(2, 2), default=2)
    mvk: VerifyKey = key(1, As(octets(32), verify_key))
    signature: bytes = key(2, _SIGNATURE)
    gate: bytes | None = key(3, _SIGNATURE, default=None)


@record
class Ready:
    """The gateway lets the client in: role 1 member, 2 requester."""

    kind: int = key(0, uint(3, 3), default=3)
    role: int = key(1, uint(2, 1))
    kid: Kid = key(2, _KID)


@record
class Post:
    """A message to one receiver, or to all other members when `to` is absent."""

    kind: int = key(0, uint(4, 4), default=4)
    number: int = key(1, uint())
    to: Kid | None = key(2, _KID, default=None)
    message: bytes = key(3, octets(1, MAX_MESSAGE))


@record
class Posted:
    """The post is queued, except for these, whose queue is full."""

    kind: int = key(0, uint(5, 5), default=5)
    number: int = key(1, uint())
    full: tuple[Kid, ...] | None = key(2, ListOf(_KID, MAX_RECEIVERS, 1), default=None)


@record
class Refused:
    """Nothing of the post was queued; `code` is one of spec/errors.md."""

    kind: int = key(0, uint(6, 6), default=6)
    number: int = key(1, uint())
    code: str = key(2, text(32, 1))


@record
class Delivery:
    """A message from `sender`; the number rises inside one connection."""

    kind: int = key(0, uint(7, 7), default=7)
    number: int = key(1, uint())
    sender: Kid = key(2, _KID)
    message: bytes = key(3, octets(1, MAX_MESSAGE))


@record
class Delivered:
    """The client is done with every delivery up to this number."""

    kind: int = key(0, uint(8, 8), default=8)
    number: int = key(1, uint())


Frame: TypeAlias = (
    Challenge | Answer | Ready | Post | Posted | Refused | Delivery | Delivered
)

_KINDS: Final[Mapping[int, MapOf[Frame]]] = {
    1: MapOf(Challenge),
    2: MapOf(Answer),
    3: MapOf(Ready),
    4: MapOf(Post),
    5: MapOf(Posted),
    6: MapOf(Refused),
    7: MapOf(Delivery),
    8: MapOf(Delivered),
}


def encode_frame(frame: Frame) -> bytes:
    """Return the frame's bytes."""
    return encode(_KINDS[frame.kind].encode(frame))


def parse_frame(data: bytes) -> Frame:
    """Parse a frame; raises PeerError: TOO_LARGE, NOT_CANONICAL, SCHEMA."""
    value = parse(data, MAX_FRAME)
    kind = value.get(0) if isinstance(value, dict) else None
    if not isinstance(kind, int) or kind not in _KINDS:
        raise refuse("not a relay frame")
    return _KINDS[kind].decode(value)


def answer_challenge(
    challenge: bytes,
    *,
    pin: bytes,
    meeting: MeetingId,
    signer: Signer,
    gate: Signer | None,
) -> Answer:
    """Prove `signer` to the gateway whose TLS key hashes to `pin`.

    `gate` signs too where the meeting's ledger does not know the signer yet.  The TLS
    key is inside, so that a gateway cannot use our answer at another one.
    """
    mvk = signer.public
    signature = signer.sign(_challenged(challenge, pin=pin, meeting=meeting, mvk=mvk))
    gated = _gated(challenge, pin=pin, meeting=meeting, mvk=mvk)
    return Answer(
        mvk=mvk,
        signature=signature,
        gate=None if gate is None else gate.sign(gated),
    )


def verify_answer(
    answer: Answer, challenge: bytes, *, pin: bytes, meeting: MeetingId
) -> None:
    """Raise PeerError(BAD_SIGNATURE) unless the answer's own key signed it."""
    signed = _challenged(challenge, pin=pin, meeting=meeting, mvk=answer.mvk)
    verify_signature(answer.mvk, answer.signature, signed)


def verify_gate(
    answer: Answer,
    challenge: bytes,
    *,
    pin: bytes,
    meeting: MeetingId,
    gate: VerifyKey,
) -> None:
    """Raise PeerError(NO_GATE) unless `gate` vouches for the answer's key."""
    gated = _gated(challenge, pin=pin, meeting=meeting, mvk=answer.mvk)
    try:
        verify_signature(gate, answer.gate or b"", gated)
    except PeerError:
        raise PeerError(Code.NO_GATE, "not signed by the meeting's gate") from None


def _challenged(
    challenge: bytes, *, pin: bytes, meeting: MeetingId, mvk: VerifyKey
) -> bytes:
    # Every part has a fixed length, so plain concatenation is unambiguous.
    return labels.RELAY_CHALLENGE + challenge + pin + meeting + mvk


def _gated(
    challenge: bytes, *, pin: bytes, meeting: MeetingId, mvk: VerifyKey
) -> bytes:
    return countersign_structure(
        challenge,
        {1: mvk, 2: pin, 3: meeting},
        label=labels.RELAY_CHALLENGE,
        role=labels.COSIGN_GATE,
    )
