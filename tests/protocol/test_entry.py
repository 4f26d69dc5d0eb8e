# SPDX-License-Identifier: Apache-2.0
"""Entries: form, ids, signatures, and every bit of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.bodies import Request
from incamera.protocol.encoding import MAX_ENTRY
from incamera.protocol.entry import Entry, parse_entry, sign_entry
from incamera.protocol.fields import CosignRole
from incamera.protocol.ids import VerifyKey

VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "entries.json"
CASES = json.loads(VECTORS.read_text())["cases"]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [c for c in CASES if kind in c and ("key" not in c or kind == "key")]


def verdict(data: bytes) -> Code | None:
    try:
        assert parse_entry(data).data == data
    except PeerError as error:
        return error.code
    return None


@pytest.fixture
def request_entry(scene: Any) -> Entry:
    entry = scene.request("dan")
    assert isinstance(entry, Entry)
    return entry


@pytest.mark.parametrize("case", of_kind("expect"), ids=lambda case: case["name"])
def test_vectors_accepted(case: dict[str, Any]) -> None:
    entry, expect = parse_entry(bytes.fromhex(case["entry"])), case["expect"]
    header = entry.header
    assert entry.id.hex() == expect["id"]
    assert header.author.hex() == expect["author"]
    assert (header.type, header.place.hex()) == (expect["type"], expect["place"])
    assert header.seq == expect["seq"]
    assert (header.prev and header.prev.hex()) == expect["prev"]
    assert entry.signed.encode() == entry.data
    entry.verify(VerifyKey(bytes.fromhex(expect["key"])))


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if "error" in c and "key" not in c],
    ids=lambda case: case["name"],
)
def test_vectors_refused(refused: Callable[[Code], Any], case: dict[str, Any]) -> None:
    with refused(Code(case["error"])):
        parse_entry(bytes.fromhex(case["entry"]))


@pytest.mark.acceptance("Z1-07")
@pytest.mark.parametrize(
    "case", [c for c in CASES if "key" in c], ids=lambda case: case["name"]
)
def test_a_signature_of_another_context_does_not_hold(
    refused: Callable[[Code], Any], case: dict[str, Any]
) -> None:
    entry = parse_entry(bytes.fromhex(case["entry"]))
    with refused(Code(case["error"])):
        entry.verify(VerifyKey(bytes.fromhex(case["key"])))


def test_a_signature_of_another_context_control(
    request_entry: Entry, meetings: Any
) -> None:
    signer = meetings.signer_of("dan")
    for label in (labels.ENTRY, labels.MESSAGE, labels.STATEMENT):
        signed = request_entry.signed
        again = signer.sign(signed.sig_structure(label))
        assert (again == signed.signature) == (label == labels.ENTRY)
    request_entry.verify(signer.public)


def test_every_flipped_bit_is_refused(request_entry: Entry, scene: Any) -> None:
    data = request_entry.data
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PeerError):
            scene.try_out(parse_entry(bytes(changed)))


def test_every_flipped_bit_control(request_entry: Entry, scene: Any) -> None:
    assert scene.try_out(parse_entry(request_entry.data)).next_ordinal == 3


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: b"\xd2" + b))
def test_random_bytes_give_an_entry_or_a_peer_error(data: bytes) -> None:
    assert verdict(data) in {None, Code.SCHEMA, Code.NOT_CANONICAL}


@given(st.data())
def test_spoiled_entries_give_an_entry_or_a_peer_error(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(of_kind("expect")))
    raw = bytearray.fromhex(case["entry"])
    start = data.draw(st.integers(0, len(raw) - 1))
    raw[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    assert verdict(bytes(raw)) is not Code.BAD_SIGNATURE


def test_the_id_does_not_hang_on_the_signature(request_entry: Entry) -> None:
    other = bytearray(request_entry.data)
    other[-1] ^= 1
    assert parse_entry(bytes(other)).id == request_entry.id


def test_a_body_without_cosigns_takes_none(scene: Any, meetings: Any) -> None:
    cosigners = [(CosignRole.GATE, meetings.signer_of("gate"))]
    entry = scene.leave("bob")
    place = {"place": entry.header.place, "seq": 1, "prev": entry.header.prev}
    again = sign_entry(
        meetings.signer_of("bob"), entry.body, cosigners=cosigners, **place
    )
    assert again.data == entry.data


def test_too_large_a_body_is_not_signed(
    refused: Callable[[Code], Any], scene: Any
) -> None:
    with refused(Code.TOO_LARGE):
        scene.request("dan", extensions={0: bytes(MAX_ENTRY)})


@pytest.mark.parametrize("role", list(CosignRole))
def test_counter_signatures_bind_their_role(
    refused: Callable[[Code], Any], scene: Any, meetings: Any, role: CosignRole
) -> None:
    gate = meetings.signer_of("gate")
    entry = sign_entry(
        meetings.signer_of("dan"),
        meetings.request_body("dan"),
        place=scene.now.meeting_id,
        seq=0,
        prev=None,
        cosigners=[(role, gate)],
    )
    assert isinstance(entry.body, Request)
    assert entry.body.cosigns is not None
    entry.verify_cosign(entry.body.cosigns[0], gate.public)
    with refused(Code.BAD_COSIGNATURE):
        entry.verify_cosign(entry.body.cosigns[0], meetings.signer_of("eve").public)
