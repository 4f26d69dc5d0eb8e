# SPDX-License-Identifier: Apache-2.0
"""How the leader lets people in, puts them out and hands out keys (spec/keys.md, 6).

A change of members and its key are one entry.  The leader keeps one epoch entry under
way at a time; whatever is wished for meanwhile goes into the next.  Entry, seed and the
stepped pairwise keys are saved before any of them leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from incamera.errors import Code, UsageError
from incamera.protocol.bodies import Epoch, EpochKind
from incamera.protocol.box import RequestBox
from incamera.protocol.effects import Post
from incamera.protocol.entry import Entry, EntryType, sign_entry
from incamera.protocol.epoch_secret import Drawn, EpochSecret, Stepped
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.index_set import index_set
from incamera.protocol.kem import kem_key_hash
from incamera.protocol.keyring import Keyring
from incamera.protocol.meeting_state import MeetingState, next_header
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import (
    MAX_WRAPS,
    KekMessage,
    MemberKeys,
    WrapBatch,
)
from incamera.protocol.roster import StateMember, next_roster, roster_root
from incamera.protocol.schedule import (
    EpochContext,
    commitment,
    meeting_key,
)
from incamera.protocol.seat import Seat, Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.voice import Voice
from incamera.protocol.wraps import LeaderKek, Pair, Wrap, WrapContext, kek_info

MAX_RATCHETS: Final = 32
"""Ratchets in a row: a fresh key bounds what one copied key opens."""
MAX_BOXES: Final = 256
"""Request boxes that came before their request: strangers must not fill our memory."""
WRAP_PAUSE_MS: Final = 1_000
"""A member gets one repeated wrap a second."""


@dataclass(slots=True)
class Pending:
    """An epoch entry of ours that is signed and not yet on the ledger."""

    entry: bytes
    key_id: KeyId
    context: EpochContext
    seed: Secret
    key: Secret
    fresh: bool


@dataclass(slots=True)
class Current:
    """The epoch in force and its seed, to wrap again for whoever lost it."""

    key_id: KeyId
    context: EpochContext
    seed: Secret


@dataclass(slots=True)
class Leading:
    """What a leader keeps beside what every member keeps."""

    admit: list[EntryId] = field(default_factory=list)
    remove: set[EntryId] = field(default_factory=set)
    kems: dict[EntryId, MemberKeys] = field(default_factory=dict)
    boxes: dict[EntryId, RequestBox] = field(default_factory=dict)
    keks: dict[EntryId, LeaderKek] = field(default_factory=dict)
    pending: Pending | None = None
    current: Current | None = None
    acks: set[EntryId] = field(default_factory=set)
    switch_at_ms: int | None = None
    ratchets: int = 0
    link_secret: Secret | None = None
    """Of the gate that a policy under way brings."""
    wrapped_ms: dict[EntryId, int] = field(default_factory=dict)

    def hold_box(self, box: RequestBox) -> None:
        """Keep a request box until its request is on the ledger."""
        if len(self.boxes) >= MAX_BOXES:
            del self.boxes[next(iter(self.boxes))]
        self.boxes[box.request] = box

    def draft(
        self, state: MeetingState, *, seat: Seat, keyring: Keyring, tools: Tools
    ) -> Pending | None:
        """Sign the next epoch if anything is wished for and none is under way."""
        if self.pending is not None:
            return None
        slots = {member.id: slot for slot, member in state.roster.items()}
        removed = {slots[who] for who in self.remove if who in slots}
        left = set(state.leaving) - removed
        ordinals = self._wished(state)
        # An epoch of ours that we no longer hold was lost with a disk: start afresh.
        held = self.current is not None and self.current.key_id == KeyId(state.last)
        must = state.fresh_needed or not held
        if not (removed or left or ordinals or must):
            return None
        fresh = bool(removed or left) or must or self.ratchets >= MAX_RATCHETS
        roster = next_roster(state, admitted=ordinals, dropped=removed | left)
        context = EpochContext(
            meeting=state.meeting_id,
            prev_epoch=state.last,
            roster_root=roster_root(roster),
            term=state.term,
            epoch=state.epoch + 1,
        )
        seed = _source(context, keyring, tools, fresh=fresh)(context)
        key = meeting_key(seed, context)
        body = Epoch(
            term=context.term,
            number=context.epoch,
            prev_epoch=context.prev_epoch,
            kind=EpochKind.FRESH if fresh else EpochKind.RATCHET,
            admitted=index_set(ordinals),
            left=index_set(left),
            lost=index_set(()),
            removed=index_set(removed),
            roster_root=context.roster_root,
            commitment=commitment(key),
            refreshes=(),
        )
        entry = _sign(state, seat, body)
        key_id = KeyId(entry.id)
        self.pending = Pending(entry.data, key_id, context, seed, key, fresh)
        return self.pending

    def _wished(self, state: MeetingState) -> list[int]:
        wished = set(self.admit)
        requests = state.requests.values()
        return [r.ordinal for r in requests if r.id in wished and not r.withdrawn]

    def give_up_unless(self, landed: KeyId) -> None:
        """Forget the epoch under way if another one landed in its place."""
        if self.pending is not None and self.pending.key_id != landed:
            self.pending.seed.wipe()
            self.pending.key.wipe()
            self.pending = None

    def landed(self, pending: Pending, state: MeetingState) -> None:
        """Take note that our epoch is on the ledger: wishes met, old keys erased."""
        inside = {member.id for member in state.roster.values()}
        waiting = {r.id for r in state.requests.values() if not r.withdrawn}
        self.admit = [who for who in self.admit if who in waiting]
        self.remove &= inside
        if self.current is not None:
            self.current.seed.wipe()
        self.current = Current(pending.key_id, pending.context, pending.seed)
        self.pending = None
        self.ratchets = 0 if pending.fresh else self.ratchets + 1
        self.acks.clear()
        for who in [who for who in self.keks if who not in inside]:
            self.keks.pop(who).wipe()
        here = inside | {request.id for request in state.requests.values()}
        self.kems = {who: keys for who, keys in self.kems.items() if who in here}
        self.wrapped_ms = {w: at for w, at in self.wrapped_ms.items() if w in inside}

    def wrap_for(
        self,
        members: Iterable[StateMember],
        *,
        seat: Seat,
        tools: Tools,
        voice: Voice,
    ) -> list[Post]:
        """Return the current seed, wrapped for each of these members.

        A member with whom we share no pairwise key gets one first.  Afterwards the
        stepped keys have to be saved before the posts leave.
        """
        posts: list[Post] = []
        wraps: list[Wrap] = []
        assert self.current is not None
        for member in members:
            if member.id not in self.keks and member.id in self.kems:
                posts.append(
                    self._share_kek(member, seat=seat, tools=tools, voice=voice)
                )
            kek = self.keks.get(member.id)
            if kek is not None:
                place = WrapContext(
                    self.current.context.prev_epoch, self.current.key_id, member.slot
                )
                wraps.append(kek.wrap(self.current.seed, place))
        key_id = self.current.key_id
        for start in range(0, len(wraps), MAX_WRAPS):
            batch = tuple(wraps[start : start + MAX_WRAPS])
            data = encode_unsigned(WrapBatch(key_id=key_id, wraps=batch))
            posts.append(Post(None, data))
        return posts

    def _share_kek(
        self, member: StateMember, *, seat: Seat, tools: Tools, voice: Voice
    ) -> Post:
        assert self.current is not None
        context, kem = self.current.context, self.kems[member.id]
        pair = Pair(
            meeting=seat.meeting,
            leader=seat.signer.public,
            member=member.mvk,
            kek_id=tools.nonce(),
            generation=kem.generation,
        )
        kek = tools.secret()
        info = kek_info(
            pair,
            prev_epoch=context.prev_epoch,
            term=context.term,
            member_kem_key=kem.current,
        )
        sealed = tools.sealer.seal(kem.current, info=info, plaintext=kek.buffer)
        self.keks[member.id] = LeaderKek(pair, kek)
        body = KekMessage(
            kek_id=pair.kek_id,
            prev_epoch=context.prev_epoch,
            receiver=member.id,
            kem_key_hash=kem_key_hash(kem.current),
            sealed=sealed,
        )
        return Post(kid_of(member.mvk), voice.sign(body, context.term).data)

    def renew_kek(self, member: EntryId) -> None:
        """Forget the pairwise key of a member that says it has none."""
        kek = self.keks.pop(member, None)
        if kek is not None:
            kek.wipe()

    def may_wrap_again(self, member: EntryId, now_ms: int) -> bool:
        """Return whether this member's last repeated wrap is a second ago; note it."""
        if now_ms - self.wrapped_ms.get(member, -WRAP_PAUSE_MS) < WRAP_PAUSE_MS:
            return False
        self.wrapped_ms[member] = now_ms
        return True

    def wipe(self) -> None:
        """Erase every secret of the leader's part."""
        for part in (self.pending, self.current):
            if part is not None:
                part.seed.wipe()
        if self.pending is not None:
            self.pending.key.wipe()
        if self.link_secret is not None:
            self.link_secret.wipe()
        for kek in self.keks.values():
            kek.wipe()


def _source(
    context: EpochContext, keyring: Keyring, tools: Tools, *, fresh: bool
) -> EpochSecret:
    if fresh:
        return Drawn(tools.secret)
    return Stepped(keyring.find(KeyId(context.prev_epoch)).key)


def _sign(state: MeetingState, seat: Seat, body: Epoch) -> Entry:
    seq, prev = next_header(state, seat.signer.public, EntryType.EPOCH)
    return sign_entry(seat.signer, body, place=seat.meeting, seq=seq, prev=prev)


def check_room(state: MeetingState, wished: int) -> None:
    """Raise UsageError(FULL) if the policy's limit leaves no place for so many."""
    if len(state.roster) + wished > state.policy.limits.members:
        raise UsageError(Code.FULL, "the meeting is full")
