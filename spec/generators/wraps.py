# SPDX-License-Identifier: Apache-2.0
"""Vectors of handing out a seed (spec/keys.md, sections 5 and 6).

kem-key  an X-Wing seed to its public key, and public keys that are refused
seal     an open-only box: the KEK that the leader sealed to the member's KEM key
wrap     KEK_t, pair, context and seed to the wrap's bytes and KEK_t+1
open     a member's KEK_t and a wrap to the seed and the member's next KEK and t
"""

from dataclasses import replace
from typing import Any

from spec.generators._cases import Case, digest, fails, file, holds, secret
from spec.generators._seals import (
    KEK,
    MEMBER_KEM,
    PAIR,
    PREV,
    TERM,
    sealed,
)

from incamera.errors import Code
from incamera.protocol.encoding import encode
from incamera.protocol.ids import EntryId, KeyId, MeetingId, VerifyKey
from incamera.protocol.kem import kem_public, open_sealed, verify_kem_key
from incamera.protocol.schedule import expand
from incamera.protocol.secret import Secret
from incamera.protocol.wraps import (
    MAX_SLOT,
    MAX_STEPS,
    WRAP,
    LeaderKek,
    MemberKek,
    Pair,
    Wrap,
    WrapContext,
    kek_info,
)

MAX = 2**53 - 1
SEED = secret("seed")
CONTEXT = WrapContext(prev_epoch=PREV, key_id=KeyId(digest("epoch entry")), slot=5)
TOP = replace(CONTEXT, slot=MAX_SLOT)


def build() -> dict[str, object]:
    """Return the whole file."""
    cases = [*kem_keys(), *seals(), *wraps(), *opens(), *refused()]
    return file("KEM keys, sealed KEKs and wraps: spec/keys.md, 5 and 6", cases)


def kem_keys() -> list[Case]:
    """Keys that are made, and other bytes that are none."""
    public = kem_public(MEMBER_KEM)
    lattice, curve = public[:1184], public[1184:]
    others = {
        "X25519 alone": curve,
        "ML-KEM-768 alone": lattice,
        "one byte more": public + b"\0",
        "X25519 of low order": lattice + bytes(32),
        "X25519 with the high bit": lattice + curve[:31] + bytes([curve[31] | 0x80]),
        "X25519 not reduced": lattice + (2**255 - 19 + 9).to_bytes(32, "little"),
        "ML-KEM-768 not reduced": b"\xff" * 1184 + curve,
    }
    made = holds(
        "a KEM key", "kem-key", {"seed": MEMBER_KEM}, lambda: {"public": public}
    )
    return [
        made,
        *(
            fails(
                name,
                "kem-key",
                {"public": other},
                action=lambda other=other: verify_kem_key(other),  # type: ignore[misc]  # bound at once
                code=Code.BAD_KEY,
            )
            for name, other in others.items()
        ),
    ]


def seals() -> list[Case]:
    """The sealed KEK in its own place, and everywhere else."""
    box = sealed("kek")
    place: dict[str, Any] = {"pair": PAIR, "prev_epoch": PREV, "term": TERM}

    def open_it(place: dict[str, Any], data: bytes, seed: Secret) -> dict[str, Any]:
        info = kek_info(**place, member_kem_key=kem_public(seed))
        return {"info": info, "kek": open_sealed(seed, data, info)}

    faults: dict[str, tuple[dict[str, Any], bytes, Secret]] = {
        "for another KEM key": (place, box, secret("other")),
        "in another meeting": (_pair(place, meeting=digest("other")), box, MEMBER_KEM),
        "by another leader": (_pair(place, leader=PAIR.member), box, MEMBER_KEM),
        "for another member": (_pair(place, member=PAIR.leader), box, MEMBER_KEM),
        "under another id": (_pair(place, kek_id=digest("other")), box, MEMBER_KEM),
        "in another epoch": (
            {**place, "prev_epoch": EntryId(bytes(32))},
            box,
            MEMBER_KEM,
        ),
        "in another term": ({**place, "term": 3}, box, MEMBER_KEM),
        "one bit of the encapsulation": (place, b"\1" + box[1:], MEMBER_KEM),
        "one bit of the ciphertext": (
            place,
            box[:-1] + bytes([box[-1] ^ 1]),
            MEMBER_KEM,
        ),
        "cut short": (place, box[:-1], MEMBER_KEM),
    }
    cases = [
        holds(
            "sealed KEK",
            "seal",
            {**place, "seed": MEMBER_KEM, "sealed": box},
            lambda: open_it(place, box, MEMBER_KEM),
        )
    ]
    for name, (where, data, seed) in faults.items():
        cases.append(
            fails(
                f"sealed KEK {name}",
                "seal",
                {**where, "seed": seed, "sealed": data},
                action=lambda a=(where, data, seed): open_it(*a),  # type: ignore[misc]  # bound at once
                code=Code.BAD_BOX,
            )
        )
    return cases


