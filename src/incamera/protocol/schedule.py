# SPDX-License-Identifier: Apache-2.0
"""Which key follows from which, and what each is bound to (spec/keys.md, section 4).

    seed S_e ── meeting key MK_e ─┬─ commitment   (in the epoch entry)
                                  ├─ base key     (one per stream, for SFrame)
                                  ├─ group key    (chat, control, signalling)
                                  └─ seed S_e+1   (when people only joined)

Every step is HKDF-Expand-SHA-256 under a label of its own.  A key depends on meeting,
`prev_epoch`, roster root, term and epoch: two views of the ledger give two unrelated
keys, so a partition shows as undecryptable and never as silently shared.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol import labels
from incamera.protocol.ids import (
    EntryId,
    KeyId,
    LedgerId,
    MeetingId,
    UserTag,
    VerifyKey,
)
from incamera.protocol.secret import Secret, take, wipe

KEY_BYTES: Final = 32
"""Bytes of every key, seed, commitment and nonce here (SHA-256's output)."""
_MAX_BLOCKS: Final = 255
SALT_BYTES: Final = 16
"""Bytes of a box's random salt: two equal ones are out of reach within a key's life."""


@dataclass(frozen=True, slots=True)
class EpochContext:
    """Where a meeting key belongs: all that its derivation binds."""

    meeting: MeetingId
    prev_epoch: EntryId
    roster_root: bytes
    term: int
    epoch: int


def expand(key: Secret, info: bytes, length: int = KEY_BYTES) -> Secret:
    """Return HKDF-Expand-SHA-256(key, info, length) (RFC 5869, section 2.3).

    Written out over HMAC, since the library's own leaves its last block in a freed
    `bytes` object.  Raises UsageError(BAD_ARGUMENT) above 255 blocks.
    """
    if length > _MAX_BLOCKS * KEY_BYTES:
        raise UsageError(Code.BAD_ARGUMENT, "HKDF gives at most 255 blocks")
    if length == KEY_BYTES:  # one block, and nothing secret in its text
        return take(hmac.digest(key.buffer, info + b"\1", "sha256"))
    out, block = Secret(bytearray(length)), Secret(bytearray())
    for start in range(0, length, KEY_BYTES):
        number = start // KEY_BYTES + 1
        text = block.buffer + info + bytes([number])
        block.wipe()
        block = take(hmac.digest(key.buffer, text, "sha256"))
        wipe(text)
        end = min(start + KEY_BYTES, length)
        out.buffer[start:end] = memoryview(block.buffer)[: end - start]
    block.wipe()
    return out


def u32(number: int) -> bytes:
    """Return `number` as four bytes, big endian."""
    return number.to_bytes(4, "big")


def u64(number: int) -> bytes:
    """Return `number` as eight bytes, big endian."""
    return number.to_bytes(8, "big")


def ratchet_seed(meeting_key: Secret, context: EpochContext) -> Secret:
    """Return the seed of the epoch that `context` describes, from the key before it.

    It binds the new epoch's `prev_epoch` and roster root: of two ratchets from one
    key, those who joined by the one cannot derive the other's.
    """
    place = context.meeting + context.prev_epoch + context.roster_root
    return expand(meeting_key, labels.RATCHET + place + u64(context.epoch))


def meeting_key(seed: Secret, context: EpochContext) -> Secret:
    """Return MK_e, from a fresh or ratcheted seed."""
    place = context.meeting + context.prev_epoch + context.roster_root
    when = u64(context.term) + u64(context.epoch)
    return expand(seed, labels.MEETING_KEY + place + when)


def commitment(key: Secret) -> bytes:
    """Return what the epoch entry says of a meeting key; 32 public bytes."""
    return bytes(expand(key, labels.COMMITMENT).buffer)


def committed_key(seed: Secret, context: EpochContext, committed: bytes) -> Secret:
    """Return MK_e if it is the committed one, else raise PeerError(BAD_COMMITMENT).

    The leader cannot hand out different keys: everybody checks against one entry.
    """
    key = meeting_key(seed, context)
    if not hmac.compare_digest(commitment(key), committed):
        key.wipe()
        raise PeerError(Code.BAD_COMMITMENT, "key does not match its commitment")
    return key


def base_key(
    key: Secret, *, meeting: MeetingId, epoch: int, slot: int, number: int
) -> Secret:
    """Return the SFrame base key of one stream: sender's slot, stream number."""
    stream = meeting + u64(epoch) + u32(slot) + u64(number)
    return expand(key, labels.SFRAME + stream)


def group_key(key: Secret, key_id: KeyId) -> Secret:
    """Return the key under which the members' signed messages are sealed."""
    return expand(key, labels.GROUP + key_id)


def kem_hash(current: bytes, spare: bytes) -> bytes:
    """Return the hash by which an entry names its author's two KEM keys."""
    return sha256(labels.KEM + current + spare).digest()


def user_tag(
    secret: Secret, *, ledger_id: LedgerId, leader: VerifyKey, nonce: bytes
) -> UserTag:
    """Return the tag that all devices of a user have in one meeting.

    Bound to the leader's key and nonce in `publish`, not to the meeting id: the id
    covers publish, and publish carries the leader's tag.
    """
    place = labels.TAG + ledger_id + leader + nonce
    return UserTag(hmac.digest(secret.buffer, place, "sha256")[:16])


def user_secret_commitment(secret: Secret) -> bytes:
    """Return what a user topic says of the user secret."""
    return sha256(labels.USER_SECRET + secret.buffer).digest()


def identity_commitment(nonce: bytes, statement: bytes) -> bytes:
    """Return HMAC(r, statement): what an entry says of its author's identity."""
    return hmac.digest(_nonce(nonce), labels.IDENTITY + statement, "sha256")


def info_commitment(nonce: bytes, info: bytes) -> bytes:
    """Return HMAC(r, info): what stands for private information."""
    return hmac.digest(_nonce(nonce), labels.INFO + info, "sha256")


def _nonce(nonce: bytes) -> bytes:
    # HMAC pads short keys with zeros and hashes long ones: r must have one length, or
    # two nonces would open one commitment.
    if len(nonce) != KEY_BYTES:
        raise PeerError(Code.BAD_OPENING, "nonce is not 32 bytes")
    return nonce


def link_root(secret: Secret, passcode_key: Secret | None = None) -> Secret:
    """Return the root of a link's keys; a passcode adds 32 bytes of Argon2id."""
    material = bytearray(secret.buffer)
    if passcode_key is not None:
        material += passcode_key.buffer
    root = take(hmac.digest(labels.LINK, material, "sha256"))  # HKDF-Extract
    wipe(material)
    return root


def gate_seed(root: Secret, ledger_id: LedgerId) -> Secret:
    """Return the Ed25519 seed of the gate.

    It must not bind the meeting id, which covers the gate's public key.
    """
    return expand(root, labels.GATE + ledger_id)


def gate_box_key(
    root: Secret, *, meeting: MeetingId, gate: VerifyKey, salt: bytes
) -> Secret:
    """Return the key of the leader's blob, for those who have the link."""
    return expand(root, labels.GATE_BOX + meeting + gate + salt)


def group_box_key(group: Secret, *, key_id: KeyId, slot: int, salt: bytes) -> Secret:
    """Return key || nonce, 44 bytes, of one group box of one sender."""
    return expand(group, labels.BOX + key_id + u32(slot) + salt, 44)


def proof_box_key(
    key: Secret, *, meeting: MeetingId, owner: VerifyKey, salt: bytes
) -> Secret:
    """Return key || nonce, 44 bytes, of one member's stored identity proof."""
    return expand(key, labels.PROOF + meeting + owner + salt, 44)
