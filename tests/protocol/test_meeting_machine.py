# SPDX-License-Identifier: Apache-2.0
"""Whatever is tried in whatever order, a meeting's invariants hold."""

import sys
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from incamera.errors import PeerError
from incamera.protocol.encoding import encode
from incamera.protocol.log import root_of
from incamera.protocol.meeting_state import MeetingState, Standing, Status
from incamera.protocol.policy import Doors
from incamera.protocol.roster import roster_leaf
from incamera.protocol.topic import encode_state

sys.path.insert(0, str(Path(__file__).parents[2]))
from spec.generators._scene import POLICY, Scene  # needs the path

PEOPLE = st.sampled_from(["ann", "bob", "cyd", "dan", "eve"])
ORDINALS = st.sets(st.integers(0, 9), max_size=3)
SLOTS = st.sets(st.integers(0, 5), max_size=2)
MAYBE_GATE = st.sampled_from(["gate", None, "eve"])


class Meeting(RuleBasedStateMachine):
    """Tries legal and illegal entries; keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene().open()
        self.removed: set[bytes] = set()
        self.pending: list[Any] = []

    @property
    def state(self) -> MeetingState:
        return self.scene.now

    def attempt(self, entry: Any) -> None:
        before, encoded = self.state, encode_state(self.state)
        try:
            self.scene.land(entry)
        except PeerError:
            assert self.state is before
            assert encode_state(before) == encoded
            return
        assert encode_state(before) == encoded
        assert self.state.epoch >= before.epoch
        gone = self.state.former.values()
        self.removed |= {f.member.mvk for f in gone if f.how is Standing.REMOVED}

    @rule(who=PEOPLE, gate=MAYBE_GATE)
    def ask(self, who: str, gate: str | None) -> None:
        self.attempt(self.scene.request(who, gate=gate))

    @rule(who=PEOPLE)
    def leave(self, who: str) -> None:
        self.attempt(self.scene.leave(who))

    @rule(
        who=st.sampled_from(["ann", "ann", "ann", "bob"]),
        admit=ORDINALS,
        left=SLOTS,
        lost=SLOTS,
        removed=SLOTS,
    )
    def change(self, who: str, **lists: Any) -> None:
        self.attempt(self.scene.epoch(who, **lists))

    @rule(keep=st.booleans())
    def admit_everybody(self, *, keep: bool) -> None:
        epoch = self.scene.epoch(
            admit=list(self.state.requests), left=self.state.leaving - {0}
        )
        if keep:
            self.pending.append(epoch)
        else:
            self.attempt(epoch)

    @rule()
    def land_what_was_kept(self) -> None:
        """Requests, leaves and policies came in between: only another epoch voids."""
        if not self.pending:
            return
        epoch = self.pending.pop()
        last = self.state.last
        legal = epoch.body.prev_epoch == last and self.state.status is Status.OPEN
        self.attempt(epoch)
        assert (self.state.last != last) == legal

    @rule(who=PEOPLE, doors=st.sampled_from(list(Doors)))
    def set_policy(self, who: str, doors: Doors) -> None:
        self.attempt(self.scene.policy(who, policy={"doors": doors}))

    @rule(who=st.sampled_from(["bob", "eve"]))
    def dismiss_without_leading(self, who: str) -> None:
        self.attempt(self.scene.dismiss(who))
        assert self.state.status is not Status.ENDED or self.everybody_leaves()

    def everybody_leaves(self) -> bool:
        return self.state.leaving == self.state.roster.keys()

    @invariant()
    def seats_and_standings_agree(self) -> None:
        state = self.state
        seated = {slot: member.mvk for slot, member in state.roster.items()}
        assert len(set(seated.values())) == len(seated)
        of = {author.mvk: author for author in state.authors.values()}
        assert seated == {
            a.index: a.mvk for a in of.values() if a.standing is Standing.SEATED
        }
        pending = {a.index for a in of.values() if a.standing in (1, 2)}
        assert pending == set(state.requests)
        assert all(of[r.mvk].index == n for n, r in state.requests.items())

    @invariant()
    def the_roster_is_bound_and_ordered(self) -> None:
        state = self.state
        leaves = [
            encode(roster_leaf(state.roster[n])) if n in state.roster else b""
            for n in range(max(state.roster) + 1)
        ]
        if state.epoch:
            last = next(e for _, e in self.scene.history if e.id == state.last)
            assert root_of(leaves) == last.body.roster_root  # type: ignore[union-attr]  # an epoch
        orders = [m.order for m in state.roster.values()] + list(state.former)
        assert sorted(orders) == list(range(len(orders)))

    @invariant()
    def the_removed_stay_out_and_the_leaving_are_inside(self) -> None:
        state = self.state
        inside = {m.mvk for m in state.roster.values()}
        asking = {r.mvk for r in state.requests.values()}
        assert self.removed.isdisjoint(inside | asking)
        assert state.leaving <= state.roster.keys()
        assert len(inside) <= POLICY.limits.members
        assert (state.status is Status.ENDED) == self.everybody_leaves()


TestMeeting = Meeting.TestCase
TestMeeting.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
