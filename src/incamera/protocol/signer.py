# SPDX-License-Identifier: Apache-2.0
"""How an Ed25519 seed signs (RFC 8032: deterministic, so it belongs to the core)."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from incamera.errors import Code, UsageError
from incamera.protocol.ids import VerifyKey
from incamera.protocol.secret import Secret
from incamera.protocol.signing import verify_key


class Ed25519Signer:
    """Signs with the key of a 32-byte seed, which only the library holds."""

    def __init__(self, seed: Secret) -> None:
        """The caller keeps or wipes `seed`."""
        private = Ed25519PrivateKey.from_private_bytes(seed.buffer)
        self._private: Ed25519PrivateKey | None = private
        self._public = verify_key(private.public_key().public_bytes_raw())

    @property
    def public(self) -> VerifyKey:
        """The verify key."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature; UsageError(WRONG_STATE) after `wipe`."""
        if self._private is None:
            raise UsageError(Code.WRONG_STATE, "this signing key is erased")
        return self._private.sign(message)

    def wipe(self) -> None:
        """Give the key up: the library overwrites it once nobody refers to it."""
        self._private = None
