# SPDX-License-Identifier: Apache-2.0
"""What is neither entry nor signed message also has the form that the schema says."""

import json
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cddl_verifier import Validator  # type: ignore[import-untyped]  # has no stubs

from incamera.node import relay_blobs, relay_frames
from incamera.protocol import proof as proofs
from incamera.protocol import statement as identity
from incamera.protocol.attestation import CheckpointAttestation, LogLeaf
from incamera.protocol.box import (
    GATE_BOX,
    GROUP_BOX,
    PROOF_BOX,
    GateBox,
    GroupBox,
    ProofBox,
    RequestBox,
)
from incamera.protocol.descriptor import embedded_descriptor, encode_descriptor
from incamera.protocol.encoding import encode
from incamera.protocol.ids import (
    DeviceId,
    EntryId,
    Head,
    KeyId,
    Kid,
    LedgerId,
    MeetingId,
    TopicId,
    UserId,
    UserTag,
)
from incamera.protocol.kem import kem_public
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import EntryPush, WrapBatch, WrapOne
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.smt import MapProof, OtherLeaf
from incamera.protocol.wraps import Wrap

SPEC = Path(__file__).parents[1] / "spec"
TEXT = (SPEC / "incamera.cddl").read_text()
ID, SALT, TEXT_256 = bytes([8]) * 32, bytes(16), bytes(272)
MEETING, KEY, ENTRY = MeetingId(ID), KeyId(ID), EntryId(ID)
ADA = Ed25519Signer(Secret(bytearray([1]) * 32))
KEM = kem_public(Secret(bytearray(32)))
WRAP = Wrap(slot=4095, generation=2**32 - 1, step=0, sealed=bytes(48))
logging.getLogger("cddl_verifier").setLevel(logging.CRITICAL)  # refusals are meant


@cache
def schema() -> Validator:
    return Validator(TEXT)


def accepts(rule: str, data: bytes) -> bool:
    return bool(schema().validate(data, root_type=rule).valid)


def proof() -> bytes:
    leaf = LogLeaf(time_ms=5, map_root=ID, topics=1)
    return proofs.encode_proof(
        proofs.Proof(
            ledger=LedgerId(ID),
            topic=TopicId(ID),
            head=None,
            count=0,
            map=MapProof(siblings=(ID,), other=OtherLeaf(key_hash=ID, value_hash=ID)),
            attestation=CheckpointAttestation(note="x", leaf=leaf, path=(ID,)),
        )
    )


def statement() -> bytes:
    head = identity.UserHead(
        ledger=LedgerId(ID), topic=TopicId(ID), head=Head(ID), count=1
    )
    body = identity.Statement(
        purpose=identity.Purpose.JOIN,
        subject=ID,
        mvk=ADA.public,
        kem_hash=ID,
        user_id=UserId(ID),
        device_id=DeviceId(SALT),
        tag=UserTag(SALT),
        head=head,
    )
    return identity.sign_statement(ADA, body)


def opening() -> identity.IdentityOpening:
    return identity.IdentityOpening(
        statement=statement(),
        nonce=ID,
        topic=identity.TopicProof(
            descriptor=b"x",
            records=(identity.OrderedEntry(time_ms=5, entry=b"x"),),
            proof=b"x",
        ),
        info=identity.InfoOpening(nonce=ID, info=b"x"),
    )


def frames() -> Iterator[relay_frames.Frame]:
    yield relay_frames.Challenge(challenge=ID)
    yield relay_frames.Answer(mvk=ADA.public, signature=bytes(64), gate=bytes(64))
    yield relay_frames.Ready(role=1, kid=Kid(SALT))
    yield relay_frames.Post(number=1, message=b"x")
    yield relay_frames.Posted(number=1, full=(Kid(SALT),))
    yield relay_frames.Refused(number=1, code="quota")
    yield relay_frames.Delivery(number=1, sender=Kid(SALT), message=b"x")
    yield relay_frames.Delivered(number=1)


