# SPDX-License-Identifier: Apache-2.0
"""Who is behind an entry: proofs that hold, and one fault at a time that does not."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.attestation import CheckpointAttestation, LogLeaf, encode_leaf
from incamera.protocol.bodies import (
    ClearInfo,
    Device,
    DeviceKind,
    UserPolicy,
    UserRoot,
)
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import (
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.encoding import encode
from incamera.protocol.entry import parse_entry, sign_entry
from incamera.protocol.identity import (
    MAX_AGE_MS,
    Expected,
    Identified,
    verify_identity,
)
from incamera.protocol.ids import Head, TopicId, UserId, UserTag, VerifyKey
from incamera.protocol.log import Log, leaf_hash
from incamera.protocol.proof import (
    EMPTY_HEAD,
    Proof,
    Strength,
    encode_proof,
    fold_head,
    map_value,
)
from incamera.protocol.schedule import identity_commitment, info_commitment
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import device_id_of
from incamera.protocol.smt import SparseMap
from incamera.protocol.statement import (
    IdentityOpening,
    InfoOpening,
    OrderedEntry,
    Purpose,
    Statement,
    TopicProof,
    UserHead,
    sign_statement,
)

ORDERED = 5_000_000
PROVEN = ORDERED - 1000
NONCE, INFO_NONCE = b"r" * 32, b"i" * 32
INFO = encode({1: "Alice", 2: "from afar"})
OPENED = InfoOpening(nonce=INFO_NONCE, info=INFO)


def signer_of(byte: int) -> Ed25519Signer:
    return Ed25519Signer(Secret(bytearray([byte]) * 32))


LEDGER, DEVICE, MVK = signer_of(1), signer_of(2), signer_of(3)
DESCRIPTOR = encode_descriptor(embedded_descriptor(LEDGER.public))
LEDGER_ID = ledger_id_of(DESCRIPTOR)


def device_of(signer: Ed25519Signer, kind: DeviceKind = DeviceKind.COMPUTER) -> Device:
    key = signer.public
    return Device(ivk=key, id=device_id_of(key), kind=kind, name="desk")


def root_of(info: Any) -> bytes:
    body = UserRoot(
        rules=1,
        nonce=b"n" * 32,
        device=device_of(DEVICE),
        info=info,
        policy=UserPolicy(lockdown=False, recovery_wait_ms=0),
        gateways=(),
    )
    return sign_entry(DEVICE, body, place=LEDGER_ID, seq=0, prev=None).data


def prove(
    records: Any, topic: TopicId, *, time_ms: int = PROVEN, absent: bool = False
) -> bytes:
    """A one-leaf ledger that holds the topic (or does not), and its proof."""
    head, count = EMPTY_HEAD, len(records)
    for record in records:
        head = fold_head(head, record.entry, record.time_ms)
    held = [] if absent else [(topic, map_value(head, count))]
    tree, log = SparseMap([*held, (bytes(32), bytes(40))]), Log()
    leaf = LogLeaf(time_ms=time_ms, map_root=tree.root(), topics=2)
    log.append(leaf_hash(encode_leaf(leaf)))
    checkpoint = Checkpoint(
        ledger=LEDGER_ID, size=1, root=log.root(), map_root=tree.root(), time_ms=time_ms
    )
    note = format_note(sign_checkpoint(checkpoint, LEDGER))
    proof = Proof(
        ledger=LEDGER_ID,
        topic=topic,
        head=None if absent else head,
        count=0 if absent else count,
        map=tree.prove(topic),
        attestation=CheckpointAttestation(note=note, leaf=leaf, path=()),
    )
    return encode_proof(proof)


@dataclass
class Case:
    """A whole proof of identity; tests change one thing and build it."""

    info: Any = field(default_factory=lambda: info_commitment(INFO_NONCE, INFO))
    signer: Ed25519Signer = DEVICE
    statement: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    topic: dict[str, Any] = field(default_factory=dict)
    proof: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)
    opened: InfoOpening | None = OPENED
    clear: bool = False
    ordered_ms: int = ORDERED

    def __post_init__(self) -> None:
        self.root = root_of(self.info)
        self.records = (OrderedEntry(time_ms=1000, entry=self.root),)
        self.user = parse_entry(self.root).id

    def said(self) -> Statement:
        head: dict[str, Any] = {
            "ledger": LEDGER_ID,
            "topic": TopicId(self.user),
            "head": fold_head(EMPTY_HEAD, self.root, 1000),
            "count": 1,
            **self.head,
        }
        values: dict[str, Any] = {
            "purpose": Purpose.JOIN,
            "subject": b"m" * 32,
            "mvk": MVK.public,
            "kem_hash": b"h" * 32,
            "user_id": UserId(self.user),
            "device_id": device_id_of(DEVICE.public),
            "tag": UserTag(b"t" * 16),
            "head": UserHead(**head),
        }
        return Statement(**{**values, **self.statement})

    def run(self, **changes: Any) -> Identified:
        signed = sign_statement(self.signer, self.said())
        proof = {"records": self.records, "topic": TopicId(self.user), **self.proof}
        topic = TopicProof(
            **{
                "descriptor": DESCRIPTOR,
                "records": self.records,
                "proof": prove(proof.pop("records"), proof.pop("topic"), **proof),
                **self.topic,
            }
        )
        opening = IdentityOpening(
            statement=signed, nonce=NONCE, topic=topic, info=self.opened
        )
        committed = signed if self.clear else identity_commitment(NONCE, signed)
        names = ("purpose", "subject", "mvk", "kem_hash", "tag")
        values = {name: getattr(Case().said(), name) for name in names}
        expected = Expected(**{**values, "identity": committed, **self.expected})
        return verify_identity(
            opening, expected=expected, ordered_ms=self.ordered_ms, **changes
        )


def test_committed_identity_holds() -> None:
    case = Case()
    found = case.run()
    assert bytes(found.user_id) == case.user
    assert found.device_id == device_id_of(DEVICE.public)
    assert (found.info, found.tag) == ("Alice", b"t" * 16)
    assert (found.ledger_id, found.strength) == (LEDGER_ID, Strength.HOST)
    assert found.proven_ms == PROVEN
    assert found.head == case.said().head


def test_identity_in_clear_holds() -> None:
    assert Case(clear=True, info=ClearInfo(name="Bob")).run().info == "Bob"


def test_withheld_info_stays_unknown() -> None:
    assert Case(opened=None).run().info is None


@pytest.mark.acceptance("D-02")
@pytest.mark.parametrize(
    "opened",
    [
        InfoOpening(nonce=b"x" * 32, info=INFO),
        InfoOpening(nonce=INFO_NONCE, info=encode({1: "Malice"})),
        InfoOpening(nonce=INFO_NONCE, info=b""),
    ],
)
def test_wrong_r_or_info_opens_nothing(opened: InfoOpening, refused: Any) -> None:
    with refused(Code.BAD_OPENING):
        Case(opened=opened).run()


@pytest.mark.acceptance("D-02")
def test_the_right_opening_shows_the_info_control() -> None:
    assert Case().run().info == "Alice"


@pytest.mark.acceptance("D-02")
def test_nothing_personal_is_on_the_ledger() -> None:
    root = Case().root
    for text in (b"Alice", b"from afar", INFO, INFO_NONCE):
        assert text not in root


@pytest.mark.acceptance("D-02")
def test_info_in_clear_would_be_found_on_the_ledger_control() -> None:
    assert b"Alice" in Case(info=ClearInfo(name="Alice")).root


def test_the_opened_info_has_its_form(refused: Any) -> None:
    info = encode({2: "no name"})
    case = Case(info=info_commitment(INFO_NONCE, info))
    case.opened = InfoOpening(nonce=INFO_NONCE, info=info)
    with refused(Code.SCHEMA):
        case.run()


CHANGES: list[tuple[str, Any]] = [
    ("purpose", Purpose.PUBLISH),
    ("subject", b"M" * 32),
    ("mvk", LEDGER.public),
    ("kem_hash", b"H" * 32),
    ("tag", UserTag(b"T" * 16)),
]


@pytest.mark.parametrize(("name", "value"), CHANGES)
@pytest.mark.parametrize("clear", [False, True])
def test_a_statement_for_something_else(
    name: str, value: Any, clear: bool, refused: Any
) -> None:
    with refused(Code.BAD_STATEMENT):
        Case(statement={name: value}, clear=clear).run()


FAULTS: list[tuple[dict[str, Any], Code]] = [
    ({"expected": {"identity": bytes(32)}}, Code.BAD_OPENING),
    ({"expected": {"identity": bytes(379)}}, Code.BAD_OPENING),
    ({"signer": MVK}, Code.BAD_STATEMENT),
    ({"statement": {"user_id": UserId(bytes(32))}}, Code.UNREGISTERED),
    ({"proof": {"absent": True}}, Code.UNREGISTERED),
    ({"statement": {"device_id": bytes(16)}}, Code.DEVICE_NOT_ACTIVE),
    ({"head": {"head": EMPTY_HEAD, "count": 0}}, Code.DEVICE_NOT_ACTIVE),
    ({"head": {"head": Head(bytes(32))}}, Code.BAD_PROOF),
    ({"head": {"count": 2}}, Code.BAD_PROOF),
    ({"head": {"topic": TopicId(bytes(32))}}, Code.BAD_PROOF),
    ({"head": {"ledger": bytes(32)}}, Code.WRONG_LEDGER),
    ({"proof": {"records": ()}}, Code.BAD_PROOF),
    ({"topic": {"records": ()}}, Code.BAD_PROOF),
    ({"topic": {"descriptor": b"x"}}, Code.NOT_CANONICAL),
    ({"topic": {"proof": b"x"}}, Code.NOT_CANONICAL),
    ({"proof": {"time_ms": ORDERED - MAX_AGE_MS - 1}}, Code.STALE_IDENTITY),
]


@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_one_fault_is_refused(fault: Any, code: Code, refused: Any) -> None:
    with refused(code):
        Case(**fault).run()


def test_a_head_just_young_enough() -> None:
    for time_ms in (ORDERED - MAX_AGE_MS, ORDERED + 10 * MAX_AGE_MS):
        assert Case(proof={"time_ms": time_ms}).run().proven_ms == time_ms


def test_a_ledger_that_is_too_weak(refused: Any) -> None:
    assert Case().run(minimum=Strength.HOST).strength is Strength.HOST
    with refused(Code.WEAK_LEDGER):
        Case().run(minimum=Strength.WITNESSED)


def test_entries_at_other_times_lead_elsewhere(refused: Any) -> None:
    case = Case()
    case.topic = {"records": (replace(case.records[0], time_ms=1001),)}
    with refused(Code.BAD_PROOF):
        case.run()


def test_an_altered_entry_is_refused(refused: Any) -> None:
    case = Case()
    spoiled = bytearray(case.root)
    spoiled[-1] ^= 1
    records = (OrderedEntry(time_ms=1000, entry=bytes(spoiled)),)
    case.topic, case.proof = {"records": records}, {"records": records}
    with refused(Code.BAD_SIGNATURE):
        case.run()


def test_another_ledgers_checkpoint_key(refused: Any) -> None:
    other = encode_descriptor(embedded_descriptor(VerifyKey(DEVICE.public)))
    with refused(Code.WRONG_LEDGER):
        Case(topic={"descriptor": other}).run()
