# SPDX-License-Identifier: Apache-2.0
"""Vectors of heads and proofs (spec/ledger.md, sections 3 and 7).

`operation` head: `head` before, `entry` and `time_ms` to the head after.  `operation`
proof: `data`, to be accepted under `descriptor`, to what it proves.
"""

from dataclasses import replace
from typing import Any

from incamera.errors import Code
from incamera.protocol.attestation import CheckpointAttestation, LogLeaf, encode_leaf
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import (
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.encoding import MAX_UINT, Value, encode, parse
from incamera.protocol.ids import Head, TopicId
from incamera.protocol.log import Log, leaf_hash
from incamera.protocol.proof import (
    EMPTY_HEAD,
    MAX_PROOF,
    Proof,
    encode_proof,
    fold_head,
    map_value,
)
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.smt import SparseMap

Case = dict[str, Any]
KEY = Ed25519Signer(Secret(bytearray(b"checkpoint key of these vectors.")))
DESCRIPTOR = embedded_descriptor(KEY.public)
DATA = encode_descriptor(DESCRIPTOR)
TIME_MS = 1_800_000_000_000
HEADS = {TopicId(leaf_hash(b"%d" % n)): Head(leaf_hash(b"h%d" % n)) for n in range(20)}
TOPIC = TopicId(leaf_hash(b"7"))
MAP = SparseMap((topic, map_value(head, 3)) for topic, head in HEADS.items())


def build() -> dict[str, object]:
    """Return the whole file."""
    return {
        "format": "incamera vectors 0",
        "about": "topic heads and proofs: spec/ledger.md, sections 3 and 7",
        "cases": [*heads(), *proofs(), *faults()],
    }


def heads() -> list[Case]:
    """The first head, the next and the latest possible time."""
    first = fold_head(EMPTY_HEAD, b"entry", TIME_MS)
    steps = {
        "first": (EMPTY_HEAD, b"entry", TIME_MS),
        "second": (first, b"entry", TIME_MS),
        "largest time": (first, b"", MAX_UINT),
    }
    return [
        {
            "name": f"head, {name}",
            "operation": "head",
            "head": head.hex(),
            "entry": entry.hex(),
            "time_ms": time_ms,
            "expect": {"head": fold_head(head, entry, time_ms).hex()},
        }
        for name, (head, entry, time_ms) in steps.items()
    ]


def attestation(**lies: Any) -> CheckpointAttestation:
    """Return the attestation of a log of six leaves; `lies` alter its checkpoint."""
    log = Log()
    for number in range(5):
        log.append(leaf_hash(b"%d" % number))
    leaf = LogLeaf(time_ms=TIME_MS, map_root=MAP.root(), topics=len(HEADS))
    log.append(leaf_hash(encode_leaf(leaf)))
    checkpoint = Checkpoint(
        ledger=ledger_id_of(DATA),
        size=6,
        root=log.root(),
        map_root=MAP.root(),
        time_ms=TIME_MS,
    )
    note = format_note(sign_checkpoint(replace(checkpoint, **lies), KEY))
    return CheckpointAttestation(note=note, leaf=leaf, path=log.prove_inclusion(5, 6))


def proof_of(topic: TopicId, /, **changes: Any) -> bytes:
    """Return the proof of a topic, there or not."""
    head = HEADS.get(topic)
    proof = Proof(
        ledger=ledger_id_of(DATA),
        topic=topic,
        head=head,
        count=3 if head else 0,
        map=MAP.prove(topic),
        attestation=attestation(),
    )
    return encode_proof(replace(proof, **changes))


def proof_case(name: str, data: bytes) -> Case:
    """Return what every proof case has."""
    return {
        "name": f"proof, {name}",
        "operation": "proof",
        "descriptor": DATA.hex(),
        "data": data.hex(),
    }


def proofs() -> list[Case]:
    """A topic that is there and one that is not."""
    absent = TopicId(bytes(32))
    told = {"time_ms": TIME_MS, "strength": 1, "size": 6}
    here = {"topic": TOPIC.hex(), "head": HEADS[TOPIC].hex(), "count": 3, **told}
    none = {"topic": absent.hex(), "head": None, "count": 0, **told}
    return [
        {**proof_case("presence", proof_of(TOPIC)), "expect": here},
        {**proof_case("absence", proof_of(absent)), "expect": none},
    ]


def faults() -> list[Case]:
    """One fault each."""
    other = Head(bytes(32))
    stale: list[tuple[str, Case, Code]] = [
        ("other topic", {"topic": TopicId(bytes(32))}, Code.BAD_PROOF),
        ("other head", {"head": other}, Code.BAD_PROOF),
        ("count one less", {"count": 2}, Code.BAD_PROOF),
        ("head without count", {"count": 0}, Code.BAD_PROOF),
        ("count without head", {"head": None}, Code.BAD_PROOF),
        ("another ledger", {"ledger": ledger_id_of(b"x")}, Code.WRONG_LEDGER),
        ("path of the map cut", {"map": MAP.prove(TopicId(b"x"))}, Code.BAD_PROOF),
    ]
    lies: list[tuple[str, Case, Code]] = [
        ("time not the leaf's", {"time_ms": TIME_MS + 1}, Code.BAD_CHECKPOINT),
        ("map root not the leaf's", {"map_root": bytes(32)}, Code.BAD_CHECKPOINT),
        ("leaf not in the log", {"root": bytes(32)}, Code.BAD_PROOF),
        ("leaf not the last", {"size": 5}, Code.BAD_PROOF),
        ("empty log", {"size": 0}, Code.BAD_PROOF),
    ]
    cases = [(name, proof_of(TOPIC, **change), code) for name, change, code in stale]
    cases += [
        (name, proof_of(TOPIC, attestation=attestation(**lie)), code)
        for name, lie, code in lies
    ]
    return [
        {**proof_case(name, data), "error": code.value}
        for name, data, code in [*cases, *formal()]
    ]


def formal() -> list[tuple[str, bytes, Code]]:
    """Faults of form."""
    fields = parse(proof_of(TOPIC), MAX_PROOF)
    assert isinstance(fields, dict), "a proof is a map"
    light: Value = [2, 1, b"", b"", []]
    siblings: Value = {1: [bytes(32)] * 257}
    leaf: Value = [2, 1, bytes(32), 0]
    attested = fields[6]
    assert isinstance(attested, list), "an attestation is an array"
    return [
        (
            "attestation of a later kind",
            encode({**fields, 6: light}),
            Code.UNKNOWN_TYPE,
        ),
        ("257 siblings", encode({**fields, 5: siblings}), Code.SCHEMA),
        ("unknown field", encode({**fields, 8: 1}), Code.SCHEMA),
        (
            "leaf of a later version",
            encode({**fields, 6: [*attested[:2], encode(leaf), attested[3]]}),
            Code.UNKNOWN_TYPE,
        ),
        ("too large", bytes(MAX_PROOF + 1), Code.TOO_LARGE),
        ("trailing byte", proof_of(TOPIC) + b"\0", Code.NOT_CANONICAL),
    ]
