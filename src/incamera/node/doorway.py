# SPDX-License-Identifier: Apache-2.0
"""What a joiner finds out before it asks (spec/meeting.md, sections 5 and 9).

The link names gateway, ledger and meeting and carries the gate's secret.  Nothing of
what the gateway says is believed: the ledger id fixes its key, the meeting id fixes
publish, publish commits to the leader's identity, and the leader's card opens it.
"""

import hmac
from dataclasses import dataclass

from incamera.errors import Code, PeerError
from incamera.ledger.remote import RemoteLedger
from incamera.node.gateway_client import GatewayClient
from incamera.protocol.arrival import Invitation, gate_signer
from incamera.protocol.bodies import Publish
from incamera.protocol.box import GATE_BOX, open_gate
from incamera.protocol.encoding import MAX_MESSAGE, parse
from incamera.protocol.entry import parse_entry
from incamera.protocol.identity import Expected, Identified, verify_identity
from incamera.protocol.ids import TopicId
from incamera.protocol.link import Link
from incamera.protocol.meeting_state import MeetingState, Status
from incamera.protocol.member import Asking
from incamera.protocol.policy import Doors
from incamera.protocol.proof import Record
from incamera.protocol.schedule import info_commitment, kem_hash, link_root
from incamera.protocol.statement import (
    GateContent,
    Purpose,
    parse_gate_content,
    parse_opening,
)
from incamera.protocol.topic import TopicState


@dataclass(frozen=True, slots=True)
class Doorway:
    """A verified meeting: whom we would ask, who leads it, and what it is about."""

    asking: Asking
    leader: Identified
    title: str


async def look(link: Link, ledger: RemoteLedger, client: GatewayClient) -> Doorway:
    """Return what stands behind a link, verified.

    Raises PeerError: UNKNOWN_TOPIC when there is no such meeting, ENDED, DOORS_CLOSED,
    BAD_LINK when the link's secret does not fit the gate any more, BAD_STATEMENT and
    others when the leader's identity does not hold; LedgerError as the ledger does.
    """
    topic = TopicId(link.meeting)
    records = await ledger.read(topic)
    if not records:
        raise PeerError(Code.UNKNOWN_TOPIC, "there is no such meeting")
    publish = parse_entry(records[0].entry).body
    if not isinstance(publish, Publish):
        raise PeerError(Code.UNKNOWN_TOPIC, "that is not a meeting")
    _check_open(await ledger.state(topic))
    content = await _card(link, client)
    if kem_hash(content.current, content.spare) != publish.kem_hash:
        raise PeerError(Code.BAD_STATEMENT, "the leader's card has other keys")
    leader = _identify(publish, records[0], content)
    if link.record is not None and link.record.leader != leader.user_id:
        raise PeerError(Code.BAD_STATEMENT, "another leader than the link names")
    invitation = Invitation(
        meeting=link.meeting,
        ledger_id=link.ledger_id,
        publish=publish,
        secret=link.secret.copy(),
    )
    asking = Asking(invitation, content.current)
    return Doorway(asking, leader, _title(publish, content))


def _check_open(state: TopicState | None) -> None:
    """Say so now, rather than that the link is wrong, which it is by then as well."""
    assert isinstance(state, MeetingState)  # its first entry is a publish
    if state.status is Status.ENDED:
        raise PeerError(Code.ENDED, "that meeting has ended")
    if state.policy.doors is Doors.CLOSED:
        raise PeerError(Code.DOORS_CLOSED, "the doors of that meeting are closed")


async def _card(link: Link, client: GatewayClient) -> GateContent:
    data = await client.blob_get(link.meeting, "leader")
    if data is None:
        raise PeerError(Code.UNREGISTERED, "the leader's card is not at the gateway")
    box = GATE_BOX.decode(parse(data, MAX_MESSAGE))
    gate = gate_signer(link.secret, link.ledger_id).public
    if box.meeting != link.meeting or box.gate != gate:
        raise PeerError(Code.BAD_LINK, "this link is not valid any more")
    root = link_root(link.secret)
    try:
        return parse_gate_content(open_gate(root, box))
    finally:
        root.wipe()


def _identify(publish: Publish, record: Record, content: GateContent) -> Identified:
    expected = Expected(
        purpose=Purpose.PUBLISH,
        subject=publish.nonce,
        mvk=publish.mvk,
        kem_hash=publish.kem_hash,
        tag=publish.tag,
        identity=publish.identity,
    )
    opening = parse_opening(content.opening)
    return verify_identity(opening, expected=expected, ordered_ms=record.time_ms)


def _title(publish: Publish, content: GateContent) -> str:
    """The meeting's info: in clear, or opened from its commitment."""
    if isinstance(publish.info, str):
        return publish.info
    if content.info is None:
        return ""
    said = info_commitment(content.info.nonce, content.info.text.encode())
    if not hmac.compare_digest(said, publish.info):
        raise PeerError(Code.BAD_OPENING, "the meeting's info is another one")
    return content.info.text
