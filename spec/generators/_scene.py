# SPDX-License-Identifier: Apache-2.0
"""People with fixed keys, and a meeting whose entries are made on its newest state."""

from collections.abc import Collection
from dataclasses import replace
from hashlib import sha256
from typing import Any

from incamera.errors import PeerError
from incamera.protocol.bodies import (
    Dismiss,
    Epoch,
    EpochKind,
    Leave,
    MemberKind,
    PolicyChange,
    Publish,
    Request,
)
from incamera.protocol.entry import (
    Entry,
    EntryType,
    sign_entry,
    sign_request,
)
from incamera.protocol.fields import Gateway
from incamera.protocol.ids import LedgerId, UserTag
from incamera.protocol.index_set import index_set
from incamera.protocol.meeting_state import MeetingState, next_header
from incamera.protocol.policy import (
    Doors,
    Follow,
    Identities,
    Limits,
    Policy,
    Succession,
)
from incamera.protocol.roster import next_roster, roster_root
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.topic import RULES, Context, apply

LEDGER = LedgerId(sha256(b"ledger of the meeting vectors").digest())
START_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
LIMITS = Limits(
    members=16,
    unreachable_s=60,
    identity_stale_s=600,
    leaderless_s=600,
    before_host_s=300,
)
POLICY = Policy(
    doors=Doors.OPEN,
    strict=False,
    verify_first=False,
    identities=Identities.EVERYONE,
    succession=Succession.TIME_ORDER,
    grants=(),
    limits=LIMITS,
    minimum_strength=1,
    before_host=False,
    follow=Follow.FINAL,
)


def digest(name: str) -> bytes:
    """Return 32 bytes that stand for whatever `name` says."""
    return sha256(name.encode()).digest()


def signer_of(name: str) -> Ed25519Signer:
    """Return the fixed key of somebody."""
    return Ed25519Signer(Secret(bytearray(digest(f"key of {name}"))))


