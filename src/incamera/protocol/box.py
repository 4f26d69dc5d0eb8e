# SPDX-License-Identifier: Apache-2.0
"""How members seal to the group, and to those who come later (spec/keys.md, section 7).

* A group box holds one signed message under the group key of an epoch.
* A proof box holds a member's identity message under a key of the member's own; the
  group learns that key while the member is present.
* A gate box is the leader's blob: for whoever has the meeting's link.
* A request box is sealed to the leader's KEM key alone, for first contact.

The first three are AES-256-GCM under a key derived for their salt alone, so the nonce
may be fixed or derived.  The caller draws the salt.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.ids import EntryId, KeyId, MeetingId, VerifyKey
from incamera.protocol.kem import SEAL_OVERHEAD, kem_key_hash, open_sealed
from incamera.protocol.padding import SIZE_CLASSES, pad, unpad
from incamera.protocol.schedule import (
    KEY_BYTES,
    SALT_BYTES,
    gate_box_key,
    group_box_key,
    proof_box_key,
    u32,
)
from incamera.protocol.schema import As, MapOf, key, octets, record, uint
from incamera.protocol.secret import Secret, wipe
from incamera.protocol.wraps import MAX_SLOT

TAG_BYTES: Final = 16
SEALED: Final = octets(SIZE_CLASSES[0] + TAG_BYTES, SIZE_CLASSES[-1] + TAG_BYTES)
"""Wire form of a ciphertext over a padded text."""
_NONCE: Final = bytes(12)  # safe: the gate box's key is derived for its salt alone


@record
class GroupBox:
    """A signed message, sealed to the holders of one meeting key."""

    key_id: KeyId = key(1, As(octets(32), KeyId))
    slot: int = key(2, uint(MAX_SLOT))
    salt: bytes = key(3, octets(SALT_BYTES))
    sealed: bytes = key(4, SEALED)


@record
class GateBox:
    """The leader's opening and the meeting's info, for those who have the link."""

    meeting: MeetingId = key(1, As(octets(32), MeetingId))
    gate: VerifyKey = key(2, As(octets(32), VerifyKey))
    salt: bytes = key(3, octets(SALT_BYTES))
    sealed: bytes = key(4, SEALED)


@record
class ProofBox:
    """A member's identity message, stored at the relay for those who come later."""

    meeting: MeetingId = key(1, As(octets(32), MeetingId))
    owner: VerifyKey = key(2, As(octets(32), VerifyKey))
    salt: bytes = key(3, octets(SALT_BYTES))
    sealed: bytes = key(4, SEALED)


@record
class RequestBox:
    """What a joiner tells the leader alone: its opening and its KEM keys."""

    request: EntryId = key(1, As(octets(32), EntryId))
    leader_key_hash: bytes = key(2, octets(32))
    sealed: bytes = key(
        3, octets(SEAL_OVERHEAD + SIZE_CLASSES[0], SEAL_OVERHEAD + SIZE_CLASSES[-1])
    )


GROUP_BOX: Final = MapOf(GroupBox)
GATE_BOX: Final = MapOf(GateBox)
PROOF_BOX: Final = MapOf(ProofBox)
REQUEST_BOX: Final = MapOf(RequestBox)


@dataclass(frozen=True, slots=True)
class GroupContext:
    """Under which key a group box is sealed: all public, bound by its AAD."""

    meeting: MeetingId
    prev_epoch: EntryId
    key_id: KeyId


def seal_group(
    group: Secret, content: bytes, *, context: GroupContext, slot: int, salt: bytes
) -> GroupBox:
    """Return `content` padded and sealed by the member in `slot`."""
    keys = group_box_key(group, key_id=context.key_id, slot=slot, salt=salt)
    sealed = _seal(keys, content, _group_aad(context, slot, salt))
    return GroupBox(key_id=context.key_id, slot=slot, salt=salt, sealed=sealed)


def open_group(group: Secret, box: GroupBox, context: GroupContext) -> bytes:
    """Return what is in `box`, still to be parsed and its signature checked.

    Raises PeerError: BAD_BOX for another key, meeting, epoch, sender or altered bytes,
    NOT_CANONICAL for padding that is not ours.
    """
    keys = group_box_key(group, key_id=box.key_id, slot=box.slot, salt=box.salt)
    return _open(keys, box.sealed, _group_aad(context, box.slot, box.salt))


