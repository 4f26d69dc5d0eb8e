# SPDX-License-Identifier: Apache-2.0
"""What becomes of a meeting when an entry lands."""

from collections.abc import Callable
from typing import Any

from incamera.errors import Code
from incamera.protocol.meeting_state import Author, Standing, Status
from incamera.protocol.policy import Doors, Grant, Role
from incamera.protocol.roster import roster_root


def author(scene: Any, meetings: Any, who: str) -> Author:
    mvk = meetings.signer_of(who).public
    found = [a for a in scene.now.authors.values() if a.mvk == mvk]
    assert len(found) == 1
    assert isinstance(found[0], Author)
    return found[0]


def test_publish_seats_the_publisher(meetings: Any) -> None:
    state = meetings.Scene().open().now
    assert (state.status, state.term, state.epoch) == (Status.OPEN, 0, 0)
    assert state.fresh_needed
    assert state.leader == state.last == state.meeting_id
    assert state.roster[0].id == state.leader
    assert state.lineage == ((state.meeting_id, 0),)


def test_an_epoch_moves_everything_at_once(scene: Any, meetings: Any) -> None:
    scene.land(scene.request("dan"), scene.leave("cyd"))
    epoch = scene.epoch(admit=[2], left=[2], lost=[1])
    scene.land(epoch)
    state = scene.now
    assert (state.last, state.epoch) == (epoch.id, 2)
    assert roster_root(state.roster) == epoch.body.roster_root
    assert {slot: m.order for slot, m in state.roster.items()} == {0: 0, 1: 3}
    assert {n: (f.how, f.dropped) for n, f in state.former.items()} == {
        1: (Standing.LOST, 2),
        2: (Standing.LEFT, 2),
    }
    assert state.leaving == frozenset()
    assert state.requests == {}
    assert author(scene, meetings, "dan").standing is Standing.SEATED
    assert author(scene, meetings, "bob").standing is Standing.LOST
    assert author(scene, meetings, "cyd").index == 2


def test_who_withdrew_after_signing_is_admitted_as_leaving(
    scene: Any, meetings: Any
) -> None:
    scene.land(scene.request("dan"))
    epoch = scene.epoch(admit=[2])
    scene.land(scene.leave("dan"))
    assert author(scene, meetings, "dan").standing is Standing.WITHDRAWN
    scene.land(epoch)
    assert scene.now.leaving == {3}
    scene.land(scene.epoch(left=[3]))
    assert scene.try_out(scene.request("dan", gate=None)).next_ordinal == 4


def test_nothing_in_between_voids_an_epoch(scene: Any) -> None:
    scene.land(scene.request("dan"), scene.request("eve"))
    epoch = scene.epoch(admit=[2, 3], removed=[2])
    few = {"limits": scene.now.policy.limits, "doors": Doors.CLOSED}
    scene.land(
        scene.request("fay"), scene.leave("dan"), scene.leave("bob"), scene.leave("cyd")
    )
    scene.land(scene.policy(policy=few), epoch)
    assert scene.now.last == epoch.id
    assert scene.now.leaving == {1, 2}


def test_a_lost_policy_does_not_void_a_removal(
    refused: Callable[[Code], Any], scene: Any
) -> None:
    ids = [scene.now.roster[slot].id for slot in (0, 1)]
    hosts = tuple(Grant(who=who, role=Role.HOST) for who in ids)
    scene.land(scene.policy(policy={"grants": hosts}))
    lost, removal = scene.policy(), scene.epoch(removed=[2])
    scene.land(scene.policy("bob"))
    with refused(Code.OUT_OF_SEQUENCE):
        scene.try_out(lost)
    scene.land(removal)
    assert 2 not in scene.now.roster


def test_the_leader_leaves_then_the_last_one(scene: Any) -> None:
    statuses = []
    for who in ("ann", "bob", "cyd"):
        scene.land(scene.leave(who))
        statuses.append(scene.now.status)
    assert statuses == [Status.LEADERLESS, Status.LEADERLESS, Status.ENDED]


def test_a_policy_keeps_what_it_does_not_name(scene: Any, meetings: Any) -> None:
    before = scene.now
    scene.land(scene.policy())
    after = scene.now
    assert after.policy_version == 1
    assert (after.gate, after.gateways) == (before.gate, before.gateways)
    assert after.fallbacks == before.fallbacks
    gate = meetings.signer_of("other").public
    scene.land(scene.policy(gate=gate, gateways=(), fallbacks=()))
    assert (scene.now.gate, scene.now.gateways) == (gate, ())


def test_no_policy_voids_an_epoch_by_its_limit(scene: Any, meetings: Any) -> None:
    limits = scene.now.policy.limits
    scene.land(
        scene.policy(
            policy={
                "limits": type(limits)(
                    members=1,
                    unreachable_s=1,
                    identity_stale_s=1,
                    leaderless_s=1,
                    before_host_s=1,
                )
            }
        )
    )
    assert scene.now.members_limit == limits.members
    scene.land(scene.epoch())
    assert scene.now.members_limit == 1


def test_older_states_stay(scene: Any) -> None:
    before, roster = scene.now, dict(scene.now.roster)
    scene.land(scene.request("dan"), scene.epoch(removed=[1]))
    assert before.roster == roster
    assert before.requests == {}
    assert before.next_ordinal == 2


def test_another_roster_root_is_refused(
    refused: Callable[[Code], Any], scene: Any
) -> None:
    with refused(Code.WRONG_ROSTER):
        scene.try_out(scene.epoch(roster_root=bytes(32)))


def test_a_withdrawn_request_stays_until_admitted(scene: Any) -> None:
    scene.land(scene.request("dan"))
    scene.land(scene.leave("dan"))
    assert scene.now.requests[2].withdrawn
    assert scene.try_out(scene.epoch(admit=[2])).requests == {}


def test_a_dismissal_ends_it_for_everybody(scene: Any) -> None:
    scene.land(scene.dismiss())
    assert scene.now.status is Status.ENDED
    assert scene.now.leaving == frozenset()
