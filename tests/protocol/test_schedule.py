# SPDX-License-Identifier: Apache-2.0
import hmac
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.errors import Code, UsageError
from incamera.protocol import labels, schedule
from incamera.protocol.ids import EntryId, KeyId, LedgerId, MeetingId, VerifyKey
from incamera.protocol.schedule import EpochContext
from incamera.protocol.secret import Secret

MEETING = MeetingId(b"m" * 32)
CONTEXT = EpochContext(
    meeting=MEETING,
    prev_epoch=EntryId(b"p" * 32),
    roster_root=b"r" * 32,
    term=3,
    epoch=7,
)
ELSEWHERE = [
    replace(CONTEXT, meeting=MeetingId(b"M" * 32)),
    replace(CONTEXT, prev_epoch=EntryId(b"P" * 32)),
    replace(CONTEXT, roster_root=b"R" * 32),
    replace(CONTEXT, epoch=8),
]


def expand(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-Expand as RFC 5869 writes it, without the library."""
    out, block, count = b"", b"", 0
    while len(out) < length:
        count += 1
        block = hmac.digest(key, block + info + bytes([count]), sha256)
        out += block
    return out[:length]


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_hkdf_of_wycheproof(published: Any) -> None:
    for group in published("wycheproof/hkdf_sha256_test.json")["testGroups"]:
        for case in group["tests"]:
            salt, info = bytes.fromhex(case["salt"]), bytes.fromhex(case["info"])
            prk = hmac.digest(salt, bytes.fromhex(case["ikm"]), sha256)
            if case["result"] == "invalid":
                with pytest.raises(UsageError):
                    schedule.expand(Secret(bytearray(prk)), info, case["size"])
                continue
            out = schedule.expand(Secret(bytearray(prk)), info, case["size"])
            assert out.buffer.hex() == case["okm"]


def test_hmac_of_wycheproof(published: Any) -> None:
    for group in published("wycheproof/hmac_sha256_test.json")["testGroups"]:
        for case in group["tests"]:
            key, message = bytes.fromhex(case["key"]), bytes.fromhex(case["msg"])
            tag = hmac.digest(key, message, sha256)[: group["tagSize"] // 8]
            wanted = case["result"] == "valid"
            assert hmac.compare_digest(tag.hex(), case["tag"]) is wanted


def test_chain_of_derivations(secret: Any) -> None:
    c = CONTEXT
    place = c.meeting + c.prev_epoch + c.roster_root
    key = schedule.meeting_key(secret(1), c)
    want = expand(b"\1" * 32, b"incamera/0 mk\0" + place + u64(3) + u64(7))
    assert key.buffer == want
    assert schedule.commitment(key) == expand(want, b"incamera/0 mk-commit\0")
    seed = schedule.ratchet_seed(key, c)
    assert seed.buffer == expand(want, b"incamera/0 ratchet\0" + place + u64(7))


def test_stream_and_group_keys(secret: Any) -> None:
    key, k = secret(2), KeyId(b"k" * 32)
    stream = schedule.base_key(key, meeting=MEETING, epoch=7, slot=5, number=9)
    info = b"incamera/0 sframe\0" + MEETING + u64(7) + u32(5) + u64(9)
    assert stream.buffer == expand(b"\2" * 32, info)
    group = schedule.group_key(key, k)
    assert group.buffer == expand(b"\2" * 32, b"incamera/0 group\0" + k)
    box = schedule.group_box_key(group, key_id=k, slot=5, salt=b"s" * 16)
    info = b"incamera/0 box\0" + k + u32(5) + b"s" * 16
    assert box.buffer == expand(bytes(group.buffer), info, 44)


def test_keys_of_link_and_gate(secret: Any) -> None:
    root = schedule.link_root(secret(3))
    want = hmac.digest(b"incamera/0 link\0", b"\3" * 32, sha256)
    assert root.buffer == want
    with_code = schedule.link_root(secret(3), secret(4))
    both = b"\3" * 32 + b"\4" * 32
    assert with_code.buffer == hmac.digest(b"incamera/0 link\0", both, sha256)
    ledger = LedgerId(b"l" * 32)
    gate = schedule.gate_seed(root, ledger)
    assert gate.buffer == expand(want, b"incamera/0 gate\0" + ledger)


def test_keys_of_boxes_at_rest(secret: Any) -> None:
    vk, salt = VerifyKey(b"v" * 32), b"s" * 16
    gate = schedule.gate_box_key(secret(3), meeting=MEETING, gate=vk, salt=salt)
    info = b"incamera/0 gate-box\0" + MEETING + vk + salt
    assert gate.buffer == expand(b"\3" * 32, info)
    proof = schedule.proof_box_key(secret(5), meeting=MEETING, owner=vk, salt=salt)
    info = b"incamera/0 proof\0" + MEETING + vk + salt
    assert proof.buffer == expand(b"\5" * 32, info, 44)


def test_public_hashes(secret: Any) -> None:
    vk, nonce, ledger = VerifyKey(b"v" * 32), b"n" * 32, LedgerId(b"l" * 32)
    tag = schedule.user_tag(secret(6), ledger_id=ledger, leader=vk, nonce=nonce)
    info = b"incamera/0 tag\0" + ledger + vk + nonce
    assert tag == hmac.digest(b"\6" * 32, info, sha256)[:16]
    assert schedule.kem_hash(b"a", b"b") == sha256(b"incamera/0 kem\0ab").digest()
    committed = schedule.user_secret_commitment(secret(6))
    assert committed == sha256(b"incamera/0 user-secret\0" + b"\6" * 32).digest()


@pytest.mark.parametrize("context", ELSEWHERE)
def test_every_part_of_the_context_counts(context: Any, secret: Any) -> None:
    here, there = (schedule.meeting_key(secret(1), c) for c in (CONTEXT, context))
    assert here != there
    assert schedule.ratchet_seed(here, CONTEXT) != schedule.ratchet_seed(here, context)


def test_the_term_counts_in_the_meeting_key(secret: Any) -> None:
    other = replace(CONTEXT, term=4)
    assert schedule.meeting_key(secret(1), CONTEXT) != schedule.meeting_key(
        secret(1), other
    )


def test_committed_key_or_none(secret: Any, refused: Any) -> None:
    committed = schedule.commitment(schedule.meeting_key(secret(1), CONTEXT))
    key = schedule.committed_key(secret(1), CONTEXT, committed)
    assert key == schedule.meeting_key(secret(1), CONTEXT)
    with refused(Code.BAD_COMMITMENT):
        schedule.committed_key(secret(2), CONTEXT, committed)
    for context in ELSEWHERE:
        with refused(Code.BAD_COMMITMENT):
            schedule.committed_key(secret(1), context, committed)


@pytest.mark.acceptance("D-06")
def test_the_meeting_key_has_32_bytes_of_its_own(secret: Any) -> None:
    keys = [schedule.meeting_key(secret(n), CONTEXT).buffer for n in range(1, 9)]
    assert {len(key) for key in keys} == {32}
    assert len(set(map(bytes, keys))) == 8


@pytest.mark.acceptance("D-06")
def test_a_shorter_meeting_key_is_noticed_control(secret: Any) -> None:
    whole = schedule.meeting_key(secret(1), CONTEXT)
    short = Secret(whole.buffer[:16])
    assert schedule.commitment(short) != schedule.commitment(whole)


@pytest.mark.acceptance("D-02")
@pytest.mark.parametrize(
    "commit", [schedule.info_commitment, schedule.identity_commitment]
)
def test_an_opening_fits_its_commitment_only(commit: Any, refused: Any) -> None:
    nonce = bytes(range(32))
    committed = commit(nonce, b"Alice")
    assert commit(nonce, b"Alice") == committed
    assert commit(nonce, b"Alicf") != committed
    assert commit(bytes(32), b"Alice") != committed
    for wrong in (nonce[:31], nonce + b"\0", b""):
        with refused(Code.BAD_OPENING):
            commit(wrong, b"Alice")


@pytest.mark.acceptance("D-02")
def test_a_padded_nonce_would_open_the_same_control() -> None:
    """HMAC alone takes r and r with zeros behind it for the same key."""
    short = b"r" * 31
    opened = hmac.digest(short, labels.INFO + b"Alice", sha256)
    assert opened == hmac.digest(short + b"\0", labels.INFO + b"Alice", sha256)


def boxes_of(keys: list[bytearray]) -> list[tuple[bytearray, bytes]]:
    return [(key, AESGCM(key).encrypt(bytes(12), b"frame", None)) for key in keys]


def keys_of_a_meeting(key: Secret) -> list[bytearray]:
    streams = [
        schedule.base_key(key, meeting=MEETING, epoch=e, slot=s, number=n)
        for e in (1, 2)
        for s in (0, 1)
        for n in range(4)
    ]
    return [k.buffer for k in (*streams, schedule.group_key(key, KeyId(b"k" * 32)))]


@pytest.mark.acceptance("Z1-10")
def test_keys_of_streams_and_chat_do_not_open_each_other(secret: Any) -> None:
    keys = keys_of_a_meeting(secret(1))
    for mine, sealed in boxes_of(keys):
        for other in keys:
            if other is not mine:
                with pytest.raises(InvalidTag):
                    AESGCM(other).decrypt(bytes(12), sealed, None)


@pytest.mark.acceptance("Z1-10")
def test_one_key_for_everything_would_open_control(secret: Any) -> None:
    for mine, sealed in boxes_of(keys_of_a_meeting(secret(1))):
        assert AESGCM(mine).decrypt(bytes(12), sealed, None) == b"frame"