def seal_proof(
    secret: Secret, content: bytes, *, meeting: MeetingId, owner: VerifyKey, salt: bytes
) -> ProofBox:
    """Return a member's identity message sealed under its own proof key."""
    keys = proof_box_key(secret, meeting=meeting, owner=owner, salt=salt)
    sealed = _seal(keys, content, labels.PROOF + meeting + owner + salt)
    return ProofBox(meeting=meeting, owner=owner, salt=salt, sealed=sealed)


def open_proof(secret: Secret, box: ProofBox) -> bytes:
    """Return the identity message in `box`; raises as `open_group`."""
    keys = proof_box_key(secret, meeting=box.meeting, owner=box.owner, salt=box.salt)
    aad = labels.PROOF + box.meeting + box.owner + box.salt
    return _open(keys, box.sealed, aad)


def seal_gate(
    root: Secret, content: bytes, *, meeting: MeetingId, gate: VerifyKey, salt: bytes
) -> GateBox:
    """Return `content` sealed for whoever has the link with this root."""
    keys = _with_nonce(gate_box_key(root, meeting=meeting, gate=gate, salt=salt))
    sealed = _seal(keys, content, labels.GATE_BOX + meeting + gate + salt)
    return GateBox(meeting=meeting, gate=gate, salt=salt, sealed=sealed)


def open_gate(root: Secret, box: GateBox) -> bytes:
    """Return what the leader left for link holders; raises as `open_group`."""
    box_key = gate_box_key(root, meeting=box.meeting, gate=box.gate, salt=box.salt)
    aad = labels.GATE_BOX + box.meeting + box.gate + box.salt
    return _open(_with_nonce(box_key), box.sealed, aad)


def request_info(
    meeting: MeetingId,
    request: EntryId,
    *,
    leader: VerifyKey,
    member: VerifyKey,
    leader_kem_key: bytes,
) -> bytes:
    """Return HPKE's info of a request box.

    It binds the request and not `prev_epoch`: a request outlives epochs.
    """
    ends = leader + member + kem_key_hash(leader_kem_key)
    return labels.REQUEST + meeting + request + ends


def open_request(seed: Secret, box: RequestBox, info: bytes) -> bytes:
    """Return what a joiner sealed, padded, to the key of `seed`.

    Raises PeerError: BAD_BOX, NOT_CANONICAL.
    """
    padded = open_sealed(seed, box.sealed, info)
    try:
        return unpad(padded)
    finally:
        padded.wipe()


def _group_aad(context: GroupContext, slot: int, salt: bytes) -> bytes:
    place = context.meeting + context.prev_epoch + context.key_id
    return labels.BOX + place + u32(slot) + salt


def _with_nonce(box_key: Secret) -> Secret:
    keys = Secret(box_key.buffer + _NONCE)
    box_key.wipe()
    return keys


def _seal(keys: Secret, content: bytes, aad: bytes) -> bytes:
    """Seal under key || nonce and erase it."""
    padded = pad(content)
    sealed = bytearray(len(padded) + TAG_BYTES)
    box_key, nonce = keys.buffer[:KEY_BYTES], keys.buffer[KEY_BYTES:]
    AESGCM(box_key).encrypt_into(nonce, padded, aad, sealed)
    for part in (padded, box_key, keys.buffer):
        wipe(part)
    return bytes(sealed)


def _open(keys: Secret, sealed: bytes, aad: bytes) -> bytes:
    """Open under key || nonce and erase it."""
    padded = bytearray(len(sealed) - TAG_BYTES)
    box_key, nonce = keys.buffer[:KEY_BYTES], keys.buffer[KEY_BYTES:]
    try:
        AESGCM(box_key).decrypt_into(nonce, sealed, aad, padded)
        return unpad(Secret(padded))
    except InvalidTag:
        raise PeerError(Code.BAD_BOX, "box does not open") from None
    finally:
        for part in (padded, box_key, keys.buffer):
            wipe(part)
