# SPDX-License-Identifier: Apache-2.0
"""How a seat is taken."""

from hashlib import sha256

import pytest
from tests.sim.people import POLICY, START_MS, TOOLS, accounts, plan_of

from incamera.protocol import labels
from incamera.protocol.arrival import (
    Invitation,
    ask_to_join,
    code_head,
    gate_signer,
    is_public,
    publish_meeting,
)
from incamera.protocol.bodies import Publish, Request
from incamera.protocol.ids import LedgerId
from incamera.protocol.schedule import identity_commitment, info_commitment
from incamera.protocol.seat import Seat
from incamera.protocol.secret import Secret

LEDGER = LedgerId(b"L" * 32)


def published(*, public: bool) -> tuple[Seat, Publish]:
    (account,) = accounts(["ada"], START_MS)
    plan = plan_of(POLICY, START_MS, public=public)
    seat, entry = publish_meeting(account, TOOLS, plan=plan, ledger_id=LEDGER)
    assert isinstance(entry.body, Publish)
    assert bytes(seat.entry) == bytes(seat.meeting) == bytes(entry.id)
    return seat, entry.body


def asked(*, public: bool) -> tuple[Seat, Request, Publish]:
    (account,) = accounts(["bob"], START_MS)
    leader, publish = published(public=public)
    invitation = Invitation(
        meeting=leader.meeting,
        ledger_id=LEDGER,
        publish=publish,
        secret=leader.link_secret,
    )
    assert invitation.public is public
    seat, entry = ask_to_join(account, TOOLS, invitation=invitation)
    assert isinstance(entry.body, Request)
    entry.verify(entry.body.mvk)
    assert entry.body.cosigns is not None
    entry.verify_cosign(entry.body.cosigns[0], publish.gate)
    return seat, entry.body, publish


def test_a_private_meeting_says_neither_what_nor_who() -> None:
    seat, body = published(public=False)
    assert not is_public(body)
    assert seat.info is not None
    assert body.info == info_commitment(seat.info.nonce, seat.info.text.encode())
    opening = seat.opening
    assert body.identity == identity_commitment(opening.nonce, opening.statement)


def test_a_public_meeting_says_both() -> None:
    seat, body = published(public=True)
    assert is_public(body)
    assert seat.info is None
    assert body.info == "a meeting"
    assert body.identity == seat.opening.statement


@pytest.mark.parametrize("public", [True, False])
def test_a_request_shows_as_much_as_the_meeting(public: bool) -> None:
    seat, body, _ = asked(public=public)
    assert (body.identity == seat.opening.statement) is public
    assert body.kem_hash == seat.kems.hash
    assert body.mvk == seat.signer.public


def test_the_gate_follows_from_link_and_ledger() -> None:
    secret = Secret(bytearray(32))
    one = gate_signer(secret, LEDGER).public
    assert one == gate_signer(secret, LEDGER).public
    assert one != gate_signer(secret, LedgerId(b"M" * 32)).public
    assert secret == Secret(bytearray(32))


def test_the_code_is_the_end_of_a_chain_of_256() -> None:
    seed = Secret(bytearray(b"s" * 32))
    link = b"s" * 32
    for _ in range(256):
        link = sha256(labels.CODE + link).digest()
    assert code_head(seed) == link
