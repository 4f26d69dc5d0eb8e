# SPDX-License-Identifier: Apache-2.0
import hmac
from hashlib import sha3_256, sha256, shake_256
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.errors import Code, PeerError
from incamera.protocol import kem
from incamera.protocol.secret import Secret

INFO = b"info of the box"
WRONG = b"\x07" * 32


def secret_of(text: str) -> Secret:
    return Secret(bytearray.fromhex(text))


def test_keys_of_x_wing(published: Any) -> None:
    for case in published("hpke/xwing-test-vectors.json"):
        assert kem.kem_public(secret_of(case["seed"])).hex() == case["pk"]
        kem.verify_kem_key(bytes.fromhex(case["pk"]))


def test_shared_secrets_of_x_wing(published: Any) -> None:
    for case in published("hpke/xwing-test-vectors.json"):
        lattice, curve = parts(secret_of(case["seed"]))
        ct = bytes.fromhex(case["ct"])
        pk = bytes.fromhex(case["pk"])
        assert combine(*halves(lattice, curve, ct), ct, pk).hex() == case["ss"]


def test_boxes_of_hpke_pq(published: Any) -> None:
    cases = published("hpke/hpke-pq-test-vectors.json")
    suite = hpke.Suite(
        hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305
    )
    found = [c for c in cases if (c["kem_id"], c["kdf_id"]) == (0x647A, 1)]
    for case in found:
        seed, first = secret_of(case["skRm"]), case["encryptions"][0]
        sealed = bytes.fromhex(case["enc"] + first["ct"])
        info, aad = bytes.fromhex(case["info"]), bytes.fromhex(first["aad"])
        private = kem._private(seed)
        decrypt = rust_openssl.hpke._decrypt_with_aad
        assert decrypt(suite, sealed, private, info, aad).hex() == first["pt"]
        assert kem.kem_public(seed).hex() == case["pkRm"]
    assert len(found) == 1


def test_x25519_of_wycheproof(published: Any) -> None:
    """Whatever key is let in gives a secret; the others are refused before use."""
    for group in published("wycheproof/x25519_test.json")["testGroups"]:
        for case in group["tests"]:
            public, private = bytes.fromhex(case["public"]), case["private"]
            if not is_curve_key(public):
                assert case["result"] != "valid"
                continue
            ours = X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
            shared = ours.exchange(X25519PublicKey.from_public_bytes(public))
            assert shared.hex() == case["shared"]


def is_curve_key(curve: bytes) -> bool:
    lattice = kem.kem_public(Secret(bytearray(32)))[:1184]
    try:
        kem.verify_kem_key(lattice + curve)
    except PeerError:
        return False
    return True


def test_round_trip(sealer: Any) -> None:
    pair = sealer.new_kem_pair()
    sealed = sealer.seal(pair.public, info=INFO, plaintext=b"seed" * 8)
    assert len(sealed) == 32 + kem.SEAL_OVERHEAD
    assert kem.open_sealed(pair.seed, sealed, INFO).buffer == b"seed" * 8
    assert len(kem.kem_key_hash(pair.public)) == 32


def test_wrong_key_info_or_bytes_do_not_open(sealer: Any, refused: Any) -> None:
    pair, other = sealer.new_kem_pair(), sealer.new_kem_pair()
    sealed = sealer.seal(pair.public, info=INFO, plaintext=b"seed" * 8)
    spoiled = [
        sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :] for n in (0, 1100, -2)
    ]
    cases = [(other.seed, sealed, INFO), (pair.seed, sealed, INFO + b"!")]
    cases += [
        (pair.seed, bad, INFO) for bad in (*spoiled, sealed[:-1], sealed[:9], b"")
    ]
    for seed, data, info in cases:
        with refused(Code.BAD_BOX):
            kem.open_sealed(seed, data, info)


# -- Z1-08: the two halves of an X-Wing key, apart and together


def parts(seed: Secret) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    expanded = shake_256(seed.buffer).digest(96)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


def halves(
    lattice: MLKEM768PrivateKey, curve: X25519PrivateKey, enc: bytes
) -> tuple[bytes, bytes]:
    point = X25519PublicKey.from_public_bytes(enc[1088:1120])
    return lattice.decapsulate(enc[:1088]), curve.exchange(point)


