# SPDX-License-Identifier: Apache-2.0
"""Vectors of the key schedule (spec/keys.md, section 4).

Each case names its `operation`; inputs and results are hex, counts are numbers.

epoch       seed and context to meeting key and commitment
committed   the same against a commitment that the epoch entry gives
ratchet     meeting key and context of the *next* epoch to its seed
stream      meeting key and stream to SFrame's base key
group       meeting key, key id, slot and salt to group key, box key and nonce
proof-box   a member's proof key to box key and nonce
link        link secret (and passcode key) to root and gate seed
gate-box    root to the key of the leader's blob
hash        kem hash, user tag, user secret commitment
commit      identity and info commitments
"""

from dataclasses import replace
from typing import Any

from spec.generators._cases import Case, digest, fails, file, holds, secret, signer

from incamera.errors import Code
from incamera.protocol import schedule
from incamera.protocol.ids import EntryId, KeyId, LedgerId, MeetingId
from incamera.protocol.schedule import EpochContext
from incamera.protocol.secret import Secret

MAX = 2**53 - 1
MEETING = MeetingId(digest("meeting"))
LEDGER = LedgerId(digest("ledger"))
KEY = KeyId(digest("epoch entry"))
SALT = digest("salt")[:16]
CONTEXT = EpochContext(
    meeting=MEETING,
    prev_epoch=EntryId(digest("previous epoch")),
    roster_root=digest("roster"),
    term=2,
    epoch=7,
)


def build() -> dict[str, object]:
    """Return the whole file."""
    cases = [*epochs(), *streams(), *groups(), *links(), *hashes(), *commitments()]
    return file("derivations of keys: spec/keys.md, section 4", cases)


def epochs() -> list[Case]:
    """Seeds, meeting keys, commitments; every part of the context changes the key."""
    seed, key = secret("seed"), schedule.meeting_key(secret("seed"), CONTEXT)
    contexts = {
        "an epoch": CONTEXT,
        "another meeting": replace(CONTEXT, meeting=MeetingId(digest("other"))),
        "another previous epoch": replace(CONTEXT, prev_epoch=EntryId(digest("other"))),
        "another roster": replace(CONTEXT, roster_root=digest("other")),
        "another term": replace(CONTEXT, term=3),
        "another epoch": replace(CONTEXT, epoch=8),
        "the largest numbers": replace(CONTEXT, term=MAX, epoch=MAX),
        "the smallest numbers": replace(CONTEXT, term=0, epoch=0),
    }
    cases = []
    for name, c in contexts.items():
        inputs: dict[str, Any] = {"seed": seed, "context": c}
        cases.append(holds(name, "epoch", inputs, lambda c=c: _epoch(seed, c)))  # type: ignore[misc]  # bound at once
        inputs = {"meeting_key": key, "context": c}
        cases.append(
            holds(
                f"ratchet into {name}",
                "ratchet",
                inputs,
                lambda c=c: {"seed": schedule.ratchet_seed(key, c)},  # type: ignore[misc]  # bound at once
            )
        )
    return [*cases, *committed(seed)]


def _epoch(seed: Secret, context: EpochContext) -> dict[str, Any]:
    key = schedule.meeting_key(seed, context)
    return {"meeting_key": key, "commitment": schedule.commitment(key)}


def committed(seed: Secret) -> list[Case]:
    """A seed against the commitment in an epoch entry."""
    said = schedule.commitment(schedule.meeting_key(seed, CONTEXT))
    wrong = bytes([said[0] ^ 1]) + said[1:]
    other = replace(CONTEXT, roster_root=digest("other"))
    inputs = {"seed": seed, "context": CONTEXT, "commitment": said}

    def key(context: EpochContext, commitment: bytes) -> Any:
        return {"meeting_key": schedule.committed_key(seed, context, commitment)}

    bad = Code.BAD_COMMITMENT
    return [
        holds("committed", "committed", inputs, lambda: key(CONTEXT, said)),
        fails(
            "one bit of the commitment",
            "committed",
            {**inputs, "commitment": wrong},
            action=lambda: key(CONTEXT, wrong),
            code=bad,
        ),
        fails(
            "a key made for another roster",
            "committed",
            {**inputs, "context": other},
            action=lambda: key(other, said),
            code=bad,
        ),
    ]


