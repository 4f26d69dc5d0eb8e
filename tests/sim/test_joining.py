# SPDX-License-Identifier: Apache-2.0
"""Who asks to come in has to prove who it is: to the leader, then to everybody."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from tests.sim.people import TOOLS, accounts
from tests.sim.scenario import let_in
from tests.sim.world import World

from incamera.errors import Code, PeerError
from incamera.protocol import effects as fx
from incamera.protocol.arrival import ask_to_join, gate_signer
from incamera.protocol.bodies import MemberKind, Request
from incamera.protocol.box import RequestBox
from incamera.protocol.entry import Entry, sign_request
from incamera.protocol.ids import DeviceId, EntryId, Head, MeetingId, UserId, UserTag
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import MemberKeys
from incamera.protocol.schedule import identity_commitment
from incamera.protocol.sealing import seal_join_secret
from incamera.protocol.seat import Account, OwnKems, Seat
from incamera.protocol.statement import (
    IdentityOpening,
    Purpose,
    Statement,
    parse_statement,
    sign_statement,
)

OTHER = bytes([7]) * 32


@dataclass
class Asker:
    """A joiner in parts, so that each part can be spoilt before it is sent."""

    world: World
    account: Account
    seat: Seat
    entry: Entry

    @property
    def request(self) -> Request:
        assert isinstance(self.entry.body, Request)
        return self.entry.body

    @property
    def said(self) -> Statement:
        return parse_statement(self.seat.opening.statement).body

    def sign(self, body: Request) -> None:
        """Sign the request anew, gate and all: what a joiner that lies does."""
        link = gate_signer(self.seat.link_secret, self.world.ledger_id)
        self.entry = sign_request(
            self.seat.signer,
            link,
            replace(body, cosigns=None),
            place=self.seat.meeting,
            seq=0,
            prev=None,
        )
        self.seat.entry = EntryId(self.entry.id)

    def swear(self, statement: Statement) -> None:
        """Sign another statement, and commit the request to it."""
        signed = sign_statement(self.account.signer, statement)
        self.seat.opening = replace(self.seat.opening, statement=signed)
        identity = identity_commitment(self.seat.opening.nonce, signed)
        self.sign(replace(self.request, identity=identity))

    def box(self) -> RequestBox:
        leader = self.world.nodes["leader"].seat
        return seal_join_secret(
            self.seat,
            TOOLS.sealer,
            leader=leader.signer.public,
            leader_kem_key=leader.kems.current.public,
        )

    def ask(self) -> str:
        """Ask; return how far it came: "asked", or the code that stopped it."""
        world, leader = self.world, self.world.nodes["leader"]
        refused = len(world.refused)
        world.append(self.entry.data)
        if len(world.refused) > refused:
            return world.refused[-1].code.value
        world.wake(leader)
        assert leader.member is not None
        message = encode_unsigned(self.box())
        try:
            leader.do(lambda m: m.got_message(message, world.now_ms))
        except PeerError as error:
            return error.code.value
        told = [e for e in leader.told if isinstance(e, fx.Asked | fx.AskRefused)][-1]
        return "asked" if isinstance(told, fx.Asked) else told.code.value


def asker(world: World, account: Account | None = None) -> Asker:
    account = account or accounts(["dora"], world.now_ms)[0]
    seat, entry = ask_to_join(account, TOOLS, invitation=world.asking().invitation)
    return Asker(world, account, seat, entry)


def alter_entry(name: str, value: object) -> Callable[[Asker], None]:
    """A field of the request altered on its way: the signature does not cover it."""

    def alter(who: Asker) -> None:
        changed = replace(who.request, **{name: value})  # type: ignore[arg-type]  # by name
        forged = asker(who.world, who.account)
        forged.sign(changed)
        data = replace(who.entry.signed, payload=forged.entry.signed.payload)
        who.entry = replace(who.entry, data=data.encode())

    return alter


def lie(name: str, value: object) -> Callable[[Asker], None]:
    """A field of the request that the joiner itself signs wrongly."""

    def alter(who: Asker) -> None:
        who.sign(replace(who.request, **{name: value}))  # type: ignore[arg-type]  # by name

    return alter


def swear(name: str, value: object) -> Callable[[Asker], None]:
    """A field of the statement that the joiner's device signs wrongly."""
    return lambda who: who.swear(replace(who.said, **{name: value}))  # type: ignore[arg-type]  # by name


def open_with(**parts: object) -> Callable[[Asker], None]:
    """Another opening in the join secret than the one committed to."""

    def alter(who: Asker) -> None:
        opening: IdentityOpening = replace(who.seat.opening, **parts)  # type: ignore[arg-type]  # by name
        who.seat.opening = opening

    return alter


def other_kems(who: Asker) -> None:
    who.seat.kems = OwnKems.fresh(TOOLS.sealer)


def other_spare(who: Asker) -> None:
    fresh = OwnKems.fresh(TOOLS.sealer)
    who.seat.kems = OwnKems(who.seat.kems.current, fresh.spare)


def other_topic(who: Asker) -> None:
    (other,) = accounts(["eve"], who.world.now_ms)
    who.seat.opening = replace(who.seat.opening, topic=other.topic)


def other_info(who: Asker) -> None:
    (other,) = accounts(["eve"], who.world.now_ms)
    who.seat.opening = replace(who.seat.opening, info=other.info)


def no_gate(who: Asker) -> None:
    who.entry = sign_request(
        who.seat.signer,
        None,
        replace(who.request, cosigns=None),
        place=who.seat.meeting,
        seq=0,
        prev=None,
    )