def combine(lattice: bytes, curve: bytes, enc: bytes, public: bytes) -> bytes:
    """X-Wing's combiner, from its draft."""
    label = bytes.fromhex("5c2e2f2f5e5c")
    return sha3_256(lattice + curve + enc[1088:1120] + public[1184:] + label).digest()


def open_by_hand(shared: bytes, sealed: bytes, info: bytes) -> bytes:
    """HPKE's key schedule for base mode, from RFC 9180, section 5.1."""
    suite = b"HPKE" + bytes.fromhex("647a00010002")

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, sha256)

    def expand(prk: bytes, label: bytes, length: int) -> bytes:
        text = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context
        return hmac.digest(prk, text + b"\1", sha256)[:length]

    context = (
        b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    )
    secret = extract(shared, b"secret", b"")
    key, nonce = expand(secret, b"key", 32), expand(secret, b"base_nonce", 12)
    return AESGCM(key).decrypt(nonce, sealed[1120:], b"")


@pytest.mark.acceptance("Z1-08")
@pytest.mark.parametrize("broken", ["x25519", "ml-kem"])
def test_half_a_key_opens_nothing(broken: Any, sealer: Any) -> None:
    pair = sealer.new_kem_pair()
    sealed = sealer.seal(pair.public, info=INFO, plaintext=b"meeting key")
    lattice, curve = halves(*parts(pair.seed), sealed)
    known = (WRONG, curve) if broken == "x25519" else (lattice, WRONG)
    with pytest.raises(InvalidTag):
        open_by_hand(combine(*known, sealed, pair.public), sealed, INFO)


@pytest.mark.acceptance("Z1-08")
def test_both_halves_open_it_control(sealer: Any) -> None:
    pair = sealer.new_kem_pair()
    sealed = sealer.seal(pair.public, info=INFO, plaintext=b"meeting key")
    both = halves(*parts(pair.seed), sealed)
    shared = combine(*both, sealed, pair.public)
    assert open_by_hand(shared, sealed, INFO) == b"meeting key"


# -- Z1-09: one suite, no fallback


def lesser_boxes(seed: Secret) -> list[bytes]:
    """The same text sealed by each lesser KEM of HPKE, to a key from the same seed."""
    lattice, curve = parts(seed)
    sealed = []
    for name, key in (("X25519", curve), ("MLKEM768", lattice)):
        suite = hpke.Suite(
            getattr(hpke.KEM, name), hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM
        )
        sealed.append(suite.encrypt(b"meeting key", key.public_key(), INFO))
    return sealed


@pytest.mark.acceptance("Z1-09")
def test_boxes_of_lesser_suites_are_refused(secret: Any, refused: Any) -> None:
    for sealed in lesser_boxes(secret(1)):
        for padding in (b"", bytes(1120)):
            with refused(Code.BAD_BOX):
                kem.open_sealed(secret(1), padding + sealed, INFO)


@pytest.mark.acceptance("Z1-09")
def test_lesser_keys_are_refused(secret: Any, refused: Any) -> None:
    public = kem.kem_public(secret(1))
    for other in (public[1184:], public[:1184], public + b"\0", b""):
        with refused(Code.BAD_KEY):
            kem.verify_kem_key(other)


@pytest.mark.acceptance("Z1-09")
def test_the_full_suite_is_accepted_control(secret: Any) -> None:
    public = kem.load_kem_key(kem.kem_public(secret(1)))
    sealed = kem.SUITE.encrypt(b"meeting key", public, INFO)
    assert kem.open_sealed(secret(1), sealed, INFO).buffer == b"meeting key"


@pytest.mark.parametrize("point", sorted(kem._LOW_ORDER))
def test_keys_of_low_order_are_refused(point: Any, secret: Any, refused: Any) -> None:
    lattice = kem.kem_public(secret(1))[:1184]
    with refused(Code.BAD_KEY):
        kem.verify_kem_key(lattice + point.to_bytes(32, "little"))


def test_other_encodings_of_a_key_are_refused(secret: Any, refused: Any) -> None:
    lattice, curve = kem.kem_public(secret(1))[:1184], kem.kem_public(secret(1))[1184:]
    high_bit = curve[:31] + bytes([curve[31] | 0x80])
    nine = (2**255 - 19 + 9).to_bytes(32, "little")
    for other in (lattice + high_bit, lattice + nine, b"\xff" * 1184 + curve):
        with refused(Code.BAD_KEY):
            kem.verify_kem_key(other)
