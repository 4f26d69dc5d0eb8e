# SPDX-License-Identifier: Apache-2.0
"""Time, randomness, sealing and signing, from the real world (spec/keys.md, section 2).

The protocol is given these; tests give it fixed ones.
"""

import os
import time
from typing import Final

from incamera.protocol.kem import SEED_BYTES, SUITE, kem_public, load_kem_key
from incamera.protocol.ports import KemPair
from incamera.protocol.secret import Secret, take

_NS_PER_MS: Final = 1_000_000


class SystemClock:
    """The machine's wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // _NS_PER_MS


class SystemEntropy:
    """The operating system's random generator."""

    def draw(self, size: int) -> bytearray:
        """Return `size` fresh random bytes, without another copy in memory."""
        return take(os.urandom(size)).buffer


class HpkeSealer:
    """Seals with HPKE over X-Wing; the library draws the encapsulation's randomness."""

    def __init__(self, entropy: SystemEntropy) -> None:
        self._entropy = entropy

    def new_kem_pair(self) -> KemPair:
        """Return a fresh X-Wing key pair."""
        seed = Secret(self._entropy.draw(SEED_BYTES))
        return KemPair(seed, kem_public(seed))

    def seal(
        self, public: bytes, *, info: bytes, plaintext: bytes | bytearray
    ) -> bytes:
        """Return enc || ciphertext; PeerError(BAD_KEY) for a malformed key."""
        return SUITE.encrypt(plaintext, load_kem_key(public), info)
