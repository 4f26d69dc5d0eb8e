# SPDX-License-Identifier: Apache-2.0
"""How a state is written, to be hashed (spec/incamera.cddl, section 8b).

Frozen histories name the hash of the state after each entry, so that two clients find
the first entry on which they disagree.  The form is only ever written, never parsed.
"""

from typing import Final

from incamera.protocol.bodies import SLOTS, USER_INFO, Device, UserPolicy
from incamera.protocol.encoding import Value
from incamera.protocol.fields import FALLBACKS, GATEWAYS
from incamera.protocol.index_set import index_set
from incamera.protocol.meeting_state import (
    Author,
    Former,
    MeetingState,
    OpenRequest,
    Standing,
)
from incamera.protocol.policy import POLICY
from incamera.protocol.roster import StateMember
from incamera.protocol.schema import MapOf
from incamera.protocol.user import DeviceRecord, UserState

USER_TOPIC: Final = 1
MEETING_TOPIC: Final = 32
_DEVICE: Final = MapOf(Device)
_USER_POLICY: Final = MapOf(UserPolicy)


def user_value(state: UserState) -> Value:
    """Return the canonical value of a user's state."""
    return {
        0: USER_TOPIC,
        1: state.rules,
        2: state.user_id,
        3: int(state.status),
        4: state.count,
        5: state.last,
        6: [_device(record) for record in state.devices],
        7: USER_INFO.encode(state.info),
        8: _USER_POLICY.encode(state.policy),
        9: GATEWAYS.encode(state.gateways),
        10: state.user_secret,
        11: None,  # start of a recovery, of later rules
        12: state.time_ms,
    }


def meeting_value(state: MeetingState) -> Value:
    """Return the canonical value of a meeting's state."""
    return {
        0: MEETING_TOPIC,
        1: state.rules,
        2: state.meeting_id,
        3: int(state.status),
        4: state.term,
        5: state.leader,
        6: state.last,
        7: state.epoch,
        8: state.fresh_needed,
        9: SLOTS.encode(index_set(state.must_drop)),
        10: [_member(state.roster[slot]) for slot in sorted(state.roster)],
        11: SLOTS.encode(index_set(state.leaving)),
        12: [_former(state.former[order]) for order in sorted(state.former)],
        13: [_request(state.requests[ordinal]) for ordinal in sorted(state.requests)],
        14: state.next_ordinal,
        15: state.policy_version,
        16: POLICY.encode(state.policy),
        17: state.gate,
        18: [],  # votes, of later rules
        19: [[epoch, number] for epoch, number in state.lineage],
        20: state.opens_ms,
        21: state.ends_ms,
        22: state.time_ms,
        23: GATEWAYS.encode(state.gateways),
        24: FALLBACKS.encode(state.fallbacks),
        25: state.members_limit,
        26: [_author(state.authors[kid]) for kid in sorted(state.authors)],
    }


def _device(record: DeviceRecord) -> Value:
    return [_DEVICE.encode(record.device), record.added, record.revoked]


def _member(member: StateMember) -> Value:
    return [
        member.slot,
        member.id,
        member.mvk,
        member.tag,
        int(member.kind),
        member.kem_hash,
        member.code,
        member.admitted,
        member.order,
    ]


def _former(former: Former) -> Value:
    how = former.how - Standing.LEFT + 1  # left 1, lost 2, removed 3
    return [_member(former.member), former.dropped, how]


def _request(request: OpenRequest) -> Value:
    return [
        request.ordinal,
        request.id,
        request.mvk,
        request.tag,
        request.kem_hash,
        int(request.kind),
        request.code,
        request.withdrawn,
    ]


def _author(author: Author) -> Value:
    return [
        author.mvk,
        int(author.standing),
        author.index,
        author.act.seq,
        author.act.prev,
        author.lead.seq,
        author.lead.prev,
    ]
