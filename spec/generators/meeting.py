# SPDX-License-Identifier: Apache-2.0
"""Vectors of meetings: whole histories with their state hashes (spec/meeting.md, 6).

A case has `ledger`, `history` (pairs of ledger time and entry, all valid) and either
`expect`: `hashes` (the state hash after each entry) and `state` (the last state), or
`next` (one more pair) and `error`: why the state refuses it.
"""

from collections.abc import Callable
from dataclasses import replace

from spec.generators._scene import HOUR_MS, LEDGER, POLICY, Scene, signer_of
from spec.generators._scenes import (
    HISTORIES,
    asking,
    borrowed_gate,
    closed,
    crowded,
    dismissed,
    early,
    foreign_request,
    forged_leave,
    granting,
    host_leaving,
    host_removed,
    hosted,
    late,
    leaderless,
    opened,
    removed,
    seated,
    spoiled,
    two_gates,
    withdrawn,
)

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import (
    EpochKind,
)
from incamera.protocol.entry import (
    Entry,
    parse_entry,
)
from incamera.protocol.ids import EntryId
from incamera.protocol.meeting_rules import MAX_NUMBER_STEP
from incamera.protocol.topic import encode_state, state_hash

Fault = Callable[[Scene], Entry]
REFUSED: dict[tuple[Callable[[], Scene], Code], dict[str, Fault]] = {
    (opened, Code.DUPLICATE): {
        "publish again": lambda s: s.history[0][1],
    },
    (opened, Code.WRONG_PLACE): {
        "publish inside": lambda s: s.publish("bob"),
    },
    (opened, Code.NOT_LEGAL): {
        "publish placed inside": lambda s: s.publish(
            "bob", header={"place": s.now.meeting_id}
        ),
    },
    (seated, Code.WRONG_PLACE): {
        "request of another meeting": foreign_request,
    },
    (seated, Code.BAD_SIGNATURE): {
        "request, spoiled": lambda s: spoiled(s.request("dan")),
        "epoch, spoiled": lambda s: spoiled(s.epoch()),
        "leave forged": forged_leave,
    },
    (seated, Code.WRONG_AUTHOR): {
        "request by another key": lambda s: s.request("dan", by="eve"),
        "epoch by a member": lambda s: s.epoch("bob"),
        "epoch by a stranger": lambda s: s.epoch("eve"),
        "leave of a stranger": lambda s: s.leave("eve"),
        "policy by a member": lambda s: s.policy("bob"),
        "dismissal by a member": lambda s: s.dismiss("bob"),
    },
    (seated, Code.NO_GATE): {
        "request without gate": lambda s: s.request("dan", gate=None),
    },
    (seated, Code.BAD_COSIGNATURE): {
        "request with another gate": lambda s: s.request("dan", gate="eve"),
        "request with the gate of another request": borrowed_gate,
        "request with two gates": two_gates,
    },
    (closed, Code.DOORS_CLOSED): {
        "request at closed doors": lambda s: s.request("dan"),
    },
    (asking, Code.DUPLICATE): {
        "request twice": lambda s: s.request("dan"),
    },
    (seated, Code.DUPLICATE): {
        "request by a member": lambda s: s.request("bob"),
    },
    (withdrawn, Code.NOT_LEGAL): {
        "request after withdrawing": lambda s: s.request("dan"),
        "withdrawing twice": lambda s: s.leave("dan"),
    },
    (removed, Code.NOT_LEGAL): {
        "request after removal": lambda s: s.request("cyd"),
        "leave after removal": lambda s: s.leave("cyd"),
    },
    (dismissed, Code.ENDED): {
        "request after the end": lambda s: s.request("dan"),
    },
    (late, Code.ENDED): {
        "request too late": lambda s: s.request("dan"),
    },
    (early, Code.NOT_LEGAL): {
        "request before the last entry's time": lambda s: s.request("dan"),
    },
    (seated, Code.OUT_OF_SEQUENCE): {
        "request with a later number": lambda s: s.request("dan", header={"seq": 1}),
        "request after another entry": lambda s: s.request(
            "dan", header={"prev": s.now.last}
        ),
        "epoch counted in the other line": lambda s: s.epoch(
            header={"seq": 0, "prev": None}
        ),
        "policy with the same version": lambda s: s.policy(version=0),
    },
    (seated, Code.WRONG_TERM): {
        "epoch of another term": lambda s: s.epoch(term=1),
        "policy of another term": lambda s: s.policy(term=1),
        "dismissal of another term": lambda s: s.dismiss(term=1),
    },
    (seated, Code.WRONG_PREV_EPOCH): {
        "epoch on an older one": lambda s: s.epoch(prev_epoch=s.now.leader),
    },
    (seated, Code.WRONG_EPOCH): {
        "epoch with the same number": lambda s: s.epoch(number=1),
        "epoch that burns numbers": lambda s: s.epoch(number=2 + MAX_NUMBER_STEP),
    },
    (opened, Code.NOT_FRESH): {
        "first epoch by ratchet": lambda s: s.epoch(kind=EpochKind.RATCHET),
    },
    (seated, Code.NOT_FRESH): {
        "drop by ratchet": lambda s: s.epoch(lost=[1], kind=EpochKind.RATCHET),
        "superseding by ratchet": lambda s: s.epoch(
            supersedes=(EntryId(bytes(32)),), kind=EpochKind.RATCHET
        ),
    },
    (seated, Code.NOT_LEGAL): {
        "superseding what landed": lambda s: s.epoch(supersedes=(s.now.last,)),
        "admitting nobody's ordinal": lambda s: s.epoch(admit=[2]),
        "admitting twice": lambda s: s.epoch(admit=[1]),
        "dropping an empty slot": lambda s: s.epoch(lost=[3]),
        "dropping twice": lambda s: s.epoch(lost=[1], removed=[1]),
        "dropping the leader": lambda s: s.epoch(lost=[0]),
        "dropping as left who stays": lambda s: s.epoch(left=[1]),
    },
    (seated, Code.WRONG_ROSTER): {
        "epoch with another roster root": lambda s: s.epoch(roster_root=bytes(32)),
    },
    (crowded, Code.FULL): {
        "admitting above the limit": lambda s: s.epoch(admit=[2]),
    },
    (leaderless, Code.NOT_LEGAL): {
        "epoch without leader": lambda s: s.epoch(),
        "leave twice": lambda s: s.leave("ann"),
        "dismissal after leaving": lambda s: s.dismiss(),
    },
    (host_removed, Code.WRONG_AUTHOR): {
        "policy by a removed host": lambda s: s.policy("bob"),
    },
    (host_leaving, Code.WRONG_AUTHOR): {
        "policy by a leaving host": lambda s: s.policy("bob"),
    },
    (hosted, Code.NOT_LEGAL): {
        "hosts changed by who is none": lambda s: s.policy(policy={"grants": ()}),
    },
    (Scene, Code.UNKNOWN_TOPIC): {
        "request before any publish": lambda _: seated().history[1][1],
    },
    (Scene, Code.WRONG_PLACE): {
        "publish for another ledger": lambda s: s.publish(header={"place": bytes(32)}),
    },
    (Scene, Code.OUT_OF_SEQUENCE): {
        "publish that is not first": lambda s: s.publish(header={"seq": 1}),
    },
    (Scene, Code.UNKNOWN_RULES): {
        "publish under unknown rules": lambda s: s.publish(rules=2),
    },
    (Scene, Code.WRONG_AUTHOR): {
        "publish by another key": lambda s: s.publish(mvk=signer_of("eve").public),
    },
    (Scene, Code.NOT_LEGAL): {
        "publish that ends first": lambda s: s.publish(opens_ms=s.time_ms + HOUR_MS),
        "publish with grants": lambda s: s.publish(policy=granting()),
        "publish with a successor": lambda s: s.publish(
            policy=replace(POLICY, appointed=EntryId(bytes(32)))
        ),
    },
    (Scene, Code.ENDED): {
        "publish that is over": lambda s: s.publish(opens_ms=0, ends_ms=s.time_ms),
    },
    (Scene, Code.BAD_SIGNATURE): {
        "publish, spoiled": lambda s: spoiled(s.publish()),
    },
}