def _pair(place: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**place, "pair": replace(PAIR, **changes)}


def leader(step: int = 0, pair: Pair = PAIR) -> LeaderKek:
    """Return the leader's end at a step."""
    return LeaderKek(pair, KEK.copy(), step)


def wraps() -> list[Case]:
    """Wraps as the leader makes them, up to the maxima of their fields."""
    top = replace(PAIR, generation=2**32 - 1)
    ends = {
        "the first wrap": (leader(), CONTEXT),
        "a later wrap": (leader(1000), CONTEXT),
        "all fields at their maximum": (leader(MAX, top), TOP),
    }
    cases = []
    for name, (end, context) in ends.items():
        inputs = {
            "kek": KEK,
            "step": end.step,
            "pair": end.pair,
            "context": context,
            "seed": SEED,
        }
        cases.append(
            holds(name, "wrap", inputs, lambda e=end, c=context: _wrap(e, c))  # type: ignore[misc]  # bound at once
        )
    return cases


def _wrap(end: LeaderKek, context: WrapContext) -> dict[str, Any]:
    wrap = end.wrap(SEED, context)
    return {
        "wrap": encode(WRAP.encode(wrap)),
        "next_kek": end.key,
        "next_step": end.step,
    }


def _open(
    wrap: Wrap, *, step: int = 0, pair: Pair = PAIR, context: WrapContext = CONTEXT
) -> dict[str, Any]:
    member = MemberKek(pair, KEK.copy(), step)
    seed = member.open(wrap, context)
    return {"seed": seed, "next_kek": member.key, "next_step": member.step}


def _inputs(wrap: Wrap, **place: Any) -> dict[str, Any]:
    whole = {"step": 0, "pair": PAIR, "context": CONTEXT, **place}
    return {"kek": KEK, **whole, "wrap": encode(WRAP.encode(wrap))}


def wrap_at(step: int) -> Wrap:
    """Return the wrap after `step` lost ones; the member is still at KEK_0."""
    kek = KEK.copy()
    for _ in range(step):
        kek = expand(kek, b"incamera/0 kek-step\0")
    return LeaderKek(PAIR, kek, step).wrap(SEED, CONTEXT)


def opens() -> list[Case]:
    """Wraps that open: the next one, and one after as many losses as are allowed."""
    return [
        holds(
            f"after {step} lost wraps",
            "open",
            _inputs(wrap_at(step)),
            lambda step=step: _open(wrap_at(step)),  # type: ignore[misc]  # bound at once
        )
        for step in (0, 1, MAX_STEPS)
    ]


def refused() -> list[Case]:
    """One fault each; the member's KEK and t stay as they were."""
    wrap, key = wrap_at(0), VerifyKey(PAIR.leader)
    spoiled = bytes([wrap.sealed[0] ^ 1]) + wrap.sealed[1:]
    bad, elsewhere = Code.BAD_WRAP, MeetingId(digest("other"))
    faults: dict[str, tuple[Wrap, dict[str, Any], Code]] = {
        "used or passed": (wrap, {"step": 1}, Code.REPLAYED),
        "one step too far": (wrap_at(MAX_STEPS + 1), {}, bad),
        "a forged step": (replace(wrap, step=1), {}, bad),
        "another slot": (replace(wrap, slot=6), {}, Code.WRONG_RECEIVER),
        "another generation": (replace(wrap, generation=4), {}, bad),
        "one bit": (replace(wrap, sealed=spoiled), {}, bad),
        "another meeting": (wrap, {"pair": replace(PAIR, meeting=elsewhere)}, bad),
        "another leader": (wrap, {"pair": replace(PAIR, leader=PAIR.member)}, bad),
        "another member": (wrap, {"pair": replace(PAIR, member=key)}, bad),
        "another KEK id": (wrap, {"pair": replace(PAIR, kek_id=bytes(32))}, bad),
        "another key id": (
            wrap,
            {"context": replace(CONTEXT, key_id=KeyId(bytes(32)))},
            bad,
        ),
        "another previous epoch": (
            wrap,
            {"context": replace(CONTEXT, prev_epoch=EntryId(bytes(32)))},
            bad,
        ),
    }
    return [
        fails(
            name,
            "open",
            _inputs(data, **place),
            action=lambda d=data, p=place: _open(d, **p),  # type: ignore[misc]  # bound at once
            code=code,
        )
        for name, (data, place, code) in faults.items()
    ]
