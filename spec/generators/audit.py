# SPDX-License-Identifier: Apache-2.0
"""Vectors of audit files (spec/audit.md, sections 2 and 3).

verify  a whole file: what it proves, or why it is refused
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

from spec.generators._cases import Case, fails, file, holds, plain, signer
from spec.generators._scene import Scene, digest, signer_of
from spec.generators.identity import (
    CLEAR,
    DESCRIPTOR,
    LEDGER,
    LEDGER_ID,
    ROOT,
    opening_of,
    proof_of,
    statement_of,
)

from incamera.errors import Code
from incamera.protocol.attestation import CheckpointAttestation, LogLeaf, encode_leaf
from incamera.protocol.audit import History, verify_audit
from incamera.protocol.audit_file import AuditFile, Opened, OwnName, encode_audit
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import (
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.encoding import encode
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId, LedgerId, MeetingId, TopicId, UserId, UserTag
from incamera.protocol.log import Log, leaf_hash
from incamera.protocol.policy import Doors
from incamera.protocol.proof import (
    EMPTY_HEAD,
    Proof,
    Record,
    encode_proof,
    fold_head,
    map_value,
)
from incamera.protocol.schedule import identity_commitment
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.smt import SparseMap
from incamera.protocol.statement import IdentityOpening, Purpose
from incamera.protocol.topic import RULES, Context

OTHER = signer("another ledger")
CHECKED = embedded_descriptor(LEDGER.public)
LOOSE = encode_descriptor(
    replace(CHECKED, parameters=replace(CHECKED.parameters, checked=False))
)
"""A ledger that takes entries without a look at the rules."""
USERS = {"ann": ROOT, "bob": CLEAR}


class Tea(Scene):
    """Ann's meeting on a ledger with a descriptor; Ann and Bob can be identified."""

    def __init__(self, descriptor: bytes = DESCRIPTOR) -> None:
        super().__init__()
        self.descriptor, self.ledger = descriptor, ledger_id_of(descriptor)
        self.openings: dict[EntryId, IdentityOpening] = {}

    def context(self) -> Context:
        """Judge by the ledger of the descriptor."""
        return Context(self.ledger, RULES, len(self.history), self.time_ms)

    def begin(self, **changes: Any) -> "Tea":
        """Publish, with Ann's identity committed to."""
        opening = self.opening("ann", Purpose.PUBLISH, digest("publish nonce"))
        identity = identity_commitment(opening.nonce, opening.statement)
        given = {"info": "Tea", "identity": identity, **changes}
        entry = self.publish(header={"place": self.ledger}, **given)
        self.openings[entry.id] = opening
        self.land(entry)
        return self

    def ask(self, who: str) -> "Tea":
        """Ask to come in, with an identity to open if there is one."""
        if who not in USERS:
            self.land(self.request(who))
            return self
        opening = self.opening(who, Purpose.JOIN, self.now.meeting_id)
        identity = identity_commitment(opening.nonce, opening.statement)
        entry = self.request(who, identity=identity)
        self.openings[entry.id] = opening
        self.land(entry)
        return self

    def opening(self, who: str, purpose: Purpose, subject: bytes) -> IdentityOpening:
        """Return somebody's opening, whose head was proven right before."""
        root = USERS[who]
        said = replace(
            statement_of(root),
            purpose=purpose,
            subject=subject,
            mvk=signer_of(who).public,
            kem_hash=digest(f"KEM keys of {who}"),
            tag=UserTag(digest(f"tag of {who}")[:16]),
        )
        opening = opening_of(root, said)
        proof = proof_of(root, time_ms=self.time_ms)
        return replace(opening, topic=replace(opening.topic, proof=proof))

    def records(self) -> tuple[Record, ...]:
        """Return the meeting's record."""
        return tuple(Record(time_ms=t, entry=e.data) for t, e in self.history)

    def file(self, **changes: Any) -> AuditFile:
        """Return the audit file of what happened."""
        topic, records = TopicId(self.now.meeting_id), self.records()
        content = AuditFile(
            meeting=self.now.meeting_id,
            rules=RULES,
            made_ms=self.time_ms,
            descriptor=self.descriptor,
            ledger=self.ledger,
            topic=topic,
            records=records,
            proof=encode_proof(prove(records, topic, ledger=self.ledger)),
            openings=tuple(
                Opened(opening=opening, entry=entry)
                for entry, opening in self.openings.items()
            ),
        )
        return replace(content, **changes)


