# SPDX-License-Identifier: Apache-2.0
"""One verdict on every Ed25519 signature (spec/encoding.md, section 5).

RFC 8032 leaves room for disagreement between libraries.  The rule here leaves none:

1. S < L;
2. A is a canonical encoding of a point of prime order;
3. R is not the identity;
4. R equals enc([S]B - [k]A), byte for byte.

With A of prime order, rule 4 puts R into the prime-order subgroup too, so cofactored
and cofactorless verifiers agree.  libsodium checks 1 and 4 in half of OpenSSL's time,
and its point check is 2.
"""

from functools import lru_cache
from hashlib import sha256
from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open
from nacl.exceptions import BadSignatureError

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.ids import DeviceId, Kid, VerifyKey

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""L, the order of the prime-order subgroup (RFC 8032, section 5.1)."""
_IDENTITY: Final = bytes([1]) + bytes(31)
_CACHED_KEYS: Final = 4096
"""Keys whose check is remembered: the members of our largest meeting."""


def verify_key(data: bytes) -> VerifyKey:
    """Return `data` as a verify key; PeerError(BAD_KEY) unless rule 2 holds."""
    _check(data)
    return VerifyKey(data)


def verify_signature(key: VerifyKey, signature: bytes, message: bytes) -> None:
    """Accept by the four rules, or raise PeerError: BAD_KEY or BAD_SIGNATURE."""
    _check(key)
    scalar = int.from_bytes(signature[32:], "little")
    if (
        len(signature) != SIGNATURE_BYTES
        or scalar >= ORDER
        or signature[:32] == _IDENTITY
    ):
        raise PeerError(Code.BAD_SIGNATURE, "malformed signature")
    try:
        crypto_sign_open(signature + message, key)
    except BadSignatureError:
        raise PeerError(Code.BAD_SIGNATURE, "signature does not verify") from None


def kid_of(key: VerifyKey) -> Kid:
    """Return the key id that headers carry: SHA-256(vk)[0:16]."""
    return Kid(sha256(key).digest()[:16])


def device_id_of(first_key: VerifyKey) -> DeviceId:
    """Return the device id, fixed by the device's first verify key."""
    return DeviceId(sha256(labels.DEVICE + first_key).digest()[:16])


@lru_cache(maxsize=_CACHED_KEYS)
def _check(data: bytes) -> None:
    # libsodium's check: canonical, on the curve, in the prime-order subgroup, not
    # of small order.
    if len(data) != KEY_BYTES or not crypto_core_ed25519_is_valid_point(data):
        raise PeerError(Code.BAD_KEY, "not a valid Ed25519 key")
