# SPDX-License-Identifier: Apache-2.0
"""Strangers may write what they like; it costs the members nothing."""

import time
from dataclasses import replace

import pytest
from tests.sim.attack import refused
from tests.sim.people import TOOLS, accounts
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol.arrival import ask_to_join
from incamera.protocol.bodies import Request
from incamera.protocol.box import RequestBox
from incamera.protocol.entry import sign_request
from incamera.protocol.ids import EntryId
from incamera.protocol.leading import MAX_BOXES
from incamera.protocol.message import encode_unsigned

MANY = 10_000
SECONDS = 4.0
"""CPU for all of them: 0.4 ms each, on a machine slower than we have seen."""


def junk(number: int) -> bytes:
    box = RequestBox(
        request=EntryId(number.to_bytes(32, "big")),
        leader_key_hash=bytes(32),
        sealed=bytes(1392),
    )
    return encode_unsigned(box)


def test_ten_thousand_request_boxes_are_held_in_bounds(meeting: World) -> None:
    leader = meeting.nodes["leader"]
    boxes = [junk(number) for number in range(MANY)]
    assert leader.member is not None
    before, started = bytes(leader.member.save()), time.process_time()
    for box in boxes:
        leader.member.got_message(box, meeting.now_ms)
    assert time.process_time() - started < SECONDS
    assert bytes(leader.member.save()) == before
    assert leader.room.leading is not None
    assert len(leader.room.leading.boxes) == MAX_BOXES


def test_members_who_do_not_lead_take_no_request_boxes(meeting: World) -> None:
    assert refused(meeting, "bob", junk(1)) is Code.NOT_ALLOWED


def ungated(world: World, count: int) -> list[bytes]:
    """Requests of one stranger without the link, each with another nonce."""
    (account,) = accounts(["eve"], world.now_ms)
    invitation = world.asking().invitation
    seat, entry = ask_to_join(account, TOOLS, invitation=invitation)
    body = entry.body
    assert isinstance(body, Request)
    bodies = [
        replace(body, cosigns=None, nonce=number.to_bytes(32, "big"))
        for number in range(count)
    ]
    return [
        sign_request(seat.signer, None, each, place=seat.meeting, seq=0, prev=None).data
        for each in bodies
    ]


def test_requests_without_the_gate_never_reach_a_member(meeting: World) -> None:
    meeting.pass_ms(10_000)
    requests, points = ungated(meeting, MANY), meeting.nodes["bob"].points
    count, started = len(meeting.records), time.process_time()
    for request in requests:
        meeting.append(request)
    assert time.process_time() - started < 2 * SECONDS
    assert {error.code for error in meeting.refused} == {Code.NO_GATE}
    assert len(meeting.refused) == MANY
    assert len(meeting.records) == count
    meeting.pass_ms(1000)
    assert meeting.nodes["bob"].points == points


@pytest.mark.parametrize("strangers", [0, 1000])
def test_who_has_the_link_comes_in_all_the_same(meeting: World, strangers: int) -> None:
    leader = meeting.nodes["leader"]
    for number in range(strangers):
        meeting.give(leader, lambda m, n=number: m.got_message(junk(n), 0))  # type: ignore[misc]  # bound now
    dora = meeting.asker("dora")
    meeting.until(lambda: dora.id in meeting.asked())
