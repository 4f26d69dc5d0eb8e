# SPDX-License-Identifier: Apache-2.0
"""Meetings in one state or another, and entries that no state accepts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from spec.generators._scene import (
    LIMITS,
    POLICY,
    Scene,
    digest,
    request_body,
    signer_of,
)

from incamera.protocol import labels
from incamera.protocol.bodies import (
    Request,
)
from incamera.protocol.encoding import parse
from incamera.protocol.entry import (
    Entry,
    parse_entry,
    sign_entry,
)
from incamera.protocol.envelope import sign
from incamera.protocol.fields import CosignRole
from incamera.protocol.ids import EntryId
from incamera.protocol.meeting_rules import MAX_NUMBER_STEP
from incamera.protocol.policy import (
    Doors,
    Grant,
    Policy,
    Role,
)
from incamera.protocol.signing import kid_of


def opened() -> Scene:
    """Ann alone."""
    return Scene().open()


def seated() -> Scene:
    """Ann at slot 0, Bob at 1, Cyd at 2; epoch 1."""
    return opened().seat("bob", "cyd")


def asking() -> Scene:
    """The same, and Dan asks with ordinal 2."""
    scene = seated()
    return scene.land(scene.request("dan"))


def leaderless() -> Scene:
    """The same, and Ann left."""
    scene = asking()
    return scene.land(scene.leave("ann"))


def removed() -> Scene:
    """Cyd was removed, Bob dropped as left."""
    scene = seated()
    scene.land(scene.leave("bob"))
    return scene.land(scene.epoch(left=[1], removed=[2]))


def whole() -> Scene:
    """Everything that happens in a meeting, once."""
    scene = asking()
    scene.land(scene.epoch(admit=[2]))
    scene.land(scene.leave("cyd"))
    scene.land(scene.epoch(left=[2]))
    scene.gate = "second gate"
    closed = {"doors": Doors.CLOSED}
    scene.land(scene.policy(policy=closed, gate=signer_of("second gate").public))
    scene.land(scene.epoch(removed=[1]))
    scene.land(scene.request("cyd", gate=None))
    scene.land(scene.epoch(admit=[3], lost=[3]))
    return scene.land(scene.dismiss())


def in_between() -> Scene:
    """An epoch lands although a request, leaves and a policy came in between."""
    scene = asking()
    scene.land(scene.request("eve"))
    late = scene.epoch(admit=[2, 3])
    scene.land(scene.leave("eve"))
    scene.land(scene.request("fay"))
    scene.land(scene.leave("bob"))
    few = replace(LIMITS, members=1)
    scene.land(scene.policy(policy={"limits": few, "doors": Doors.CLOSED}))
    return scene.land(late)


def emptied() -> Scene:
    """The leader leaves, then the others: the last one ends the meeting."""
    scene = leaderless()
    scene.land(scene.leave("dan"), scene.request("eve"))
    scene.land(scene.leave("bob"))
    return scene.land(scene.leave("cyd"))


def hosted() -> Scene:
    """Ann makes Bob host; Bob takes Ann's place as the only host."""
    scene = seated()
    bob = scene.now.roster[1].id
    both = (Grant(who=scene.now.leader, role=Role.HOST), Grant(who=bob, role=Role.HOST))
    scene.land(scene.policy(policy={"grants": both}))
    return scene.land(scene.policy("bob", policy={"grants": both[1:]}))


def replaced() -> Scene:
    """An epoch supersedes eight; numbers jump as far as they may."""
    scene = asking()
    names = tuple(EntryId(digest(f"retracted epoch {n}")) for n in range(8))
    number = scene.now.epoch + MAX_NUMBER_STEP
    return scene.land(scene.epoch(admit=[2], supersedes=names, number=number))


def full() -> Scene:
    """As many members as the policy allows; drops alone are legal above it."""
    scene = Scene().open(policy=replace(POLICY, limits=replace(LIMITS, members=3)))
    scene.seat("bob", "cyd")
    few = replace(LIMITS, members=1)
    scene.land(scene.policy(policy={"limits": few}))
    scene.land(scene.epoch())
    return scene.land(scene.epoch(lost=[2]))


HISTORIES: tuple[Callable[[], Scene], ...] = (
    opened,
    asking,
    whole,
    in_between,
    emptied,
    hosted,
    replaced,
    full,
)


def spoiled(entry: Entry) -> Entry:
    """Return the entry with one bit of its signature flipped."""
    return parse_entry(entry.data[:-1] + bytes([entry.data[-1] ^ 1]))


def _eve(scene: Scene, *gates: str, **changes: Any) -> Entry:
    header: dict[str, Any] = {"place": scene.now.meeting_id, "seq": 0, "prev": None}
    cosigners = [(CosignRole.GATE, signer_of(gate)) for gate in gates]
    body = request_body("eve", **changes)
    return sign_entry(signer_of("eve"), body, **header, cosigners=cosigners)


def two_gates(scene: Scene) -> Entry:
    """Return a request that the gate signed twice."""
    return _eve(scene, "gate", "gate")


def borrowed_gate(scene: Scene) -> Entry:
    """Return a request with the gate's signature of another one."""
    body = scene.request("dan").body
    assert isinstance(body, Request)
    return _eve(scene, cosigns=body.cosigns)


def foreign_request(_scene: Scene) -> Entry:
    """Return a request that is in order for another meeting with the same gate."""
    other = Scene().open(nonce=digest("another publish nonce"))
    return other.request("dan")


def forged_leave(scene: Scene) -> Entry:
    """Return a leave in Bob's name, signed by Cyd."""
    cyds = scene.leave("bob", by="cyd")
    header = parse(cyds.signed.protected)
    assert isinstance(header, dict)
    header[4] = kid_of(signer_of("bob").public)
    payload = parse(cyds.signed.payload)
    forged = sign(signer_of("cyd"), labels.ENTRY, header=header, payload=payload)
    return parse_entry(forged.encode())


def closed() -> Scene:
    """The doors are closed."""
    scene = seated()
    return scene.land(scene.policy(policy={"doors": Doors.CLOSED}))


def withdrawn() -> Scene:
    """Dan asked and withdrew."""
    scene = asking()
    return scene.land(scene.leave("dan"))


def dismissed() -> Scene:
    """Over."""
    scene = seated()
    return scene.land(scene.dismiss())


def late() -> Scene:
    """At its end time."""
    scene = seated()
    scene.time_ms = scene.now.ends_ms
    return scene


def early() -> Scene:
    """The ledger's clock went back."""
    scene = seated()
    scene.time_ms = scene.now.time_ms - 1
    return scene


def crowded() -> Scene:
    """Three inside, at most three, and Dan asks."""
    scene = Scene().open(policy=replace(POLICY, limits=replace(LIMITS, members=3)))
    scene.seat("bob", "cyd")
    return scene.land(scene.request("dan"))


def host_removed() -> Scene:
    """Bob was made host, then removed."""
    scene = hosted()
    return scene.land(scene.epoch(removed=[1]))


def host_leaving() -> Scene:
    """Bob was made host, and leaves."""
    scene = hosted()
    return scene.land(scene.leave("bob"))


def granting() -> Policy:
    """Return a policy with a grant."""
    return replace(POLICY, grants=(Grant(who=EntryId(bytes(32)), role=Role.HOST),))
