# SPDX-License-Identifier: Apache-2.0
"""May this entry follow that topic, and what comes of it (spec/ledger.md, section 2)?

`apply` is the one judge: every engine and every client reaches the same verdict from
the state, the entry and the ledger's context alone.
"""

from hashlib import sha256
from typing import TypeAlias

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.bodies import Publish, UserRoot
from incamera.protocol.context import RULES, Context
from incamera.protocol.encoding import encode
from incamera.protocol.entry import Entry
from incamera.protocol.meeting import apply_meeting, open_meeting
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.state_encoding import meeting_value, user_value
from incamera.protocol.user import UserState, apply_user, open_user

__all__ = ["RULES", "Context", "TopicState", "apply", "encode_state", "state_hash"]

TopicState: TypeAlias = UserState | MeetingState


def apply(state: TopicState | None, entry: Entry, context: Context) -> TopicState:
    """Return the state after `entry`; `state` is None before a topic's first entry.

    Verifies place, order, legality and every signature.  Raises PeerError with the
    reason; the state is unchanged then, as always.  The codes are those of
    spec/errors.md, groups "signatures", "order" and "legality".
    """
    if context.rules != RULES:
        raise PeerError(Code.UNKNOWN_RULES, f"rules version {context.rules}")
    if isinstance(state, MeetingState):
        return apply_meeting(state, entry, context)
    if isinstance(state, UserState):
        return apply_user(state, entry)
    return _open(entry, context)


def _open(entry: Entry, context: Context) -> TopicState:
    header, body = entry.header, entry.body
    if not isinstance(body, Publish | UserRoot):
        raise PeerError(Code.UNKNOWN_TOPIC, "opens no topic, and there is none")
    if header.place != context.ledger_id:
        raise PeerError(Code.WRONG_PLACE, "for another ledger")
    if (header.seq, header.prev) != (0, None):
        raise PeerError(Code.OUT_OF_SEQUENCE, "not a first entry")
    if body.rules != RULES:
        raise PeerError(Code.UNKNOWN_RULES, f"rules version {body.rules}")
    if isinstance(body, UserRoot):
        return open_user(entry, body, context)
    return open_meeting(entry, body, context)


def encode_state(state: TopicState) -> bytes:
    """Return the canonical encoding of a state (spec/incamera.cddl, section 8b)."""
    if isinstance(state, UserState):
        return encode(user_value(state))
    return encode(meeting_value(state))


def state_hash(state: TopicState) -> bytes:
    """Return SHA-256 of the label and the canonical state."""
    return sha256(labels.STATE + encode_state(state)).digest()
