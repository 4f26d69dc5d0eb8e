# SPDX-License-Identifier: Apache-2.0
"""May this entry follow that topic, and what comes of it (spec/ledger.md, section 2)?

`apply` is the one judge: every engine and every client reaches the same verdict from
the state, the entry and the ledger's context alone.
"""

from typing import TypeAlias

from incamera.protocol.context import RULES, Context
from incamera.protocol.entry import Entry
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.user import UserState

__all__ = ["RULES", "Context", "TopicState", "apply", "encode_state", "state_hash"]

TopicState: TypeAlias = UserState | MeetingState


def apply(state: TopicState | None, entry: Entry, context: Context) -> TopicState:
    """Return the state after `entry`; `state` is None before a topic's first entry.

    Verifies place, order, legality and every signature.  Raises PeerError with the
    reason; the state is unchanged then, as always.
    """
    raise NotImplementedError


def encode_state(state: TopicState) -> bytes:
    """Return the canonical encoding of a state (spec/incamera.cddl, section 8b)."""
    raise NotImplementedError


def state_hash(state: TopicState) -> bytes:
    """Return SHA-256 of the label and the canonical state."""
    raise NotImplementedError
