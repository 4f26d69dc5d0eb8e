# SPDX-License-Identifier: Apache-2.0
"""The schema of spec/incamera.cddl and the code say the same (spec/encoding.md, 3)."""

import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cbor2
import pytest
from cddl_verifier import Validator  # type: ignore[import-untyped]  # has no stubs

from incamera.errors import Code, PeerError
from incamera.protocol import message_bodies as say
from incamera.protocol.bodies import (
    ClearInfo,
    Device,
    DeviceKind,
    Dismiss,
    Epoch,
    EpochKind,
    Leave,
    MemberKind,
    PolicyChange,
    Publish,
    Request,
    UserPolicy,
    UserRoot,
)
from incamera.protocol.context import RULES, Context
from incamera.protocol.entry import Entry, parse_entry, sign_entry, sign_request
from incamera.protocol.fields import CosignRole, Gateway
from incamera.protocol.ids import EntryId, KeyId, LedgerId, MeetingId, UserTag
from incamera.protocol.index_set import index_set
from incamera.protocol.kem import kem_public
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.message import parse_message, parse_sealed_message, sign_message
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
from incamera.protocol.signing import device_id_of
from incamera.protocol.topic import TopicState, apply, encode_state

SPEC = Path(__file__).parents[1] / "spec"
TEXT = (SPEC / "incamera.cddl").read_text()
LEDGER = LedgerId(bytes([7]) * 32)
ID, NONCE = bytes([8]) * 32, bytes([9]) * 32


logging.getLogger("cddl_verifier").setLevel(logging.CRITICAL)  # refusals are meant


@cache
def schema() -> Validator:
    return Validator(TEXT)


def accepts(rule: str, data: bytes) -> bool:
    return bool(schema().validate(data, root_type=rule).valid)


# ---------------------------------------------------------------- what the code makes


def signer(byte: int) -> Ed25519Signer:
    return Ed25519Signer(Secret(bytearray([byte]) * 32))


ADA, BO, GATE = signer(1), signer(2), signer(3)
POLICY = Policy(
    doors=Doors.OPEN,
    strict=False,
    verify_first=False,
    identities=Identities.EVERYONE,
    succession=Succession.TIME_ORDER,
    grants=(),
    limits=Limits(
        members=9,
        unreachable_s=600,
        identity_stale_s=600,
        leaderless_s=600,
        before_host_s=300,
    ),
    minimum_strength=0,
    before_host=False,
    follow=Follow.FINAL,
)


def root() -> Entry:
    device = Device(
        ivk=ADA.public,
        id=device_id_of(ADA.public),
        kind=DeviceKind.COMPUTER,
        name="laptop",
    )
    backup = Device(
        ivk=BO.public, id=device_id_of(BO.public), kind=DeviceKind.BACKUP, name=NONCE
    )
    body = UserRoot(
        rules=RULES,
        nonce=NONCE,
        device=device,
        info=ClearInfo(name="Ada", note="here"),
        policy=UserPolicy(lockdown=False, recovery_wait_ms=1),
        gateways=(Gateway(host="192.0.2.7:7443", pin=ID),),
        backup=backup,
        user_secret=ID,
        extensions={2: [1, {3: b"x"}]},
    )
    backed = ((CosignRole.RECOVERY, BO),)
    return sign_entry(ADA, body, place=LEDGER, seq=0, prev=None, cosigners=backed)


def publish() -> Entry:
    body = Publish(
        rules=RULES,
        nonce=NONCE,
        mvk=ADA.public,
        kem_hash=ID,
        tag=say_tag(1),
        kind=MemberKind.PERSON,
        code=ID,
        identity=NONCE,
        info="tea",
        policy=POLICY,
        gate=GATE.public,
        gateways=(),
        fallbacks=(LEDGER,),
        opens_ms=0,
        ends_ms=10**12,
    )
    return sign_entry(ADA, body, place=LEDGER, seq=0, prev=None)


def say_tag(byte: int) -> UserTag:
    return UserTag(bytes([byte]) * 16)


def request(meeting: bytes) -> Entry:
    body = Request(
        mvk=BO.public,
        tag=say_tag(2),
        kem_hash=ID,
        nonce=NONCE,
        kind=MemberKind.BOT,
        code=ID,
        identity=NONCE,
    )
    return sign_request(BO, GATE, body, place=meeting, seq=0, prev=None)


def epoch(state: MeetingState) -> Entry:
    admitted = next_roster(state, admitted=[0], dropped=[])
    body = Epoch(
        term=0,
        number=1,
        prev_epoch=state.last,
        kind=EpochKind.FRESH,
        admitted=index_set([0]),
        left=index_set([]),
        lost=index_set([]),
        removed=index_set([]),
        roster_root=roster_root(admitted),
        commitment=ID,
        refreshes=(),
        cause=1,
    )
    place, prev = state.meeting_id, state.last
    return sign_entry(ADA, body, place=place, seq=1, prev=prev)


@cache
def history() -> tuple[list[Entry], list[TopicState]]:
    """A meeting of two from publish to dismissal, by the code's own rules."""
    entries, states = [publish()], []
    states.append(apply(None, entries[0], Context(LEDGER, RULES, 0, 5)))
    assert isinstance(states[0], MeetingState)
    meeting = states[0].meeting_id

    def land(entry: Entry) -> None:
        context = Context(LEDGER, RULES, len(entries), 5)
        entries.append(entry)
        states.append(apply(states[-1], entry, context))

    land(request(meeting))
    land(epoch(states[-1]))  # type: ignore[arg-type]  # the state of a meeting
    change = PolicyChange(term=0, version=1, policy=POLICY, gate=BO.public)
    land(sign_entry(ADA, change, place=meeting, seq=0, prev=None))
    bye = Leave(reason=1)
    land(sign_entry(BO, bye, place=meeting, seq=1, prev=entries[1].id))
    end = Dismiss(term=0, reason=0, extensions={4: True})
    land(sign_entry(ADA, end, place=meeting, seq=1, prev=entries[3].id))
    return entries, states


