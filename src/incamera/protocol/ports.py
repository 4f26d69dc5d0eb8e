# SPDX-License-Identifier: Apache-2.0
"""What the core asks of the outside world: time, entropy and sealing.

Sealing draws randomness inside the library (HPKE, ML-KEM), so the core only opens;
`node` supplies these and tests supply deterministic ones.
"""

from dataclasses import dataclass
from typing import Protocol

from incamera.protocol.ids import VerifyKey
from incamera.protocol.secret import Secret


class Clock(Protocol):
    """Wall time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""


class Entropy(Protocol):
    """The system's random generator."""

    def draw(self, size: int) -> bytearray:
        """Return `size` fresh random bytes that nobody else holds."""


@dataclass(frozen=True, slots=True)
class KemPair:
    """An X-Wing key pair: 32-byte seed (secret) and 1216-byte public key."""

    seed: Secret
    public: bytes


class Sealer(Protocol):
    """Operations that draw their own randomness in the library."""

    def new_kem_pair(self) -> KemPair:
        """Return a fresh X-Wing key pair."""

    def seal(
        self, public: bytes, *, info: bytes, plaintext: bytes | bytearray
    ) -> bytes:
        """HPKE base mode (0x647a, 0x0001, 0x0002): enc || ciphertext."""


class Signer(Protocol):
    """Signs with one Ed25519 key that it never shows."""

    @property
    def public(self) -> VerifyKey:
        """The verify key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature (RFC 8032, deterministic)."""
