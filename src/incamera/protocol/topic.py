# SPDX-License-Identifier: Apache-2.0
"""May this entry follow that topic, and what comes of it (spec/ledger.md, section 2)?

`apply` is the one judge: every engine and every client reaches the same verdict from
the state, the entry and the ledger's context alone.
"""

from hashlib import sha256
from typing import Final, TypeAlias

from incamera.protocol import labels
from incamera.protocol.bodies import Parent, Publish, UserRoot
from incamera.protocol.context import RULES, Context
from incamera.protocol.encoding import encode
from incamera.protocol.entry import Entry
from incamera.protocol.meeting import apply_meeting, open_meeting
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.state_encoding import meeting_value, user_value
from incamera.protocol.topic_kind import TopicKind, Topics
from incamera.protocol.user import UserState, apply_user, open_user

__all__ = ["RULES", "Context", "TopicState", "apply", "encode_state", "state_hash"]

TopicState: TypeAlias = UserState | MeetingState

USER: Final = TopicKind(
    opening=UserRoot,
    state=UserState,
    open=open_user,
    apply=lambda state, entry, _: apply_user(state, entry),
    value=user_value,
)
MEETING: Final = TopicKind(
    opening=Publish,
    state=MeetingState,
    open=open_meeting,
    apply=apply_meeting,
    value=meeting_value,
    parent=lambda body: body.parent,
)
TOPICS: Final = Topics[TopicState]((USER, MEETING))
"""The kinds of rules version 1; later: organisation, witness, parameters."""


def apply(state: TopicState | None, entry: Entry, context: Context) -> TopicState:
    """Return the state after `entry`; `state` is None before a topic's first entry.

    Verifies place, order, legality and every signature.  Raises PeerError with the
    reason; the state is unchanged then, as always.  The codes are those of
    spec/errors.md, groups "signatures", "order" and "legality".
    """
    return TOPICS.apply(state, entry, context)


def parent_of(entry: Entry) -> Parent | None:
    """Return the topic that a first entry names as its parent, unchecked."""
    return TOPICS.parent_of(entry)


def encode_state(state: TopicState) -> bytes:
    """Return the canonical encoding of a state (spec/incamera.cddl, section 8b)."""
    return encode(TOPICS.encode(state))


def state_hash(state: TopicState) -> bytes:
    """Return SHA-256 of the label and the canonical state."""
    return sha256(labels.STATE + encode_state(state)).digest()
