# SPDX-License-Identifier: Apache-2.0
"""Who stored this blob at the relay, and is it newer (spec/relay.md, section 7)?

A blob is stored by one signed request.  The signature covers the gateway's TLS key, the
meeting, the author, the time, the name and the data; the time must rise, so a recorded
request can bring nothing old back.
"""

from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import MAX_MESSAGE, encode, parse
from incamera.protocol.ids import MeetingId, VerifyKey
from incamera.protocol.ports import Signer
from incamera.protocol.schedule import u64
from incamera.protocol.schema import ArrayOf, As, key, octets, record, uint
from incamera.protocol.signing import kid_of, verify_key, verify_signature

MAX_BLOB: Final = MAX_MESSAGE
"""Bytes of one stored blob: a sealed identity proof, padded like any message."""
MAX_BODY: Final = MAX_BLOB + 256
"""Bytes of the request: the blob with time, key and signature."""
LEADER: Final = "leader"
"""Name of the blob that only the leader of the term writes."""


@record
class BlobPut:
    """A signed request to store a blob."""

    time_ms: int = key(0, uint())
    mvk: VerifyKey = key(1, As(octets(32), verify_key))
    signature: bytes = key(2, octets(64))
    data: bytes = key(3, octets(1, MAX_BLOB))


_PUT: Final = ArrayOf(BlobPut)


def sign_blob(
    signer: Signer,
    data: bytes,
    *,
    meeting: MeetingId,
    name: str,
    pin: bytes,
    time_ms: int,
) -> bytes:
    """Return the body of the request that stores `data` under `name`."""
    signed = _signed(signer.public, data, meeting=meeting, name=name, pin=pin)
    signature = signer.sign(signed + u64(time_ms))
    put = BlobPut(time_ms=time_ms, mvk=signer.public, signature=signature, data=data)
    return encode(_PUT.encode(put))


def verify_blob(body: bytes, *, meeting: MeetingId, name: str, pin: bytes) -> BlobPut:
    """Return a request whose signature holds; PeerError as every parser."""
    put = _PUT.decode(parse(body, MAX_BODY))
    signed = _signed(put.mvk, put.data, meeting=meeting, name=name, pin=pin)
    verify_signature(put.mvk, put.signature, signed + u64(put.time_ms))
    return put


def check_owner(name: str, mvk: VerifyKey, leader: VerifyKey | None) -> None:
    """Raise PeerError(NOT_ALLOWED) unless `mvk` may write the blob of that name."""
    if mvk != leader if name == LEADER else name != kid_of(mvk).hex():
        raise PeerError(Code.NOT_ALLOWED, "not your blob")


def _signed(
    mvk: VerifyKey, data: bytes, *, meeting: MeetingId, name: str, pin: bytes
) -> bytes:
    hashes = sha256(name.encode()).digest() + sha256(data).digest()
    return labels.BLOB + pin + meeting + mvk + hashes
