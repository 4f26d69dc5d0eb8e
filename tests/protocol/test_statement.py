# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import encode
from incamera.protocol.envelope import sign
from incamera.protocol.ids import (
    DeviceId,
    Head,
    LedgerId,
    TopicId,
    UserId,
    UserTag,
)
from incamera.protocol.kem import kem_public
from incamera.protocol.padding import MAX_CONTENT
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.statement import (
    MAX_INFO,
    MAX_RECORDS,
    GateContent,
    IdentityOpening,
    InfoOpening,
    JoinSecret,
    MeetingInfo,
    OrderedEntry,
    Purpose,
    Statement,
    TopicProof,
    UserHead,
    encode_gate_content,
    encode_join_secret,
    encode_opening,
    parse_gate_content,
    parse_join_secret,
    parse_opening,
    parse_statement,
    sign_statement,
)

KEM = kem_public(Secret(bytearray(32)))
WIRE_HEADER: dict[int, Any] = {16: 60}


@pytest.fixture
def statement(signer: Any) -> Statement:
    return Statement(
        purpose=Purpose.JOIN,
        subject=b"m" * 32,
        mvk=signer(2).public,
        kem_hash=b"h" * 32,
        user_id=UserId(b"u" * 32),
        device_id=DeviceId(b"d" * 16),
        tag=UserTag(b"t" * 16),
        head=UserHead(
            ledger=LedgerId(b"l" * 32),
            topic=TopicId(b"u" * 32),
            head=Head(b"e" * 32),
            count=2**53 - 1,
        ),
    )


@pytest.fixture
def opening(signer: Any, statement: Statement) -> IdentityOpening:
    record = OrderedEntry(time_ms=2**53 - 1, entry=bytes(500))
    return IdentityOpening(
        statement=sign_statement(signer(1), statement),
        nonce=b"r" * 32,
        topic=TopicProof(
            descriptor=bytes(1000), records=(record,) * MAX_RECORDS, proof=bytes(20_480)
        ),
        info=InfoOpening(nonce=b"i" * 32, info=bytes(MAX_INFO)),
    )


def test_statement_round_trip(signer: Any, statement: Statement) -> None:
    data = sign_statement(signer(1), statement)
    assert len(data) == 379 + 8  # the largest count has nine bytes
    parsed = parse_statement(data)
    assert parsed.verify(signer(1).public) == statement


def test_statement_of_another_device(
    signer: Any, statement: Statement, refused: Any
) -> None:
    parsed = parse_statement(sign_statement(signer(1), statement))
    with refused(Code.BAD_STATEMENT):
        parsed.verify(signer(2).public)
    forged = replace(parsed, signer=kid_of(signer(2).public))
    with refused(Code.BAD_STATEMENT):
        forged.verify(signer(2).public)


def test_no_flipped_bit_is_a_statement(signer: Any, statement: Statement) -> None:
    data = sign_statement(signer(1), statement)
    for place in range(len(data)):
        spoiled = bytearray(data)
        spoiled[place] ^= 1
        with pytest.raises(PeerError):
            parse_statement(bytes(spoiled)).verify(signer(1).public)


def wire(signer: Any, statement: Statement, *, header: Any, payload: Any) -> bytes:
    """Sign a statement with changed fields."""
    data = sign_statement(signer(1), statement)
    parsed = parse_statement(data)
    whole = {4: parsed.signer, 16: 60, **header}
    body: Any = {n: getattr(statement, name) for n, name in FIELDS.items()}
    body[8] = [getattr(statement.head, n) for n in ("ledger", "topic", "head", "count")]
    body = {**body, 1: 2, **payload}
    return sign(signer(1), labels.STATEMENT, header=whole, payload=body).encode()


FIELDS = dict(
    enumerate(
        ("purpose", "subject", "mvk", "kem_hash", "user_id", "device_id", "tag"), 1
    )
)


@pytest.mark.parametrize(
    ("header", "payload", "code"),
    [
        ({16: 61}, {}, Code.SCHEMA),
        ({4: b""}, {}, Code.SCHEMA),
        ({17: 0}, {}, Code.SCHEMA),
        ({}, {1: 3}, Code.SCHEMA),
        ({}, {2: bytes(31)}, Code.SCHEMA),
        ({}, {3: bytes(32)}, Code.BAD_KEY),
        ({}, {7: bytes(17)}, Code.SCHEMA),
        ({}, {8: []}, Code.SCHEMA),
        ({}, {9: 0}, Code.SCHEMA),
        ({}, {9: bytes(1024)}, Code.TOO_LARGE),
    ],
)
def test_one_fault_is_refused(
    header: Any, payload: Any, code: Code, wired: Any
) -> None:
    with pytest.raises(PeerError) as caught:
        parse_statement(wired(header, payload))
    assert caught.value.code is code


@pytest.fixture
def wired(signer: Any, statement: Statement) -> Any:
    return lambda header, payload: wire(
        signer, statement, header=header, payload=payload
    )


def test_the_unspoiled_statement_is_accepted_control(wired: Any) -> None:
    assert parse_statement(wired({}, {})).body.purpose is Purpose.JOIN


def test_opening_at_its_maxima_round_trips(opening: IdentityOpening) -> None:
    data = encode_opening(opening)
    assert len(data) <= 60_000
    assert parse_opening(data) == opening
    bare = replace(opening, info=None)
    assert parse_opening(encode_opening(bare)) == bare


def test_join_secret_at_its_maxima_fits_a_box(opening: IdentityOpening) -> None:
    secret = JoinSecret(opening=opening, current=KEM, spare=KEM)
    data = encode_join_secret(secret)
    assert len(data) <= MAX_CONTENT
    assert parse_join_secret(data) == secret


def test_gate_content_at_its_maxima_fits_a_box(opening: IdentityOpening) -> None:
    content = GateContent(
        opening=bytes(60_000),
        info=MeetingInfo(nonce=b"n" * 32, text="x" * 1024),
        current=KEM,
        spare=KEM,
    )
    data = encode_gate_content(content)
    assert len(data) <= MAX_CONTENT
    assert parse_gate_content(data) == content


def test_faulty_openings_are_refused(opening: IdentityOpening, refused: Any) -> None:
    for parse in (parse_opening, parse_join_secret, parse_gate_content):
        with refused(Code.SCHEMA):
            parse(encode({1: b""}))
        with refused(Code.NOT_CANONICAL):
            parse(b"")
    with refused(Code.TOO_LARGE):
        parse_opening(bytes(60_001))
    too_many = opening.topic.records * 2
    with refused(Code.SCHEMA):
        encode_opening(replace(opening, topic=replace(opening.topic, records=too_many)))


def test_join_secret_has_usable_kem_keys(
    opening: IdentityOpening, refused: Any
) -> None:
    low = KEM[:1184] + bytes(32)
    secret = JoinSecret(opening=opening, current=KEM, spare=KEM)
    data = encode_join_secret(secret).replace(KEM, low, 1)
    with refused(Code.BAD_KEY):
        parse_join_secret(data)