def build() -> dict[str, object]:
    """Return the vectors of meetings."""
    return {
        "format": "incamera vectors 0",
        "about": "meeting histories with the hash of the state after each entry, and"
        " entries that a history refuses",
        "cases": [_history(make) for make in HISTORIES]
        + [
            _refusal(name, code, make, fault)
            for (make, code), faults in REFUSED.items()
            for name, fault in faults.items()
        ],
    }


def _pairs(history: list[tuple[int, Entry]]) -> list[list[object]]:
    return [[time_ms, entry.data.hex()] for time_ms, entry in history]


def _history(make: Callable[[], Scene]) -> dict[str, object]:
    scene = make()
    replay = Scene()
    hashes = []
    for time_ms, entry in scene.history:
        replay.time_ms = time_ms
        replay.land(parse_entry(entry.data))
        hashes.append(state_hash(replay.now).hex())
    return {
        "name": (make.__doc__ or "").rstrip("."),
        "ledger": LEDGER.hex(),
        "history": _pairs(scene.history),
        "expect": {"hashes": hashes, "state": encode_state(replay.now).hex()},
    }


def _refusal(
    name: str, code: Code, make: Callable[[], Scene], fault: Callable[[Scene], Entry]
) -> dict[str, object]:
    scene = make()
    entry = fault(scene)
    if (found := verdict(scene, entry)) is not code:
        raise AssertionError(f"{name}: {found}")
    return {
        "name": name,
        "ledger": LEDGER.hex(),
        "history": _pairs(scene.history),
        "next": [scene.time_ms, entry.data.hex()],
        "error": code.value,
    }


def verdict(scene: Scene, entry: Entry) -> Code | None:
    """Return why the scene refuses the entry; None if it does not."""
    try:
        scene.try_out(entry)
    except PeerError as error:
        return error.code
    return None
