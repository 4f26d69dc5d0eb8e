# SPDX-License-Identifier: Apache-2.0
"""Verdicts of the signature rule (spec/encoding.md, section 5).

A case with `published` names a file below tests/published and the case in it, whose
key, message and signature it judges; the others bring their own.
"""

import gzip
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from incamera.errors import PeerError
from incamera.protocol.ids import VerifyKey
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import ORDER, verify_signature

Case = dict[str, Any]
PUBLISHED = Path(__file__).parents[2] / "tests" / "published"
CCTV = "cctv/ed25519vectors.json.gz"
WYCHEPROOF = "wycheproof/ed25519_test.json"
HONEST = 32
IDENTITY = bytes([1]) + bytes(31)
# The eight points of small order, and encodings of them that are not canonical.
SMALL = [
    IDENTITY,
    bytes(32),
    bytes(31) + b"\x80",
    bytes.fromhex("ec" + "ff" * 30 + "7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("ed" + "ff" * 30 + "7f"),
    bytes.fromhex("01" + "00" * 30 + "80"),
]


def build() -> dict[str, object]:
    """Return the whole file."""
    makers = (cctv, wycheproof, honest, spoiled, bad_keys)
    return {
        "format": "incamera vectors 0",
        "about": "one verdict on every Ed25519 signature: spec/encoding.md, section 5",
        "cases": [case for make in makers for case in make()],
    }


def verdict(key: bytes, signature: bytes, message: bytes) -> Case:
    """Return `expect` or the error's code."""
    try:
        verify_signature(VerifyKey(key), signature, message)
    except PeerError as error:
        return {"error": error.code.value}
    return {"expect": {"valid": True}}


def cctv() -> list[Case]:
    """The 914 edge cases of C2SP/CCTV."""
    return [
        {"name": f"cctv {case['number']}", "published": [CCTV, case["number"]]}
        | verdict(
            bytes.fromhex(case["key"]), bytes.fromhex(case["sig"]), case["msg"].encode()
        )
        for case in json.loads(gzip.decompress((PUBLISHED / CCTV).read_bytes()))
    ]


def wycheproof() -> list[Case]:
    """All of Wycheproof's file."""
    return [
        {"name": f"wycheproof {case['tcId']}", "published": [WYCHEPROOF, case["tcId"]]}
        | verdict(
            bytes.fromhex(group["publicKey"]["pk"]),
            bytes.fromhex(case["sig"]),
            bytes.fromhex(case["msg"]),
        )
        for group in json.loads((PUBLISHED / WYCHEPROOF).read_text())["testGroups"]
        for case in group["tests"]
    ]


def signed(number: int) -> tuple[bytes, bytes, bytes]:
    """Return key, signature and message of an honest signer."""
    signer = Ed25519Signer(
        Secret(bytearray(sha256(f"signer {number}".encode()).digest()))
    )
    message = sha256(f"message {number}".encode()).digest() * (number % 5)
    return signer.public, signer.sign(message), message


def own(name: str, key: bytes, signature: bytes, message: bytes) -> Case:
    """Return a case that brings all it judges."""
    inputs = {"key": key.hex(), "signature": signature.hex(), "message": message.hex()}
    return {"name": name} | inputs | verdict(key, signature, message)


def honest() -> list[Case]:
    """Signatures as everybody makes them."""
    return [own(f"honest {number}", *signed(number)) for number in range(HONEST)]


def spoiled() -> list[Case]:
    """An honest signature with one fault."""
    key, signature, message = signed(1)
    other, _, _ = signed(2)
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    malleated = signature[:32] + scalar.to_bytes(32, "little")
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    return [
        own("another message", key, signature, message + b"!"),
        own("another key", other, signature, message),
        own("R changed", key, flipped, message),
        own("S plus L", key, malleated, message),
        own("one byte short", key, signature[:-1], message),
        own("one byte more", key, signature + b"\0", message),
        own("empty signature", key, b"", message),
        own("R is the identity", key, IDENTITY + bytes(32), message),
    ]


def bad_keys() -> list[Case]:
    """Keys that are no points of prime order."""
    _, signature, message = signed(1)
    key, _, _ = signed(1)
    cases = [
        own(f"key of small order {number}", point, signature, message)
        for number, point in enumerate(SMALL)
    ]
    off_curve = bytes([2]) + bytes(31)
    return [
        *cases,
        own("key not on the curve", off_curve, signature, message),
        own("key one byte short", key[:-1], signature, message),
        own("key one byte more", key + b"\0", signature, message),
        own("empty key", b"", signature, message),
    ]