def prove(
    records: Sequence[Record],
    topic: TopicId,
    *,
    ledger: LedgerId = LEDGER_ID,
    key: Ed25519Signer = LEDGER,
) -> Proof:
    """Return a proof of exactly these records, a second after the last one."""
    head = EMPTY_HEAD
    for record in records:
        head = fold_head(head, record.entry, record.time_ms)
    time_ms = records[-1].time_ms + 1000
    tree = SparseMap(
        [(topic, map_value(head, len(records))), (digest("else"), bytes(40))]
    )
    leaf, log = LogLeaf(time_ms=time_ms, map_root=tree.root(), topics=2), Log()
    log.append(leaf_hash(encode_leaf(leaf)))
    checkpoint = Checkpoint(
        ledger=ledger, size=1, root=log.root(), map_root=tree.root(), time_ms=time_ms
    )
    note = format_note(sign_checkpoint(checkpoint, key))
    return Proof(
        ledger=ledger,
        topic=topic,
        head=head,
        count=len(records),
        map=tree.prove(topic),
        attestation=CheckpointAttestation(note=note, leaf=leaf, path=()),
    )


def small() -> Tea:
    """Ann and Bob, from beginning to end."""
    tea = Tea().begin().ask("bob")
    tea.land(tea.epoch(admit=[0]))
    tea.land(tea.dismiss())
    return tea


def whole() -> Tea:
    """Somebody comes, leaves, returns, withdraws, is lost or removed."""
    tea = Tea().begin().ask("bob").ask("cyd").ask("dan").ask("eve")
    tea.land(tea.leave("eve"))
    tea.land(tea.epoch(admit=[0, 1, 2]))
    tea.land(tea.leave("bob"))
    tea.land(tea.epoch(left=[1], lost=[3]))
    tea.land(tea.policy(policy={"doors": Doors.CLOSED}))
    tea.land(tea.request("dan", gate=None))
    tea.land(tea.epoch(admit=[4], removed=[2]))
    tea.land(tea.dismiss())
    return tea


def loose() -> Tea:
    """Entries against the rules, on a ledger that does not check."""
    tea = Tea(LOOSE).begin().ask("cyd")
    tea.history.append((tea.time_ms, tea.epoch(removed=[0])))
    tea.history.append((tea.time_ms, tea.history[0][1]))
    tea.land(tea.dismiss())
    return tea


def build() -> dict[str, object]:
    """Return the whole file."""
    return file("audit files: spec/audit.md, 2 and 3", [*good(), *bad()])


def good() -> list[Case]:
    """Files that hold, with what they prove."""
    tea, little, going = whole(), small(), Tea().begin().ask("cyd")
    going.land(going.epoch(admit=[0]))
    bob = OwnName(user=UserId(CLEAR.id), name="Bo (from work)")
    files = {
        "everything once": tea.file(),
        "a name of the exporter's": little.file(names=(bob,)),
        "no openings": little.file(openings=()),
        "a meeting that goes on": going.file(),
        "entries without effect": loose().file(),
    }
    return [_holds(name, content) for name, content in files.items()]


def bad() -> list[Case]:
    """One fault each."""
    tea = small()
    faults = {**wrong_records(tea), **wrong_ledgers(tea), **wrong_openings(tea)}
    changed = {name: (encode_audit(f), code) for name, (f, code) in faults.items()}
    return [
        fails(name, "verify", {"data": data}, action=_verify(data), code=code)
        for name, (data, code) in {**changed, **wrong_bytes(tea)}.items()
    ]


Faults = dict[str, tuple[AuditFile, Code]]


def wrong_records(tea: Tea) -> Faults:
    """Return files with other entries than the proven ones."""
    first, second, *rest = tea.records()
    spoiled = second.entry[:-1] + bytes([second.entry[-1] ^ 1])
    late = replace(second, time_ms=second.time_ms + 1)
    changes: dict[str, tuple[Sequence[Record], Code]] = {
        "altered entry": (
            [first, replace(second, entry=spoiled), *rest],
            Code.BAD_PROOF,
        ),
        "an entry at another time": ([first, late, *rest], Code.BAD_PROOF),
        "dropped entry": ([first, *rest], Code.OMITTED),
        "dropped last entry": ([first, second, *rest[:-1]], Code.OMITTED),
        "an entry twice": ([first, second, second, *rest], Code.BAD_PROOF),
        "swapped entries": ([second, first, *rest], Code.BAD_PROOF),
    }
    faults = {
        name: (tea.file(records=tuple(records)), code)
        for name, (records, code) in changes.items()
    }
    twice = (first, second, second)
    proof = encode_proof(prove(twice, TopicId(tea.now.meeting_id)))
    illegal = tea.file(records=twice, proof=proof)
    return {**faults, "proven, but against the rules": (illegal, Code.NOT_LEGAL)}