def streams() -> list[Case]:
    """Base keys: kinds, generations, slots and epochs apart, and their maxima."""
    key = secret("meeting key")
    places = [(1, 0, 0), (1, 0, 1), (1, 0, 4), (1, 1, 0), (2, 0, 0), (MAX, 4095, MAX)]
    cases = []
    for epoch, slot, number in places:
        place = {"meeting": MEETING, "epoch": epoch, "slot": slot, "number": number}
        cases.append(
            holds(
                f"epoch {epoch} slot {slot} stream {number}",
                "stream",
                {"meeting_key": key, **place},
                lambda p=place: {"base_key": schedule.base_key(key, **p)},  # type: ignore[misc]  # bound at once
            )
        )
    return cases


def groups() -> list[Case]:
    """Group key and box keys."""
    key, proof, owner = secret("meeting key"), secret("proof key"), signer("member")
    group = schedule.group_key(key, KEY)
    inputs: dict[str, Any] = {"meeting_key": key, "key_id": KEY, "salt": SALT}

    def box(slot: int) -> dict[str, Any]:
        keys = schedule.group_box_key(group, key_id=KEY, slot=slot, salt=SALT).buffer
        return {"group_key": group, "box_key": keys[:32], "nonce": keys[32:]}

    place: dict[str, Any] = {"meeting": MEETING, "owner": owner.public, "salt": SALT}

    def proof_box() -> dict[str, Any]:
        keys = schedule.proof_box_key(proof, **place).buffer
        return {"box_key": keys[:32], "nonce": keys[32:]}

    return [
        holds("group, slot 0", "group", {**inputs, "slot": 0}, lambda: box(0)),
        holds("group, last slot", "group", {**inputs, "slot": 4095}, lambda: box(4095)),
        holds("proof box", "proof-box", {"proof_key": proof, **place}, proof_box),
    ]


def links() -> list[Case]:
    """Link secret, gate, leader's blob."""
    link, passcode = secret("link"), secret("passcode")
    root, gate = schedule.link_root(link), signer("gate").public
    inputs = {"secret": link, "ledger_id": LEDGER}

    def keys(root: Secret) -> dict[str, Any]:
        return {"root": root, "gate_seed": schedule.gate_seed(root, LEDGER)}

    place: dict[str, Any] = {"meeting": MEETING, "gate": gate, "salt": SALT}
    return [
        holds("link", "link", inputs, lambda: keys(root)),
        holds(
            "link with a passcode",
            "link",
            {**inputs, "passcode_key": passcode},
            lambda: keys(schedule.link_root(link, passcode)),
        ),
        holds(
            "gate box",
            "gate-box",
            {"root": root, **place},
            lambda: {"box_key": schedule.gate_box_key(root, **place)},
        ),
    ]


def hashes() -> list[Case]:
    """Public hashes of keys and secrets."""
    user, leader, nonce = secret("user"), signer("leader").public, digest("nonce")
    place: dict[str, Any] = {"ledger_id": LEDGER, "leader": leader, "nonce": nonce}
    keys = {"current": bytes(1216), "spare": b"\1" * 1216}
    return [
        holds(
            "user tag",
            "hash",
            {"user_secret": user, **place},
            lambda: {"tag": schedule.user_tag(user, **place)},
        ),
        holds(
            "user secret",
            "hash",
            {"user_secret": user},
            lambda: {"commitment": schedule.user_secret_commitment(user)},
        ),
        holds(
            "kem hash",
            "hash",
            keys,
            lambda: {"kem_hash": schedule.kem_hash(keys["current"], keys["spare"])},
        ),
    ]


def commitments() -> list[Case]:
    """HMAC(r, content), with r of 32 bytes and no other length."""
    nonce, content = digest("r"), b"Alice"
    inputs = {"nonce": nonce, "content": content}

    def both(nonce: bytes) -> dict[str, Any]:
        return {
            "identity": schedule.identity_commitment(nonce, content),
            "info": schedule.info_commitment(nonce, content),
        }

    refused = [
        fails(
            f"r of {len(short)} bytes",
            "commit",
            {**inputs, "nonce": short},
            action=lambda short=short: both(short),  # type: ignore[misc]  # bound at once
            code=Code.BAD_OPENING,
        )
        for short in (nonce[:31], nonce + b"\0", b"")
    ]
    return [holds("commitments", "commit", inputs, lambda: both(nonce)), *refused]
