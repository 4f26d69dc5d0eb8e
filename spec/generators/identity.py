# SPDX-License-Identifier: Apache-2.0
"""Vectors of statements and identity openings (spec/identity.md, sections 3 and 4).

statement  signed bytes and the device's key: fields
verify     an opening, what the entry says, when it was ordered: who it is
"""

from dataclasses import replace
from typing import Any

from spec.generators._cases import Case, digest, fails, file, holds, plain, signer

from incamera.errors import Code
from incamera.protocol.attestation import CheckpointAttestation, LogLeaf, encode_leaf
from incamera.protocol.bodies import ClearInfo, Device, DeviceKind, UserPolicy, UserRoot
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import (
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.encoding import encode
from incamera.protocol.entry import Entry, parse_entry, sign_entry
from incamera.protocol.identity import MAX_AGE_MS, Expected, verify_identity
from incamera.protocol.ids import DeviceId, Head, TopicId, UserId, UserTag
from incamera.protocol.log import Log, leaf_hash
from incamera.protocol.proof import (
    EMPTY_HEAD,
    Proof,
    encode_proof,
    fold_head,
    map_value,
)
from incamera.protocol.schedule import identity_commitment, info_commitment
from incamera.protocol.signing import device_id_of
from incamera.protocol.smt import SparseMap
from incamera.protocol.statement import (
    MAX_INFO,
    IdentityOpening,
    InfoOpening,
    OrderedEntry,
    Purpose,
    Statement,
    TopicProof,
    UserHead,
    encode_opening,
    parse_statement,
    sign_statement,
)

LEDGER, DEVICE, MEMBER = signer("ledger"), signer("device"), signer("member")
DESCRIPTOR = encode_descriptor(embedded_descriptor(LEDGER.public))
LEDGER_ID = ledger_id_of(DESCRIPTOR)
NONCE, INFO_NONCE = digest("r"), digest("r of the info")
INFO = encode({1: "Alice", 2: "from afar"})
ENTERED, PROVEN, ORDERED = 1_000, 5_000, 6_000


def root(info: bytes | ClearInfo) -> Entry:
    """Return a user's root entry."""
    key = DEVICE.public
    device = Device(
        ivk=key, id=device_id_of(key), kind=DeviceKind.COMPUTER, name="desk"
    )
    body = UserRoot(
        rules=1,
        nonce=digest("root"),
        device=device,
        info=info,
        policy=UserPolicy(lockdown=False, recovery_wait_ms=0),
        gateways=(),
    )
    return sign_entry(DEVICE, body, place=LEDGER_ID, seq=0, prev=None)


ROOT = root(info_commitment(INFO_NONCE, INFO))
CLEAR = root(ClearInfo(name="Bob"))


def proof_of(entry: Entry, *, time_ms: int = PROVEN, absent: bool = False) -> bytes:
    """Return the proof of a topic with one entry (or none) on a small ledger."""
    topic = TopicId(entry.id)
    head = fold_head(EMPTY_HEAD, entry.data, ENTERED)
    held = [] if absent else [(topic, map_value(head, 1))]
    tree, log = SparseMap([*held, (digest("another topic"), bytes(40))]), Log()
    leaf = LogLeaf(time_ms=time_ms, map_root=tree.root(), topics=2)
    log.append(leaf_hash(encode_leaf(leaf)))
    checkpoint = Checkpoint(
        ledger=LEDGER_ID, size=1, root=log.root(), map_root=tree.root(), time_ms=time_ms
    )
    note = format_note(sign_checkpoint(checkpoint, LEDGER))
    return encode_proof(
        Proof(
            ledger=LEDGER_ID,
            topic=topic,
            head=None if absent else head,
            count=0 if absent else 1,
            map=tree.prove(topic),
            attestation=CheckpointAttestation(note=note, leaf=leaf, path=()),
        )
    )


def statement_of(entry: Entry) -> Statement:
    """Return what the device says in its statement."""
    return Statement(
        purpose=Purpose.JOIN,
        subject=digest("meeting"),
        mvk=MEMBER.public,
        kem_hash=digest("kem"),
        user_id=UserId(entry.id),
        device_id=device_id_of(DEVICE.public),
        tag=UserTag(digest("tag")[:16]),
        head=UserHead(
            ledger=LEDGER_ID,
            topic=TopicId(entry.id),
            head=fold_head(EMPTY_HEAD, entry.data, ENTERED),
            count=1,
        ),
    )


def opening_of(entry: Entry, statement: Statement) -> IdentityOpening:
    """Return the whole opening; its info is opened where it is committed."""
    return IdentityOpening(
        statement=sign_statement(DEVICE, statement),
        nonce=NONCE,
        topic=TopicProof(
            descriptor=DESCRIPTOR,
            records=(OrderedEntry(time_ms=ENTERED, entry=entry.data),),
            proof=proof_of(entry),
        ),
        info=InfoOpening(nonce=INFO_NONCE, info=INFO) if entry is ROOT else None,
    )


def expected_of(opening: IdentityOpening, *, clear: bool = False) -> Expected:
    """Return what the entry says beside its commitment to the opening."""
    said = statement_of(ROOT)
    signed = opening.statement
    return Expected(
        purpose=said.purpose,
        subject=said.subject,
        mvk=said.mvk,
        kem_hash=said.kem_hash,
        tag=said.tag,
        identity=signed if clear else identity_commitment(opening.nonce, signed),
    )


def build() -> dict[str, object]:
    """Return the whole file."""
    cases = [*statements(), *verified(), *refused(), *mismatched()]
    return file("statements and identities: spec/identity.md, 3 and 4", cases)


def statements() -> list[Case]:
    """A statement, at its largest count, and one signed by another device."""
    said = statement_of(ROOT)
    largest = replace(said, head=replace(said.head, count=2**53 - 1))
    data, key = sign_statement(DEVICE, said), DEVICE.public
    other = sign_statement(MEMBER, said)
    cut = data[:-1]
    return [
        holds(
            name,
            "statement",
            {"device": key, "data": sign_statement(DEVICE, value)},
            lambda v=value: v,  # type: ignore[misc]  # bound at once
        )
        for name, value in {"statement": said, "the largest count": largest}.items()
    ] + [
        fails(
            "statement of another device",
            "statement",
            {"device": key, "data": other},
            action=lambda: parse_statement(other).verify(key),
            code=Code.BAD_STATEMENT,
        ),
        fails(
            "statement cut short",
            "statement",
            {"device": key, "data": cut},
            action=lambda: parse_statement(cut),
            code=Code.NOT_CANONICAL,
        ),
    ]


def inputs(
    opening: IdentityOpening, expected: Expected, ordered_ms: int
) -> dict[str, Any]:
    """Return a case's inputs."""
    return {
        "opening": encode_opening(opening),
        "entry": expected,
        "ordered_ms": ordered_ms,
    }


def verified() -> list[Case]:
    """Identities that hold."""
    committed, clear = (
        opening_of(ROOT, statement_of(ROOT)),
        opening_of(CLEAR, statement_of(CLEAR)),
    )
    largest = encode({1: "A" * 128, 2: "n" * 1024})
    full = root(info_commitment(INFO_NONCE, largest))
    wide = replace(
        opening_of(full, statement_of(full)),
        info=InfoOpening(nonce=INFO_NONCE, info=largest),
    )
    if len(largest) > MAX_INFO:
        raise ValueError("info")
    openings = {
        "committed identity, opened info": (committed, False),
        "committed identity, withheld info": (replace(committed, info=None), False),
        "identity and info in clear": (clear, True),
        "info at its maximum": (wide, False),
    }
    cases = []
    for name, (opening, public) in openings.items():
        expected = expected_of(opening, clear=public)
        cases.append(
            holds(
                name,
                "verify",
                inputs(opening, expected, ORDERED),
                lambda o=opening, e=expected: verify_identity(  # type: ignore[misc]  # bound at once
                    o, expected=e, ordered_ms=ORDERED
                ),
            )
        )
    return cases


def refused() -> list[Case]:
    """One fault each in what was opened or proven."""
    good = opening_of(ROOT, statement_of(ROOT))
    faults = {**wrong_statements(), **wrong_proofs(good), **wrong_info(good)}
    stale = _fails(
        "a head proven too long ago",
        good,
        expected_of(good),
        ordered_ms=PROVEN + MAX_AGE_MS + 1,
        code=Code.STALE_IDENTITY,
    )
    return [stale] + [
        _fails(name, opening, expected_of(opening), code=code)
        for name, (opening, code) in faults.items()
    ]


Faults = dict[str, tuple[IdentityOpening, Code]]


def wrong_statements() -> Faults:
    """Return openings whose statement is the fault."""
    said = statement_of(ROOT)
    good = opening_of(ROOT, said)
    forged = replace(good, statement=sign_statement(MEMBER, said))
    said_otherwise: dict[str, tuple[Statement, Code]] = {
        "another user": (
            replace(said, user_id=UserId(digest("other"))),
            Code.UNREGISTERED,
        ),
        "another device": (
            replace(said, device_id=DeviceId(digest("other")[:16])),
            Code.DEVICE_NOT_ACTIVE,
        ),
        "before the device": (
            replace(said, head=replace(said.head, head=EMPTY_HEAD, count=0)),
            Code.DEVICE_NOT_ACTIVE,
        ),
        "another head": (
            replace(said, head=replace(said.head, head=Head(digest("other")))),
            Code.BAD_PROOF,
        ),
    }
    rest = {
        name: (opening_of(ROOT, statement), code)
        for name, (statement, code) in said_otherwise.items()
    }
    return {"by another key": (forged, Code.BAD_STATEMENT), **rest}


def wrong_proofs(good: IdentityOpening) -> Faults:
    """Return openings whose topic or proof is the fault."""
    late = (OrderedEntry(time_ms=ENTERED + 1, entry=ROOT.data),)
    changes: dict[str, tuple[dict[str, Any], Code]] = {
        "proven absent": ({"proof": proof_of(ROOT, absent=True)}, Code.UNREGISTERED),
        "entries left out": ({"records": ()}, Code.BAD_PROOF),
        "entries at another time": ({"records": late}, Code.BAD_PROOF),
        "another user's proof": ({"proof": proof_of(CLEAR)}, Code.BAD_PROOF),
    }
    return {
        name: (replace(good, topic=replace(good.topic, **change)), code)
        for name, (change, code) in changes.items()
    }


def wrong_info(good: IdentityOpening) -> Faults:
    """Return openings that do not open the committed information."""
    openings = {
        "wrong info": InfoOpening(nonce=INFO_NONCE, info=encode({1: "Malice"})),
        "wrong r of the info": InfoOpening(nonce=NONCE, info=INFO),
    }
    return {
        name: (replace(good, info=info), Code.BAD_OPENING)
        for name, info in openings.items()
    }


def mismatched() -> list[Case]:
    """Openings that are not what the entry says."""
    good = opening_of(ROOT, statement_of(ROOT))
    entry = expected_of(good)
    changes: dict[str, dict[str, Any]] = {
        "purpose": {"purpose": Purpose.PUBLISH},
        "meeting": {"subject": digest("other")},
        "meeting key": {"mvk": DEVICE.public},
        "KEM keys": {"kem_hash": digest("other")},
        "tag": {"tag": UserTag(digest("other")[:16])},
    }
    wrong = _fails(
        "wrong r",
        replace(good, nonce=INFO_NONCE),
        entry,
        code=Code.BAD_OPENING,
    )
    return [wrong] + [
        _fails(
            f"another {name}", good, replace(entry, **change), code=Code.BAD_STATEMENT
        )
        for name, change in changes.items()
    ]


def _fails(
    name: str,
    opening: IdentityOpening,
    expected: Expected,
    *,
    code: Code,
    ordered_ms: int = ORDERED,
) -> Case:
    return fails(
        name,
        "verify",
        inputs(opening, expected, ordered_ms),
        action=lambda: verify_identity(
            opening, expected=expected, ordered_ms=ordered_ms
        ),
        code=code,
    )


if plain(parse_entry(ROOT.data).id) != plain(ROOT.id):
    raise ValueError("root")