FLIPPED: dict[str, Callable[[Asker], None]] = {
    "entry: tag": alter_entry("tag", UserTag(OTHER[:16])),
    "entry: kem hash": alter_entry("kem_hash", OTHER),
    "entry: nonce": alter_entry("nonce", OTHER),
    "entry: kind": alter_entry("kind", MemberKind.BOT),
    "entry: code": alter_entry("code", OTHER),
    "entry: identity": alter_entry("identity", OTHER),
    "signed: tag": lie("tag", UserTag(OTHER[:16])),
    "signed: kem hash": lie("kem_hash", OTHER),
    "signed: identity": lie("identity", OTHER),
    "no gate": no_gate,
    "statement: purpose": swear("purpose", Purpose.PUBLISH),
    "statement: subject": swear("subject", MeetingId(OTHER)),
    "statement: tag": swear("tag", UserTag(OTHER[:16])),
    "statement: kem hash": swear("kem_hash", OTHER),
    "statement: user": swear("user_id", UserId(OTHER)),
    "statement: device": swear("device_id", DeviceId(OTHER[:16])),
    "opening: nonce": open_with(nonce=OTHER),
    "opening: statement of another": lambda who: open_with(
        statement=asker(who.world).seat.opening.statement
    )(who),
    "opening: topic of another": other_topic,
    "opening: name of another": other_info,
    "join secret: KEM keys": other_kems,
    "join secret: spare": other_spare,
}


@pytest.mark.acceptance("Z1-03")
@pytest.mark.parametrize("name", FLIPPED)
def test_a_join_with_any_field_flipped_fails(meeting: World, name: str) -> None:
    who = asker(meeting)
    FLIPPED[name](who)
    before = meeting.nodes["leader"].disk
    assert who.ask() != "asked"
    # With that request, nobody can be let in.
    leader = meeting.nodes["leader"]
    assert leader.member is not None
    with pytest.raises(Exception, match="request"):
        leader.member.admit(who.seat.entry, meeting.now_ms)
    assert before


@pytest.mark.acceptance("Z1-03")
def test_a_join_with_the_key_of_another_fails(meeting: World) -> None:
    who, other = asker(meeting), asker(meeting)
    who.swear(replace(who.said, mvk=other.seat.signer.public))
    assert who.ask() == Code.BAD_STATEMENT.value


@pytest.mark.acceptance("Z1-03")
def test_a_join_with_another_head_fails(meeting: World) -> None:
    who = asker(meeting)
    who.swear(replace(who.said, head=replace(who.said.head, head=Head(OTHER))))
    assert who.ask() == Code.BAD_PROOF.value


def test_a_join_with_any_field_flipped_fails_control(meeting: World) -> None:
    who = asker(meeting)
    who.swear(who.said)  # signed anew, with nothing flipped
    assert who.ask() == "asked"


@pytest.mark.acceptance("Z1-03")
def test_every_meeting_has_keys_of_its_own(meeting: World) -> None:
    account = accounts(["dora"], meeting.now_ms)[0]
    first, second = asker(meeting, account), asker(meeting, account)
    assert first.seat.signer.public != second.seat.signer.public
    assert first.request.kem_hash != second.request.kem_hash
    assert first.request.tag == second.request.tag


# ----------------------------------------------------------------- who it claims to be


def test_an_identity_proven_long_ago_is_declined(meeting: World) -> None:
    (account,) = accounts(["dora"], meeting.now_ms - 601_000)
    assert asker(meeting, account).ask() == Code.STALE_IDENTITY.value


def test_somebody_who_is_not_registered_is_declined(meeting: World) -> None:
    (account,) = accounts(["dora"], meeting.now_ms, proven=False)
    assert asker(meeting, account).ask() == Code.UNREGISTERED.value


def test_one_user_with_two_tags_is_declined(meeting: World) -> None:
    (account,) = accounts(["dora"], meeting.now_ms)
    assert asker(meeting, account).ask() == "asked"
    dora = meeting.asker("dora", account)
    let_in(meeting, "dora")
    double = replace(account, user_secret=TOOLS.secret())
    assert asker(meeting, double).ask() == Code.TAG_CONFLICT.value
    assert dora.alive


def test_who_is_declined_hears_it_and_is_not_checked_again(meeting: World) -> None:
    (account,) = accounts(["dora"], meeting.now_ms - 601_000)
    dora, leader = meeting.asker("dora", account), meeting.nodes["leader"]
    meeting.until(lambda: bool(dora.heard(fx.Declined)))
    box = dora.room.request_box
    assert box is not None
    before = len(leader.heard(fx.AskRefused))
    leader.do(lambda m: m.got_message(box, meeting.now_ms))
    assert len(leader.heard(fx.AskRefused)) == before
    assert leader.heard(fx.AskRefused) == [fx.AskRefused(dora.id, Code.STALE_IDENTITY)]


def test_members_mark_whom_a_careless_leader_lets_in(meeting: World) -> None:
    (account,) = accounts(["dora"], meeting.now_ms - 601_000)
    dora = meeting.asker("dora", account)
    leader = meeting.nodes["leader"].room
    meeting.until(lambda: bool(dora.heard(fx.Declined)))
    assert leader.leading is not None
    keys = dora.seat.kems
    leader.leading.kems[dora.id] = MemberKeys(
        current=keys.current.public, spare=keys.spare.public, generation=0
    )
    leader.leading.admit.append(dora.id)
    bob = meeting.nodes["bob"].id
    meeting.nodes["leader"].do(lambda m: m.remove(bob, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol", "dora"))
    meeting.pass_ms(5000)
    failed = fx.CheckFailed(dora.id, Code.STALE_IDENTITY)
    assert failed in meeting.nodes["carol"].told
