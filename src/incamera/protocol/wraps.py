# SPDX-License-Identifier: Apache-2.0
"""How the leader hands one epoch's seed to one member (spec/keys.md, section 6).

Leader and member share a key-encryption key, KEK_0, sealed once to the member's KEM
key.  Each wrap uses one step of it, KEK_t, and the step is erased afterwards: a device
seized later opens no wrap recorded earlier.  A wrap carries t; the receiver steps
forward only, and only for a wrap that authenticates.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import MAX_UINT
from incamera.protocol.ids import EntryId, KeyId, MeetingId, VerifyKey
from incamera.protocol.kem import kem_key_hash
from incamera.protocol.schedule import KEY_BYTES, expand, u32, u64
from incamera.protocol.schema import ArrayOf, key, octets, record, uint
from incamera.protocol.secret import Secret

MAX_STEPS: Final = 1000
"""Steps a receiver goes forward at once: wraps that may be lost in a row."""
MAX_SLOT: Final = 4095
"""Highest roster slot: keeps SFrame's key id within two bytes."""
SEALED_BYTES: Final = 48
"""A 32-byte seed and the 16-byte tag."""
_NONCE: Final = bytes(12)  # safe: every wrap key encrypts once


@record
class Wrap:
    """One seed for one member, unsigned; authentic through its KEK."""

    slot: int = key(0, uint(MAX_SLOT))
    generation: int = key(1, uint(2**32 - 1))
    step: int = key(2, uint(MAX_UINT))
    sealed: bytes = key(3, octets(SEALED_BYTES))


WRAP: Final = ArrayOf(Wrap)


@dataclass(frozen=True, slots=True)
class Pair:
    """Whose KEK it is: `generation` is that of the member.keys it was sealed to."""

    meeting: MeetingId
    leader: VerifyKey
    member: VerifyKey
    kek_id: bytes
    generation: int


@dataclass(frozen=True, slots=True)
class WrapContext:
    """Which seed it is: the member's slot, the new key's id and its prev_epoch."""

    prev_epoch: EntryId
    key_id: KeyId
    slot: int


def kek_info(
    pair: Pair, *, prev_epoch: EntryId, term: int, member_kem_key: bytes
) -> bytes:
    """Return HPKE's info for sealing a KEK: all that it is meant for."""
    return (
        labels.KEK
        + pair.meeting
        + prev_epoch
        + u64(term)
        + pair.leader
        + pair.member
        + kem_key_hash(member_kem_key)
        + pair.kek_id
    )


class LeaderKek:
    """The leader's end.  Save `step` and `key` after `wrap`, before the wrap leaves."""

    def __init__(self, pair: Pair, kek: Secret, step: int = 0) -> None:
        """Take over `kek`, which is KEK_step."""
        self.pair = pair
        self.key = kek
        self.step = step

    def wrap(self, seed: Secret, context: WrapContext) -> Wrap:
        """Return `seed` wrapped under KEK_t; by then this object holds KEK_t+1 only."""
        sealed = bytearray(SEALED_BYTES)
        used = self.step
        wrap_key = _wrap_key(self.key, self.pair, context)
        following = _step(self.key)
        self.key.wipe()
        self.key, self.step = following, used + 1
        aad = _aad(self.pair, context, used)
        AESGCM(wrap_key.buffer).encrypt_into(_NONCE, seed.buffer, aad, sealed)
        wrap_key.wipe()
        return Wrap(
            slot=context.slot,
            generation=self.pair.generation,
            step=used,
            sealed=bytes(sealed),
        )

    def wipe(self) -> None:
        """Erase the key."""
        self.key.wipe()


class MemberKek:
    """The member's end: `step` is the lowest t that it still opens."""

    def __init__(self, pair: Pair, kek: Secret, step: int = 0) -> None:
        """Take over `kek`, which is KEK_step."""
        self.pair = pair
        self.key = kek
        self.step = step

    def open(self, wrap: Wrap, context: WrapContext) -> Secret:
        """Return the seed in `wrap` and step past it.

        Raises PeerError, changing nothing: REPLAYED for a step used or passed,
        WRONG_RECEIVER for another slot, BAD_WRAP for another KEK, more than MAX_STEPS
        ahead, or anything that does not authenticate.
        """
        self._check(wrap, context)
        reached = self._reach(wrap.step)
        try:
            seed = _open(reached, wrap, pair=self.pair, context=context)
        except InvalidTag:
            reached.wipe()
            raise PeerError(Code.BAD_WRAP, "wrap does not open") from None
        following = _step(reached)
        reached.wipe()
        self.key.wipe()
        self.key, self.step = following, wrap.step + 1
        return seed

    def wipe(self) -> None:
        """Erase the key."""
        self.key.wipe()

    def _check(self, wrap: Wrap, context: WrapContext) -> None:
        if wrap.slot != context.slot:
            raise PeerError(Code.WRONG_RECEIVER, "wrap is for another member")
        if wrap.generation != self.pair.generation:
            raise PeerError(Code.BAD_WRAP, "wrap is under another key")
        if wrap.step < self.step:
            raise PeerError(Code.REPLAYED, "wrap was used or passed")
        if wrap.step - self.step > MAX_STEPS:
            raise PeerError(Code.BAD_WRAP, "wrap is too many steps ahead")

    def _reach(self, step: int) -> Secret:
        """Return KEK_step, a new object, from the one held."""
        reached = self.key.copy()
        for _ in range(step - self.step):
            following = _step(reached)
            reached.wipe()
            reached = following
        return reached


def _open(kek: Secret, wrap: Wrap, *, pair: Pair, context: WrapContext) -> Secret:
    seed = bytearray(KEY_BYTES)
    wrap_key = _wrap_key(kek, pair, context)
    try:
        cipher = AESGCM(wrap_key.buffer)
        cipher.decrypt_into(_NONCE, wrap.sealed, _aad(pair, context, wrap.step), seed)
    finally:
        wrap_key.wipe()
    return Secret(seed)


def _step(kek: Secret) -> Secret:
    return expand(kek, labels.KEK_STEP)


def _wrap_key(kek: Secret, pair: Pair, context: WrapContext) -> Secret:
    return expand(kek, labels.WRAP + context.key_id + pair.kek_id)


def _aad(pair: Pair, context: WrapContext, step: int) -> bytes:
    return (
        labels.WRAP
        + pair.meeting
        + context.prev_epoch
        + context.key_id
        + u32(context.slot)
        + pair.leader
        + pair.member
        + u32(pair.generation)
        + u64(step)
    )
