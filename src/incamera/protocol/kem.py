# SPDX-License-Identifier: Apache-2.0
"""How something sealed to one X-Wing key is opened (spec/keys.md, section 5).

X-Wing is X25519 and ML-KEM-768 together, HPKE KEM 0x647a: whoever breaks only one of
the two learns nothing.  There is one suite and no fallback: HPKE base mode with
HKDF-SHA-256 (0x0001) and AES-256-GCM (0x0002).
"""

from hashlib import sha256, shake_256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from incamera.errors import Code, PeerError
from incamera.protocol.secret import Secret, take, wipe

SEED_BYTES: Final = 32
"""Bytes of an X-Wing private key."""
KEM_KEY_BYTES: Final = 1216
"""Bytes of an X-Wing public key: ML-KEM-768 (1184) || X25519 (32)."""
ENC_BYTES: Final = 1120
"""Bytes of an encapsulation: ML-KEM-768 (1088) || X25519 (32)."""
SEAL_OVERHEAD: Final = ENC_BYTES + 16
"""Bytes that sealing adds: the encapsulation and the tag."""
SUITE: Final = hpke.Suite(
    hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM
)
_MLKEM_KEY_BYTES: Final = 1184
_FIELD: Final = 2**255 - 19


def verify_kem_key(data: bytes) -> bytes:
    """Return `data` if it is an X-Wing public key; PeerError(BAD_KEY) if not.

    X25519 would take several encodings of one key and keys of low order; only the
    canonical encoding of a usable key is let in.
    """
    load_kem_key(data)
    return data


def load_kem_key(data: bytes) -> hpke.MLKEM768X25519PublicKey:
    """Return the library's form of a public key; raises as `verify_kem_key`."""
    if len(data) != KEM_KEY_BYTES:
        raise PeerError(Code.BAD_KEY, f"a KEM key has {KEM_KEY_BYTES} bytes")
    lattice, curve = data[:_MLKEM_KEY_BYTES], data[_MLKEM_KEY_BYTES:]
    point = int.from_bytes(curve, "little")
    if point >= _FIELD or point in _LOW_ORDER:
        raise PeerError(Code.BAD_KEY, "not a usable X25519 key")
    try:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(lattice),
            X25519PublicKey.from_public_bytes(curve),
        )
    except ValueError:
        raise PeerError(Code.BAD_KEY, "not an ML-KEM-768 key") from None


def kem_public(seed: Secret) -> bytes:
    """Return the public key of a 32-byte seed."""
    lattice, curve = _parts(seed)
    return (
        lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    )


def kem_key_hash(public: bytes) -> bytes:
    """Return SHA-256 of one public key, as `info` and the KEK message name it."""
    return sha256(public).digest()


def open_sealed(seed: Secret, sealed: bytes, info: bytes) -> Secret:
    """Return what was sealed to the key of `seed` under `info`.

    Raises PeerError(BAD_BOX) for another key, another `info` or altered bytes; which
    of them is not told apart.
    """
    try:
        opened = SUITE.decrypt(sealed, _private(seed), info)
    except (InvalidTag, ValueError):
        raise PeerError(Code.BAD_BOX, "sealed box does not open") from None
    return take(opened)


def _private(seed: Secret) -> hpke.MLKEM768X25519PrivateKey:
    return hpke.MLKEM768X25519PrivateKey(*_parts(seed))


def _parts(seed: Secret) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    expanded = take(shake_256(seed.buffer).digest(96)).buffer
    lattice, curve = expanded[:64], expanded[64:]
    keys = (
        MLKEM768PrivateKey.from_seed_bytes(lattice),
        X25519PrivateKey.from_private_bytes(curve),
    )
    for part in (expanded, lattice, curve):
        wipe(part)
    return keys


_LOW_ORDER: Final = frozenset(
    {
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _FIELD - 1,
    }
)
"""u-coordinates of the points of order 1, 2, 4 and 8, on the curve and its twist."""
