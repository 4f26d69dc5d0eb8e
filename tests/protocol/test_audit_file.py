# SPDX-License-Identifier: Apache-2.0
"""How an audit file is written and read: its order, its limits, its damage."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.audit_file import (
    FORMAT,
    MAX_AUDIT,
    MAX_ITEM,
    AuditFile,
    OwnName,
    encode_audit,
    parse_audit,
)
from incamera.protocol.encoding import encode
from incamera.protocol.ids import LedgerId, MeetingId, TopicId, UserId
from incamera.protocol.proof import Record

ID = bytes([8]) * 32
START = [0, {1: FORMAT, 2: ID, 3: 1, 4: 5}]
LINES: list[Any] = [START, [1, b"d"], [2, ID, ID, 0], [3, [5, b"e"]], [4, b"p"]]
SMALL = AuditFile(
    meeting=MeetingId(ID),
    rules=1,
    made_ms=5,
    descriptor=b"d",
    ledger=LedgerId(ID),
    topic=TopicId(ID),
    records=(Record(time_ms=5, entry=b"e"),),
    proof=b"p",
)


def closed(body: bytes) -> bytes:
    return body + encode([9, sha256(body).digest()])


def lines(*items: Any) -> bytes:
    return closed(b"".join(map(encode, items)))


def test_a_file_is_what_it_was_made_from(generators: Callable[[str], Any]) -> None:
    made = (
        generators("audit").whole().file(names=(OwnName(user=UserId(ID), name="Bo"),))
    )
    assert len(made.openings) == 2
    assert parse_audit(encode_audit(made)) == made


def test_a_file_has_the_bytes_of_the_specification() -> None:
    assert encode_audit(SMALL) == lines(*LINES)
    assert parse_audit(lines(*LINES)) == SMALL


def test_no_records_are_a_form_too() -> None:
    assert parse_audit(lines(*LINES[:3], LINES[4])).records == ()


@pytest.mark.parametrize("at", range(5))
def test_each_item_has_its_place(at: int, refused: Callable[..., Any]) -> None:
    if at != 3:
        with refused(Code.SCHEMA):
            parse_audit(lines(*LINES[:at], *LINES[at + 1 :]))
    with refused(Code.SCHEMA):
        parse_audit(lines(*LINES[at:], *LINES[:at], [0, {}]))


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ([6, b"message"], Code.UNKNOWN_TYPE),
        ([7, {}], Code.UNKNOWN_TYPE),
        ([10], Code.UNKNOWN_TYPE),
        ([b"x"], Code.UNKNOWN_TYPE),
        ([True, b"x"], Code.UNKNOWN_TYPE),
        ([1, b"d"], Code.SCHEMA),
        ([8, ID], Code.SCHEMA),
        ([], Code.SCHEMA),
        ({}, Code.SCHEMA),
        (None, Code.SCHEMA),
    ],
)
def test_another_item_is_refused(
    item: Any, code: Code, refused: Callable[..., Any]
) -> None:
    with refused(code):
        parse_audit(lines(*LINES, item))


@pytest.mark.parametrize(
    ("at", "item"),
    [
        (0, [0, {1: "incamera/1 audit", 2: ID, 3: 1, 4: 5}]),
        (0, [0, {2: ID, 3: 1, 4: 5}]),
        (1, [1]),
        (1, [1, b"d", b"d"]),
        (2, [2, ID, ID, 1]),
        (3, [3, [5]]),
    ],
)
def test_a_malformed_item_is_refused(
    at: int, item: Any, refused: Callable[..., Any]
) -> None:
    with refused(Code.SCHEMA):
        parse_audit(lines(*LINES[:at], item, *LINES[at + 1 :]))


def test_nobody_has_two_names(refused: Callable[..., Any]) -> None:
    name = OwnName(user=UserId(ID), name="Bo")
    data = encode_audit(replace(SMALL, names=(name, replace(name, name="Cy"))))
    with refused(Code.SCHEMA):
        parse_audit(data)


def test_damage_is_told_from_a_cut(refused: Callable[..., Any]) -> None:
    data = encode_audit(SMALL)
    for at in range(len(data) - 36):
        with refused(Code.BAD_PROOF):
            parse_audit(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    for size in range(len(data)):
        with refused(Code.SCHEMA):
            parse_audit(data[:size])


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b"\x82", Code.NOT_CANONICAL),  # two items promised, none there
        (b"\x58", Code.NOT_CANONICAL),  # a length promised
        (b"\x42x", Code.NOT_CANONICAL),  # two bytes promised, one there
        (b"\x9f\xff", Code.NOT_CANONICAL),  # no definite length
        (b"\xc0\x80", Code.NOT_CANONICAL),  # a tag
        (b"\x98\x01\x00", Code.NOT_CANONICAL),  # a longer form than needed
        (b"\x9a" + bytes([1]) * 4 + b"\x00", Code.TOO_LARGE),
        (b"\xba" + bytes([1]) * 4 + b"\x00", Code.TOO_LARGE),
        (encode([8, bytes(MAX_ITEM)]), Code.TOO_LARGE),
    ],
)
def test_what_is_no_item_is_refused(
    tail: bytes, code: Code, refused: Callable[..., Any]
) -> None:
    with refused(code):
        parse_audit(closed(b"".join(map(encode, LINES)) + tail))


def test_a_whole_file_has_a_limit(refused: Callable[..., Any]) -> None:
    with refused(Code.TOO_LARGE):
        parse_audit(bytes(MAX_AUDIT + 1))
    record = Record(time_ms=5, entry=bytes(16_384))
    with refused(Code.TOO_LARGE):
        encode_audit(replace(SMALL, records=(record,) * 4096))


@given(st.binary(max_size=80))
def test_any_items_give_a_file_or_a_peer_error(body: bytes) -> None:
    start = b"".join(map(encode, LINES))
    for data in (body, closed(body), closed(start + body)):
        try:
            file = parse_audit(data)
        except PeerError:
            continue
        assert encode_audit(file) == data
