# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.errors import Code
from incamera.protocol import box, labels, schedule
from incamera.protocol.ids import EntryId, KeyId, MeetingId
from incamera.protocol.kem import kem_key_hash
from incamera.protocol.padding import MAX_CONTENT, pad

MEETING = MeetingId(b"m" * 32)
SALT = b"s" * 16
CONTEXT = box.GroupContext(
    meeting=MEETING, prev_epoch=EntryId(b"p" * 32), key_id=KeyId(b"k" * 32)
)


def seal(
    secret: Any, content: Any = b"hello", context: Any = CONTEXT, salt: Any = SALT
) -> Any:
    return box.seal_group(secret(1), content, context=context, slot=5, salt=salt)


def test_group_box_round_trip(secret: Any) -> None:
    sealed = seal(secret)
    assert box.open_group(secret(1), sealed, CONTEXT) == b"hello"
    assert box.GROUP_BOX.decode(box.GROUP_BOX.encode(sealed)) == sealed


def test_group_box_is_what_the_spec_says(secret: Any) -> None:
    keys = schedule.group_box_key(
        secret(1), key_id=CONTEXT.key_id, slot=5, salt=SALT
    ).buffer
    place = CONTEXT.meeting + CONTEXT.prev_epoch + CONTEXT.key_id
    aad = labels.BOX + place + b"\0\0\0\5" + SALT
    sealed = AESGCM(keys[:32]).encrypt(keys[32:], pad(b"hello"), aad)
    assert seal(secret).sealed == sealed


@pytest.mark.acceptance("Z1-06")
@pytest.mark.parametrize(
    "change",
    [{"meeting": b"M" * 32}, {"prev_epoch": b"P" * 32}, {"key_id": b"K" * 32}],
)
def test_group_box_opens_in_its_own_place_only(
    change: Any, secret: Any, refused: Any
) -> None:
    with refused(Code.BAD_BOX):
        box.open_group(secret(1), seal(secret), replace(CONTEXT, **change))


@pytest.mark.acceptance("Z1-06")
@pytest.mark.parametrize(
    "change",
    [{"key_id": b"K" * 32}, {"slot": 6}, {"salt": b"S" * 16}, {"sealed": bytes(272)}],
)
def test_group_box_cannot_be_relabelled(change: Any, secret: Any, refused: Any) -> None:
    with refused(Code.BAD_BOX):
        box.open_group(secret(1), replace(seal(secret), **change), CONTEXT)


@pytest.mark.acceptance("Z1-06")
def test_group_box_in_its_own_place_opens_control(secret: Any) -> None:
    assert box.open_group(secret(1), seal(secret), CONTEXT) == b"hello"


def test_another_group_key_does_not_open(secret: Any, refused: Any) -> None:
    with refused(Code.BAD_BOX):
        box.open_group(secret(2), seal(secret), CONTEXT)


def test_each_salt_has_a_key_of_its_own(secret: Any) -> None:
    keys = {bytes(seal(secret, salt=bytes([n]) * 16).sealed) for n in range(9)}
    assert len(keys) == 9


def test_the_length_is_hidden_within_a_class(secret: Any) -> None:
    sizes = {len(seal(secret, bytes(n)).sealed) for n in (0, 1, 100, 252)}
    assert sizes == {256 + 16}
    assert len(seal(secret, bytes(253)).sealed) == 512 + 16


def test_the_longest_content(secret: Any, refused: Any) -> None:
    longest = seal(secret, bytes(MAX_CONTENT))
    again = box.GROUP_BOX.decode(box.GROUP_BOX.encode(longest))
    assert box.open_group(secret(1), again, CONTEXT) == bytes(MAX_CONTENT)
    with refused(Code.TOO_LARGE):
        seal(secret, bytes(MAX_CONTENT + 1))