def wrong_ledgers(tea: Tea) -> Faults:
    """Return files whose ledger, proof or meeting is the fault."""
    topic, records = TopicId(tea.now.meeting_id), tea.records()
    other = encode_descriptor(embedded_descriptor(OTHER.public))
    elsewhere = ledger_id_of(other)
    forged = encode_proof(prove(records, topic, key=OTHER))
    unrelated = encode_proof(prove(records, TopicId(digest("another topic's id"))))
    changes: dict[str, tuple[dict[str, Any], Code]] = {
        "other descriptor": ({"descriptor": other}, Code.WRONG_LEDGER),
        "other ledger": (
            {"descriptor": other, "ledger": elsewhere},
            Code.WRONG_LEDGER,
        ),
        "proof by another key": ({"proof": forged}, Code.BAD_CHECKPOINT),
        "proof of another topic": ({"proof": unrelated}, Code.BAD_PROOF),
        "other meeting": (
            {"meeting": MeetingId(digest("another meeting"))},
            Code.WRONG_PLACE,
        ),
        "other rules": ({"rules": RULES + 1}, Code.UNKNOWN_RULES),
    }
    return {
        name: (tea.file(**change), code) for name, (change, code) in changes.items()
    }


def wrong_openings(tea: Tea) -> Faults:
    """Return files whose openings are of others, or there twice."""
    (ann, anns), (bob, bobs) = tea.openings.items()
    changes: dict[str, tuple[Mapping[EntryId, IdentityOpening], Code]] = {
        "other opening": ({ann: anns, bob: anns}, Code.BAD_OPENING),
        "opening of nobody": ({EntryId(digest("nobody")): bobs}, Code.UNREGISTERED),
    }
    faults = {
        name: (_opening(tea, openings), code)
        for name, (openings, code) in changes.items()
    }
    twice = (Opened(opening=bobs, entry=bob),) * 2
    return {**faults, "opening twice": (tea.file(openings=twice), Code.SCHEMA)}


def _opening(tea: Tea, openings: Mapping[EntryId, IdentityOpening]) -> AuditFile:
    return tea.file(
        openings=tuple(Opened(opening=o, entry=entry) for entry, o in openings.items())
    )


def wrong_bytes(tea: Tea) -> dict[str, tuple[bytes, Code]]:
    """Return files that are damaged, or no audit files."""
    data = encode_audit(tea.file(openings=()))
    body, end = data[:-36], data[-36:]
    message = encode([6, b"message"])
    return {
        "cut file": (data[:-1], Code.SCHEMA),
        "closing hash cut off": (body, Code.SCHEMA),
        "trailing byte": (data + b"\0", Code.SCHEMA),
        "wrong closing hash": (data[:-1] + bytes([data[-1] ^ 1]), Code.BAD_PROOF),
        "one bit changed": (
            body[:99] + bytes([body[99] ^ 1]) + body[100:] + end,
            Code.BAD_PROOF,
        ),
        "an item of later versions": (closed(body + message), Code.UNKNOWN_TYPE),
        "an item out of its place": (closed(body + encode([1, b"x"])), Code.SCHEMA),
        "no array": (closed(body + b"\xf6"), Code.SCHEMA),
        "item not in canonical form": (
            closed(body + b"\x98\x01\x00"),
            Code.NOT_CANONICAL,
        ),
        "item cut off": (closed(body[:-1]), Code.NOT_CANONICAL),
        "empty file": (b"", Code.SCHEMA),
    }


def closed(body: bytes) -> bytes:
    """Return the items with their closing hash."""
    return body + encode([9, sha256(body).digest()])


def told(history: History) -> dict[str, Any]:
    """Return what a file proves, as the vectors have it."""
    about = _flat(history, leave_out=("steps", "people", "missing"))
    steps = [
        {
            "index": step.index,
            "time_ms": step.time_ms,
            "by": step.by,
            "what": type(step.what).__name__,
            **_flat(step.what),
        }
        for step in history.steps
    ]
    people = [
        {
            **_flat(person, leave_out=("identified",)),
            "identified": _who(person.identified),
        }
        for person in history.people
    ]
    gaps = {missing.gap.value: missing.count for missing in history.missing}
    return plain({**about, "steps": steps, "people": people, "missing": gaps})  # type: ignore[no-any-return]  # a map stays one


def _who(identified: Identified | None) -> dict[str, Any] | None:
    return None if identified is None else _flat(identified)


def _flat(value: Any, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    names = [f.name for f in fields(value) if f.name not in leave_out]
    return {name: _value(getattr(value, name)) for name in names}


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Code) else plain(value)


def _holds(name: str, content: AuditFile) -> Case:
    data = encode_audit(content)
    return holds(name, "verify", {"data": data}, lambda: told(verify_audit(data)))


def _verify(data: bytes) -> Callable[[], History]:
    return lambda: verify_audit(data)
