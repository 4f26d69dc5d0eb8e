# SPDX-License-Identifier: Apache-2.0
"""Vectors of padding and boxes (spec/relay.md, section 4; spec/keys.md, section 7).

pad      content to the padded text, and padded texts that are refused
group    group key, context, slot, salt and content to the box's bytes
proof    proof key, meeting, owner, salt and content to the box's bytes
gate     link root, meeting, gate, salt and content to the box's bytes
request  an open-only box: what a joiner sealed to the leader's KEM key

A case of `group`, `proof` or `gate` with an error says what opening gives.
"""

from dataclasses import replace
from typing import Any

from spec.generators._cases import Case, digest, fails, file, holds, secret, signer
from spec.generators._seals import (
    JOINING,
    LEADER_KEM,
    MEETING,
    PAIR,
    PREV,
    REQUEST,
    sealed,
    wanted,
)

from incamera.errors import Code
from incamera.protocol import box
from incamera.protocol.encoding import encode
from incamera.protocol.ids import EntryId, KeyId, MeetingId
from incamera.protocol.kem import kem_key_hash, kem_public
from incamera.protocol.padding import MAX_CONTENT, SIZE_CLASSES, pad, unpad
from incamera.protocol.secret import Secret

SALT = digest("salt")[:16]
KEY, ROOT, OWNER = secret("key"), secret("root"), signer("member").public
GROUP = box.GroupContext(
    meeting=MEETING, prev_epoch=PREV, key_id=KeyId(digest("epoch entry"))
)


def build() -> dict[str, object]:
    """Return the whole file."""
    cases = [*padding(), *groups(), *at_rest(), *requests()]
    return file("padding and boxes: spec/relay.md, 4; spec/keys.md, 7", cases)


def padding() -> list[Case]:
    """Contents around the first edge and at the maximum; foreign paddings."""
    good = [b"", b"abc", bytes(252), bytes(253), bytes(MAX_CONTENT)]
    cases = [
        holds(
            f"{len(content)} bytes",
            "pad",
            {"content": content if len(content) < 1000 else {"zeros": len(content)}},
            lambda c=content: {"size": len(pad(c)), "start": bytes(pad(c)[:16])},  # type: ignore[misc]  # bound at once
        )
        for content in good
    ]
    text = pad(b"abc")
    bad = {
        "nothing": b"",
        "no size class": text[:-1],
        "a class too large": bytes(SIZE_CLASSES[1]),
        "not zero": text[:-1] + b"\1",
        "longer than the class": b"\0\0\1\0" + text[4:],
    }
    return cases + [
        fails(
            f"padding: {name}",
            "pad",
            {"padded": padded},
            action=lambda p=padded: unpad(Secret(bytearray(p))),  # type: ignore[misc]  # bound at once
            code=Code.NOT_CANONICAL,
        )
        for name, padded in bad.items()
    ]


def groups() -> list[Case]:
    """A group box, and what opens nowhere else."""
    made = box.seal_group(KEY, b"hello", context=GROUP, slot=5, salt=SALT)
    inputs: dict[str, Any] = {"key": KEY, "context": GROUP, "slot": 5, "salt": SALT}
    data = encode(box.GROUP_BOX.encode(made))
    other = digest("other")
    faults: dict[str, tuple[box.GroupBox, Secret, box.GroupContext]] = {
        "another key": (made, secret("other"), GROUP),
        "another meeting": (made, KEY, replace(GROUP, meeting=MeetingId(other))),
        "another previous epoch": (
            made,
            KEY,
            replace(GROUP, prev_epoch=EntryId(other)),
        ),
        "another key id": (made, KEY, replace(GROUP, key_id=KeyId(other))),
        "another slot": (replace(made, slot=6), KEY, GROUP),
        "another salt": (replace(made, salt=other[:16]), KEY, GROUP),
        "one bit": (replace(made, sealed=b"\0" + made.sealed[1:]), KEY, GROUP),
    }
    good = holds(
        "group box", "group", {**inputs, "content": b"hello"}, lambda: {"box": data}
    )
    return [
        good,
        *(
            fails(
                f"group box: {name}",
                "group",
                {
                    "key": key,
                    "context": where,
                    "box": encode(box.GROUP_BOX.encode(what)),
                },
                action=lambda a=(key, what, where): box.open_group(*a),  # type: ignore[misc]  # bound at once
                code=Code.BAD_BOX,
            )
            for name, (what, key, where) in faults.items()
        ),
    ]


def at_rest() -> list[Case]:
    """Proof box and gate box."""
    owned: dict[str, Any] = {"meeting": MEETING, "owner": OWNER, "salt": SALT}
    gated: dict[str, Any] = {"meeting": MEETING, "gate": OWNER, "salt": SALT}
    proof = box.seal_proof(KEY, b"proof", **owned)
    gate = box.seal_gate(ROOT, b"gate", **gated)
    moved = replace(proof, owner=signer("other").public)
    shut = replace(gate, gate=signer("other").public)
    return [
        holds(
            "proof box",
            "proof",
            {"key": KEY, **owned, "content": b"proof"},
            lambda: {"box": encode(box.PROOF_BOX.encode(proof))},
        ),
        holds(
            "gate box",
            "gate",
            {"root": ROOT, **gated, "content": b"gate"},
            lambda: {"box": encode(box.GATE_BOX.encode(gate))},
        ),
        fails(
            "proof box of another owner",
            "proof",
            {"key": KEY, "box": encode(box.PROOF_BOX.encode(moved))},
            action=lambda: box.open_proof(KEY, moved),
            code=Code.BAD_BOX,
        ),
        fails(
            "gate box of another gate",
            "gate",
            {"root": ROOT, "box": encode(box.GATE_BOX.encode(shut))},
            action=lambda: box.open_gate(ROOT, shut),
            code=Code.BAD_BOX,
        ),
    ]


def requests() -> list[Case]:
    """The request box in its own place and elsewhere."""
    info = wanted()["request"]["info"]
    ends = {"request": REQUEST, "leader": PAIR.leader, "member": PAIR.member}
    inputs = {"seed": LEADER_KEM, "meeting": MEETING, **ends}

    def sent(name: str) -> box.RequestBox:
        return box.RequestBox(
            request=REQUEST,
            leader_key_hash=kem_key_hash(kem_public(LEADER_KEM)),
            sealed=sealed(name),
        )

    def open_it(name: str, seed: Secret, info: bytes) -> dict[str, Any]:
        return {"info": info, "content": box.open_request(seed, sent(name), info)}

    if open_it("request", LEADER_KEM, info)["content"] != JOINING:
        raise ValueError("the stored box holds something else")
    return [
        holds(
            "request box",
            "request",
            {**inputs, "sealed": sealed("request")},
            lambda: open_it("request", LEADER_KEM, info),
        ),
        fails(
            "request box: another key",
            "request",
            {**inputs, "seed": KEY, "sealed": sealed("request")},
            action=lambda: open_it("request", KEY, info),
            code=Code.BAD_BOX,
        ),
        fails(
            "request box: not padded",
            "request",
            {**inputs, "sealed": sealed("not padded")},
            action=lambda: open_it("not padded", LEADER_KEM, info),
            code=Code.NOT_CANONICAL,
        ),
    ]