def test_padding_that_is_not_ours_is_refused(secret: Any, refused: Any) -> None:
    keys = schedule.group_box_key(secret(1), key_id=CONTEXT.key_id, slot=5, salt=SALT)
    key, nonce = keys.buffer[:32], keys.buffer[32:]
    aad = box._group_aad(CONTEXT, 5, SALT)
    sealed = AESGCM(key).encrypt(nonce, b"\0\0\0\1a" + bytes(252), aad)
    with refused(Code.NOT_CANONICAL):
        box.open_group(secret(1), replace(seal(secret), sealed=sealed), CONTEXT)


def test_proof_box(secret: Any, signer: Any, refused: Any) -> None:
    owner, other = signer(1).public, signer(2).public
    sealed = box.seal_proof(secret(3), b"me", meeting=MEETING, owner=owner, salt=SALT)
    assert box.open_proof(secret(3), sealed) == b"me"
    assert box.PROOF_BOX.decode(box.PROOF_BOX.encode(sealed)) == sealed
    changes = {"owner": other, "meeting": b"M" * 32, "salt": b"S" * 16}
    for name, value in changes.items():
        with refused(Code.BAD_BOX):
            box.open_proof(secret(3), replace(sealed, **{name: value}))
    with refused(Code.BAD_BOX):
        box.open_proof(secret(4), sealed)


def test_gate_box(secret: Any, signer: Any, refused: Any) -> None:
    gate, other = signer(1).public, signer(2).public
    sealed = box.seal_gate(secret(3), b"in", meeting=MEETING, gate=gate, salt=SALT)
    assert box.open_gate(secret(3), sealed) == b"in"
    assert box.GATE_BOX.decode(box.GATE_BOX.encode(sealed)) == sealed
    changes = {"gate": other, "meeting": b"M" * 32, "salt": b"S" * 16}
    for name, value in changes.items():
        with refused(Code.BAD_BOX):
            box.open_gate(secret(3), replace(sealed, **{name: value}))
    with refused(Code.BAD_BOX):
        box.open_gate(secret(4), sealed)


def test_request_box(sealer: Any, signer: Any, refused: Any) -> None:
    pair, request = sealer.new_kem_pair(), EntryId(b"q" * 32)
    ends = {"leader": signer(1).public, "member": signer(2).public}
    info = box.request_info(MEETING, request, leader_kem_key=pair.public, **ends)
    sealed = sealer.seal(pair.public, info=info, plaintext=pad(b"joining"))
    sent = box.RequestBox(
        request=request, leader_key_hash=kem_key_hash(pair.public), sealed=sealed
    )
    assert box.open_request(pair.seed, sent, info) == b"joining"
    assert box.REQUEST_BOX.decode(box.REQUEST_BOX.encode(sent)) == sent
    with refused(Code.BAD_BOX):
        box.open_request(pair.seed, sent, info + b"!")


def test_request_info_binds_every_part(signer: Any) -> None:
    ends = {"leader": signer(1).public, "member": signer(2).public}
    swapped = {"leader": ends["member"], "member": ends["leader"]}
    infos = {
        box.request_info(MEETING, EntryId(b"q" * 32), leader_kem_key=b"1", **ends),
        box.request_info(MEETING, EntryId(b"q" * 32), leader_kem_key=b"2", **ends),
        box.request_info(MEETING, EntryId(b"Q" * 32), leader_kem_key=b"1", **ends),
        box.request_info(MEETING, EntryId(b"q" * 32), leader_kem_key=b"1", **swapped),
        box.request_info(
            MeetingId(b"M" * 32), EntryId(b"q" * 32), leader_kem_key=b"1", **ends
        ),
    }
    assert len(infos) == 5


def test_a_request_box_with_foreign_padding_is_refused(
    sealer: Any, refused: Any
) -> None:
    pair = sealer.new_kem_pair()
    sealed = sealer.seal(pair.public, info=b"i", plaintext=bytes(300))
    sent = box.RequestBox(
        request=EntryId(bytes(32)), leader_key_hash=b"", sealed=sealed
    )
    with refused(Code.NOT_CANONICAL):
        box.open_request(pair.seed, sent, b"i")