class Scene:
    """A meeting whose entries are made on the newest state and landed one by one."""

    def __init__(self) -> None:
        self.state: MeetingState | None = None
        self.history: list[tuple[int, Entry]] = []
        self.time_ms = START_MS
        self.gate = "gate"

    @property
    def now(self) -> MeetingState:
        """The newest state of a published meeting."""
        assert self.state is not None
        return self.state

    def context(self) -> Context:
        """Where and when the next entry is judged."""
        return Context(LEDGER, RULES, len(self.history), self.time_ms)

    def try_out(self, entry: Entry) -> MeetingState:
        """Return what `entry` would make of the state, or raise."""
        after = apply(self.state, entry, self.context())
        assert isinstance(after, MeetingState)
        return after

    def land(self, *entries: Entry) -> "Scene":
        """Apply entries, a second apart."""
        for entry in entries:
            self.state = self.try_out(entry)
            self.history.append((self.time_ms, entry))
            self.time_ms += 1000
        return self

    def header(self, who: str, kind: EntryType, **changes: Any) -> dict[str, Any]:
        """Return place, seq and prev of somebody's next entry."""
        seq, prev = next_header(self.now, signer_of(who).public, kind)
        return {"place": self.now.meeting_id, "seq": seq, "prev": prev, **changes}

    def publish(self, who: str = "ann", **changes: Any) -> Entry:
        """Return a publish; `changes` are fields of its body."""
        header: dict[str, Any] = {"place": LEDGER, "seq": 0, "prev": None}
        header |= changes.pop("header", {})
        return sign_entry(signer_of(who), publish_body(who, **changes), **header)

    def request(self, who: str, gate: str | None = "", **changes: Any) -> Entry:
        """Return a request of somebody, by default through the scene's gate."""
        header = self.header(who, EntryType.REQUEST, **changes.pop("header", {}))
        by = None if gate is None else signer_of(gate or self.gate)
        signer = signer_of(changes.pop("by", who))
        return sign_request(signer, by, request_body(who, **changes), **header)

    def epoch(
        self, who: str = "ann", admit: Collection[int] = (), **changes: Any
    ) -> Entry:
        """Return an epoch on the last one, fresh where it must be."""
        header = self.header(who, EntryType.EPOCH, **changes.pop("header", {}))
        return sign_entry(signer_of(who), self.epoch_body(admit, **changes), **header)

    def epoch_body(self, admit: Collection[int] = (), **changes: Any) -> Epoch:
        """Return the body of an epoch; `left`, `lost`, `removed` are slots."""
        drops = {how: changes.pop(how, ()) for how in ("left", "lost", "removed")}
        dropped = {slot for slots in drops.values() for slot in slots}
        fresh = dropped or self.now.fresh_needed or changes.get("supersedes")
        fields: dict[str, Any] = {
            "term": self.now.term,
            "number": self.now.epoch + 1,
            "prev_epoch": self.now.last,
            "kind": EpochKind.FRESH if fresh else EpochKind.RATCHET,
            "admitted": index_set(admit),
            **{how: index_set(slots) for how, slots in drops.items()},
            "commitment": digest(f"commitment {self.now.epoch + 1}"),
            "refreshes": (),
        }
        fields |= changes
        if "roster_root" not in fields:
            fields["roster_root"] = self._root(admit, dropped)
        return Epoch(**fields)

    def _root(self, admit: Collection[int], dropped: Collection[int]) -> bytes:
        try:
            return roster_root(next_roster(self.now, admitted=admit, dropped=dropped))
        except PeerError:  # the entry is meant to be illegal
            return bytes(32)

    def leave(self, who: str, **changes: Any) -> Entry:
        """Return a leave or withdrawal."""
        header = self.header(who, EntryType.LEAVE, **changes.pop("header", {}))
        signer = signer_of(changes.pop("by", who))
        return sign_entry(signer, Leave(**{"reason": 0, **changes}), **header)

    def policy(self, who: str = "ann", **changes: Any) -> Entry:
        """Return a policy change; fields of the policy itself go in `policy`."""
        header = self.header(who, EntryType.POLICY, **changes.pop("header", {}))
        policy = replace(self.now.policy, **changes.pop("policy", {}))
        fields = {"term": self.now.term, "version": self.now.policy_version + 1}
        body = PolicyChange(**{**fields, "policy": policy, **changes})
        return sign_entry(signer_of(who), body, **header)

    def dismiss(self, who: str = "ann", **changes: Any) -> Entry:
        """Return a dismissal."""
        header = self.header(who, EntryType.DISMISS, **changes.pop("header", {}))
        body = Dismiss(**{"term": self.now.term, "reason": 0, **changes})
        return sign_entry(signer_of(who), body, **header)

    def open(self, **changes: Any) -> "Scene":
        """Publish."""
        return self.land(self.publish(**changes))

    def seat(self, *names: str) -> "Scene":
        """Let people ask and admit them in one epoch."""
        first = self.now.next_ordinal
        self.land(*[self.request(name) for name in names])
        return self.land(self.epoch(admit=range(first, self.now.next_ordinal)))


def publish_body(who: str = "ann", **changes: Any) -> Publish:
    """Return the body of a publish."""
    fields: dict[str, Any] = {
        "rules": RULES,
        "nonce": digest("publish nonce"),
        "mvk": signer_of(who).public,
        "gate": signer_of("gate").public,
        "info": digest("info"),
        "policy": POLICY,
        "gateways": (Gateway(host="meet.example:443"),),
        "fallbacks": (),
        "opens_ms": START_MS,
        "ends_ms": START_MS + HOUR_MS,
        **_person(who),
    }
    return Publish(**{**fields, **changes})


def request_body(who: str, **changes: Any) -> Request:
    """Return the body of a request, without counter-signatures."""
    fields: dict[str, Any] = {
        "mvk": signer_of(who).public,
        "nonce": digest(f"request nonce of {who}"),
        **_person(who),
    }
    return Request(**{**fields, **changes})


def _person(who: str) -> dict[str, Any]:
    return {
        "kem_hash": digest(f"KEM keys of {who}"),
        "tag": UserTag(digest(f"tag of {who}")[:16]),
        "kind": MemberKind.PERSON,
        "code": digest(f"code of {who}"),
        "identity": digest(f"identity of {who}"),
    }