def samples() -> Iterator[tuple[str, bytes]]:
    yield "wraps", encode_unsigned(WrapBatch(key_id=KEY, wraps=(WRAP,) * 960))
    yield "wrap-one", encode_unsigned(WrapOne(key_id=KEY, wrap=WRAP))
    yield "entry-push", encode_unsigned(EntryPush(entry=b"x", time_ms=5))
    box = GroupBox(key_id=KEY, slot=0, salt=SALT, sealed=TEXT_256)
    yield "group-box", encode(GROUP_BOX.encode(box))
    asks = RequestBox(request=ENTRY, leader_key_hash=ID, sealed=bytes(1392))
    yield "request-box", encode_unsigned(asks)
    gate = GateBox(meeting=MEETING, gate=ADA.public, salt=SALT, sealed=TEXT_256)
    yield "leader-blob", encode(GATE_BOX.encode(gate))
    own = ProofBox(meeting=MEETING, owner=ADA.public, salt=SALT, sealed=TEXT_256)
    yield "proof-blob", encode(PROOF_BOX.encode(own))
    yield "descriptor", encode_descriptor(embedded_descriptor(ADA.public))
    yield "proof", proof()
    yield "statement", statement()
    yield "identity-opening", identity.encode_opening(opening())
    secret = identity.JoinSecret(opening=opening(), current=KEM, spare=KEM)
    yield "join-secret", identity.encode_join_secret(secret)
    for frame in frames():
        name = f"relay-{type(frame).__name__.lower()}"
        yield name, relay_frames.encode_frame(frame)
    put = relay_blobs.sign_blob(
        ADA, b"x", meeting=MEETING, name="leader", pin=ID, time_ms=5
    )
    yield "blob-put", put


@pytest.mark.parametrize(("rule", "data"), list(samples()), ids=lambda x: str(x)[:20])
def test_the_schema_takes_what_the_code_makes(rule: str, data: bytes) -> None:
    assert accepts(rule, data)


@pytest.mark.parametrize(("rule", "data"), list(samples()), ids=lambda x: str(x)[:20])
def test_the_schema_refuses_it_spoiled_control(rule: str, data: bytes) -> None:
    value = cbor2.loads(data)
    if isinstance(value, dict):
        wrong: object = {**value, 99: 0}
        assert not accepts(rule, cbor2.dumps({**value, 1: "?"}, canonical=True))
    elif isinstance(value, list):
        wrong = value[:-1]
    else:  # an envelope
        wrong = value.value[:-1]
    assert not accepts(rule, cbor2.dumps(wrong, canonical=True))


def test_a_batch_of_one_wrap_too_many_is_refused_control() -> None:
    full = encode_unsigned(WrapBatch(key_id=KEY, wraps=(WRAP,) * 960))
    value = cbor2.loads(full)
    value[2].append(value[2][0])
    assert accepts("wraps", full)
    assert not accepts("wraps", cbor2.dumps(value, canonical=True))


def cases(topic: str) -> list[dict[str, Any]]:
    found = json.loads((SPEC / f"vectors/{topic}.json").read_text())["cases"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("topic", ["user", "meeting"])
def test_the_schema_takes_the_histories_and_states_of_the_vectors(topic: str) -> None:
    good = [case for case in cases(topic) if "expect" in case]
    for case in good:
        assert accepts(f"{topic}-state", bytes.fromhex(case["expect"]["state"]))
    for entry in {entry for case in good for _, entry in case["history"]}:
        assert accepts(f"{topic}-entry", bytes.fromhex(entry)), entry


def test_the_schema_takes_no_entry_vector_that_is_only_badly_formed_control() -> None:
    refused = []
    for case in cases("entries"):
        taken = accepts("entry", bytes.fromhex(case["entry"]))
        assert taken or "error" in case, case["name"]
        refused += [] if taken else [case["error"]]
    # CDDL sees form, sizes and types; the rest of the profile is the reader's
    assert set(refused) <= {"schema", "unknown-type", "not-canonical", "too-large"}
    assert refused.count("schema") > 5


@pytest.mark.parametrize(
    ("topic", "rule"), [("proof", "proof"), ("checkpoint", "descriptor")]
)
def test_the_schema_and_the_ledger_vectors_agree(topic: str, rule: str) -> None:
    told = [case for case in cases(topic) if case.get("operation") == rule]
    taken = {case["name"]: accepts(rule, bytes.fromhex(case["data"])) for case in told}
    assert all(taken[case["name"]] for case in told if "expect" in case)
    refused = [case["error"] for case in told if not taken[case["name"]]]
    assert {"schema", "unknown-type"} <= set(refused)


def bytes_of(data: Any) -> bytes:
    """Bytes in hex, or [hex, number of zero bytes, hex] where most are zeros."""
    if isinstance(data, str):
        return bytes.fromhex(data)
    before, zeros, after = data
    return bytes.fromhex(before) + bytes(zeros) + bytes.fromhex(after)


def test_the_schema_and_the_message_vectors_agree() -> None:
    rules = {"unsigned": "relay-content", "batch": "wraps"}
    refused = []
    for case in cases("messages"):
        if case["operation"] != "counters" and "data" in case:
            clear = "class-b" if case.get("sealed") else "class-a"
            rule = rules.get(case["operation"], clear)
            taken = accepts(rule, bytes_of(case["data"]))
            assert taken or "error" in case, case["name"]
            refused += [] if taken else [case["error"]]
    assert refused.count("schema") > 5