def entries() -> list[Entry]:
    return [root(), *history()[0]]


@cache
def kem_key() -> bytes:
    return kem_public(Secret(bytearray(32)))


WHO, KEY = EntryId(ID), KeyId(ID)
STREAM = say.Stream(number=5, kind=1, instance="0", codec=2)
MESSAGES: list[say.Body] = [
    say.MemberKeys(current=kem_key(), spare=kem_key(), generation=1),
    say.KekMessage(
        kek_id=ID, prev_epoch=WHO, receiver=WHO, kem_key_hash=ID, sealed=bytes(1168)
    ),
    say.Ack(key_id=KEY),
    say.Switch(key_id=KEY, epoch=1),
    say.WrapAsk(key_id=KEY, kek_id=ID, step=3),
    say.Decline(request=WHO, reason=say.DeclineReason.DOORS),
    say.IdentityMessage(opening=b"x"),
    say.StreamMessage(streams=(STREAM,)),
    say.Offer(
        sender=WHO,
        receiver=WHO,
        connection=bytes(16),
        role=say.Role.OFFERER,
        fingerprint=ID,
        sdp="v=0",
        streams=(),
    ),
    say.Answer(
        sender=WHO,
        receiver=WHO,
        connection=bytes(16),
        role=say.Role.ANSWERER,
        fingerprint=ID,
        peer_fingerprint=ID,
        sdp="v=0",
        streams=(STREAM,),
    ),
    say.Chat(id=ID, text="hi", answers=ID),
    say.Control(kind=say.ControlKind.RAISE_HAND, target=None, on=True),
    say.Consent(kind=say.ConsentKind.STREAM, given=True, to=WHO),
    say.GateMessage(secret=ID, policy_entry=WHO),
    say.IdentityKeys(keys=(say.ProofKey(slot=1, key=ID),)),
]


RULE_NAMES = {
    "PolicyChange": "policy-entry",
    "KekMessage": "kek",
    "IdentityMessage": "identity-message",
    "StreamMessage": "streams",
    "GateMessage": "gate-message",
}


def sample(value: Entry | say.Body) -> tuple[str, bytes]:
    """The rule of the schema for an entry, or a message of this body; its bytes."""
    if isinstance(value, Entry):
        return rule_of(value.body), value.data
    made = sign_message(ADA, value, meeting=MeetingId(ID), counter=1, term=0)
    return rule_of(value), made.data


def rule_of(body: object) -> str:
    name = type(body).__name__
    return RULE_NAMES.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def name_of(value: Entry | say.Body) -> str:
    return type(value.body if isinstance(value, Entry) else value).__name__


@pytest.mark.parametrize("entry", entries(), ids=name_of)
def test_the_schema_takes_the_entries_of_the_code(entry: Entry) -> None:
    assert accepts("entry", entry.data)


@pytest.mark.parametrize("body", MESSAGES, ids=name_of)
def test_the_schema_takes_the_messages_of_the_code(body: say.Body) -> None:
    data = sample(body)[1]
    sealed = say.TYPES[type(body)].is_sealed
    assert accepts("class-b", data) is sealed
    assert accepts("class-a", data) is not sealed


def test_the_schema_takes_the_states_of_the_code() -> None:
    for state in history()[1]:
        assert accepts("meeting-state", encode_state(state))
    user = apply(None, root(), Context(LEDGER, RULES, 0, 5))
    assert accepts("user-state", encode_state(user))
    assert not accepts("meeting-state", encode_state(user))


# ---------------------------------------------------------------- spoiled


def spoiled(data: bytes, part: int) -> Iterator[bytes]:
    """The envelope with one thing wrong in its header (0) or payload (2)."""
    items = cbor2.loads(data[1:])
    inner = cbor2.loads(items[part])
    wrong: list[dict[int, object]] = [{**inner, 99: 0}]
    for number, value in inner.items():
        rest = {k: v for k, v in inner.items() if k != number}
        wrong += [rest, {**inner, number: "?" * 2000}, {**inner, number: -1}]
        if isinstance(value, bytes):
            wrong += [{**inner, number: value[:-1]}, {**inner, number: value + b"."}]
    for value in wrong:
        items[part] = cbor2.dumps(value, canonical=True)
        yield data[:1] + cbor2.dumps(items, canonical=True)


def verdict(sealed: bool | None, data: bytes) -> Code | None:
    """The code's verdict on form: of an entry (None), a clear or a sealed message."""
    parse = {None: parse_entry, False: parse_message, True: parse_sealed_message}
    try:
        parse[sealed](data)
    except PeerError as error:
        return error.code
    return None


@pytest.mark.parametrize("value", [*entries(), *MESSAGES], ids=name_of)
def test_what_the_schema_refuses_the_code_refuses_too_control(
    value: Entry | say.Body,
) -> None:
    rule, data = sample(value)
    sealed = None if isinstance(value, Entry) else say.TYPES[type(value)].is_sealed
    wrong = [bad for part in (0, 2) for bad in spoiled(data, part)]
    refused = [bad for bad in wrong if not accepts(rule, bad)]
    assert len(refused) > 10
    for bad in refused:
        assert verdict(sealed, bad) is not None, bad.hex()
