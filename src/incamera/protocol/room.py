# SPDX-License-Identifier: Apache-2.0
"""All that a member's machine knows, in one place (spec/meeting.md, section 7).

`landing`, `hearing` and `leading` each answer one kind of input on a `Room`; `Member`
is the door in front of them.  Everything that must survive a restart is in `save`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.effects import (
    Effect,
    Keyed,
    KeysInstalled,
    Post,
    SendUnder,
    Switched,
    Tell,
)
from incamera.protocol.ids import EntryId, KeyId, Kid
from incamera.protocol.keyring import SWITCH_AFTER_MS, EpochKey, Keyring
from incamera.protocol.leading import Leading
from incamera.protocol.meeting_state import MeetingState, leader_member, member_by_id
from incamera.protocol.message_bodies import Ack, Body
from incamera.protocol.people import People
from incamera.protocol.roster import StateMember
from incamera.protocol.schedule import EpochContext
from incamera.protocol.seat import Seat, Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.voice import Voice
from incamera.protocol.wraps import MemberKek, Wrap

MAX_WANTED: Final = 8
"""Landed epochs whose keys are waited for; the leader wraps only the newest again."""
MAX_EARLY_WRAPS: Final = 8
"""Wraps that came before their entry: the leader is a few entries ahead at most."""


class Phase(Enum):
    """Where we stand, by what we know."""

    STARTING = "starting"
    """Our publish is not on the ledger yet."""
    ASKING = "asking"
    """Our request waits for the leader."""
    INSIDE = "inside"
    """We are in the roster."""
    OVER = "over"
    """Ended, left, removed or declined: every key is erased."""


@dataclass(slots=True)
class Wanted:
    """An epoch that landed and whose key we lack."""

    context: EpochContext
    commitment: bytes
    ask_at_ms: int
    ratchet: bool = False
    """Whether the key follows from the one before."""
    failed: bool = False
    """A wrap of it did not open: perhaps the leader has another pairwise key."""


@dataclass(slots=True)
class Pushed:
    """A signed entry seen before the ledger ordered it."""

    entry: bytes
    append_at_ms: int
    prev: EntryId
    """Its `prev_epoch`: it lands on that one, or never."""
    removed: frozenset[EntryId]


@dataclass(slots=True)
class Room:
    """One member's whole knowledge of one meeting; mutable, owned by `Member`."""

    seat: Seat
    tools: Tools
    voice: Voice
    people: People
    keyring: Keyring = field(default_factory=Keyring)
    state: MeetingState | None = None
    count: int = 0
    """Records of the topic read so far."""
    phase: Phase = Phase.ASKING
    leading: Leading | None = None
    kek: MemberKek | None = None
    kek_confirmed: bool = False
    """A key came through it and matched its commitment: its KEM key is erased."""
    wanted: dict[KeyId, Wanted] = field(default_factory=dict)
    early: dict[KeyId, Wrap] = field(default_factory=dict)
    removed: set[EntryId] = field(default_factory=set)
    """Whose signed removal we have seen: we never send under a key that they hold."""
    pushed: dict[EntryId, Pushed] = field(default_factory=dict)
    proof_given: bool = False
    """Whether the group has the key of our stored identity message."""
    request_box: bytes | None = None
    request_at_ms: int | None = None
    proof_keys_at_ms: int | None = None
    fetch_at_ms: int | None = None
    replay_until: int = 0
    """Records dealt with before a restart: they go to `replay`, not `got_record`."""
    proof_keys: dict[EntryId, Secret] = field(default_factory=dict)
    """Saved proof keys of people whom we have not met again since a restart."""
    generation: int = 0
    """Stream generations handed out: each start of a sender takes a new one."""
    _seated: tuple[Mapping[int, StateMember], StateMember | None] | None = None
    """Our place in the roster that we looked at last: in a long one it takes time."""

    @property
    def meeting_state(self) -> MeetingState:
        """The public state; PeerError(UNKNOWN_TOPIC) before publish was read."""
        if self.state is None:
            raise PeerError(Code.UNKNOWN_TOPIC, "the meeting is not on the ledger yet")
        return self.state

    @property
    def me(self) -> StateMember | None:
        """Our place in the roster, if we have one."""
        if self.state is None:
            return None
        roster = self.state.roster
        if self._seated is None or self._seated[0] is not roster:
            self._seated = roster, member_by_id(self.state, self.seat.entry)
        return self._seated[1]

    @property
    def leader(self) -> StateMember:
        """The present leader."""
        leader = leader_member(self.meeting_state)
        if leader is None:
            raise PeerError(Code.NOT_LEGAL, "nobody in the roster leads")
        return leader

    @property
    def leads(self) -> bool:
        """True if we lead this term."""
        return self.state is not None and self.state.leader == self.seat.entry

    def inside(self) -> list[EntryId]:
        """Return everybody in the roster, in slot order."""
        roster = self.meeting_state.roster
        return [roster[slot].id for slot in sorted(roster)]

    def require_inside(self) -> StateMember:
        """Return our place; UsageError(WRONG_STATE) if we have none."""
        me = self.me
        if me is None or self.phase is not Phase.INSIDE:
            raise UsageError(Code.WRONG_STATE, "you are not in the meeting")
        return me

    # ------------------------------------------------------------------- speaking

    def clear(self, body: Body, to: StateMember | None) -> Post:
        """Return a signed message that must work while keys change."""
        message = self.voice.sign(body, self.meeting_state.term)
        return Post(None if to is None else kid_of(to.mvk), message.data)

    def group(self, body: Body, to: Kid | None = None) -> list[Effect]:
        """Return a message sealed to the group, or keep it for the next key.

        After a removal was seen, no key that the removed member holds seals anything.
        """
        key, me = self.keyring.newest, self.me
        if key is None or me is None or not self.may_seal_under(key):
            self.voice.queue(to, body)
            return []
        return [Post(to, self.voice.seal(body, key, slot=me.slot))]

    def may_seal_under(self, key: EpochKey) -> bool:
        """Return whether nobody whose removal we saw holds this key."""
        if bytes(key.key_id) != self.meeting_state.last:
            return not self.keyring.stopped and not self.removed
        return not self.removed or self.removed.isdisjoint(self.inside())

    def held_back(self) -> bool:
        """Return whether the newest key waits for a removal to land, not for time."""
        newest = self.keyring.newest
        return newest is not None and not self.may_seal_under(newest)

    def want(self, key_id: KeyId, wanted: Wanted) -> None:
        """Note that an epoch landed whose key we lack."""
        self.wanted[key_id] = wanted
        while len(self.wanted) > MAX_WANTED:
            del self.wanted[next(iter(self.wanted))]

    def settle_pushed(self) -> None:
        """Forget pushed epochs that cannot land any more, and the removals in them."""
        state = self.meeting_state
        self.pushed = {
            entry: push
            for entry, push in self.pushed.items()
            if push.prev == state.last
        }
        live = set(self.leading.remove) if self.leading else set[EntryId]()
        live = live.union(*(push.removed for push in self.pushed.values()))
        self.removed = live & set(self.inside())

    # ----------------------------------------------------------------------- keys

    def install(self, key_id: KeyId, key: Secret, now_ms: int) -> list[Effect]:
        """Hold a confirmed key: tell media, the leader and the person."""
        context = self.wanted[key_id].context
        for older in [
            k for k, w in self.wanted.items() if w.context.epoch <= context.epoch
        ]:
            del self.wanted[older]  # a key older than the newest is never installed
            self.early.pop(older, None)
        first = self.keyring.sending is None
        switch_at = now_ms if first else now_ms + SWITCH_AFTER_MS
        self.keyring.install(EpochKey(key_id, context, key, switch_at))
        effects: list[Effect] = [
            KeysInstalled(context.epoch),
            Tell(Keyed(context.epoch)),
        ]
        if not self.leads:
            effects.append(self.clear(Ack(key_id=key_id), self.leader))
        if first:
            effects += self.switch(key_id, now_ms)
        for waiting in self.voice.unqueue():
            effects += self.group(waiting.body, waiting.to)
        return effects

    def switch(self, key_id: KeyId, now_ms: int) -> list[Effect]:
        """Send under this key, unless somebody whose removal we saw holds it."""
        key = self.keyring.find(key_id)
        if not self.may_seal_under(key) or not self.keyring.switch(key_id, now_ms):
            return []
        return [SendUnder(key.epoch), Tell(Switched(key.epoch))]

    def wipe(self) -> None:
        """Erase every secret of the meeting."""
        self.keyring.wipe()
        self.people.wipe()
        self.seat.wipe()
        self.voice.wipe()
        if self.kek is not None:
            self.kek.wipe()
        if self.leading is not None:
            self.leading.wipe()
        for secret in self.proof_keys.values():
            secret.wipe()
        self.phase = Phase.OVER
