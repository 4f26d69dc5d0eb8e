# SPDX-License-Identifier: Apache-2.0
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, UsageError
from incamera.protocol.encoding import encode
from incamera.protocol.ids import LedgerId, MeetingId, UserId
from incamera.protocol.link import (
    Link,
    LinkGateway,
    LinkRecord,
    format_link,
    parse_link,
    verify_address,
)
from incamera.protocol.secret import Secret

HASHES = st.binary(min_size=32, max_size=32)
RECORDS = st.builds(
    LinkRecord,
    leader=HASHES.map(UserId),
    name=st.none() | st.text(max_size=32),
    fingerprint=st.none() | st.binary(min_size=16, max_size=16),
    passcode=st.none() | st.booleans(),
)
HOSTS = st.sampled_from(
    [
        "example.org",
        "a.b-c.example:8443",
        "192.0.2.7",
        "192.0.2.7:1",
        "[2001:db8::1]:443",
    ]
)
GATEWAYS = st.builds(LinkGateway, HOSTS, st.none() | HASHES)
LINKS = st.builds(
    Link,
    gateways=st.lists(GATEWAYS, min_size=1, max_size=8).map(tuple),
    ledger_id=HASHES.map(LedgerId),
    meeting=HASHES.map(MeetingId),
    secret=HASHES.map(lambda data: Secret(bytearray(data))),
    record=st.none() | RECORDS,
)


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


ID = b64(bytes(range(32)))
RECORD = b64(encode({1: bytes(32), 2: "Alice"}))


def link(  # one part each, to spoil it
    g: str = f"example.org~{ID}",
    ledger: str = ID,
    m: str = ID,
    *,
    end: str = f"#{ID}.{RECORD}",
) -> str:
    return f"incamera:?g={g}&l={ledger}&m={m}{end}"


@given(LINKS)
def test_round_trip(value: Link) -> None:
    text = format_link(value)
    assert parse_link(text) == value
    assert format_link(parse_link(text)) == text


def test_parts_of_a_link() -> None:
    parsed = parse_link(link())
    assert parsed.gateways == (LinkGateway("example.org", bytes(range(32))),)
    assert parsed.ledger_id == bytes(range(32))
    assert parsed.meeting == bytes(range(32))
    assert parsed.secret.buffer == bytes(range(32))
    assert parsed.record == LinkRecord(leader=UserId(bytes(32)), name="Alice")
    assert parse_link(link(end=f"#{ID}")).record is None


def test_the_secret_never_shows() -> None:
    text = repr(parse_link(link(m=b64(b"m" * 32), ledger=b64(b"l" * 32), g="h")))
    assert ID not in text
    assert repr(bytes(range(32)))[2:-1] not in text
    assert "Secret(32 bytes)" in text


FAULTS = [
    ("", "not a whole meeting link"),
    ("https://example.org/", "not a whole meeting link"),
    (link() + "#", "not a whole meeting link"),
    (link(end=""), "not a whole meeting link"),
    (link().replace("&l=", "&x="), "not a whole meeting link"),
    (link() + " ", "leader is damaged"),
    (link(ledger=ID[:-1]), "ledger is damaged"),
    (link(ledger=ID[:-4]), "ledger has the wrong length"),
    (link(m=ID + "="), "meeting is damaged"),
    (link(m=ID[:-1] + "9"), "meeting is damaged"),  # spare bits not zero
    (link(m=ID[:-1] + "é"), "meeting is damaged"),
    (link(m="+" + ID[1:]), "meeting is damaged"),
    (link(end="#"), "secret has the wrong length"),
    (link(end=f"#{ID[:-4]}"), "secret has the wrong length"),
    (link(end=f"#{ID}."), "leader is damaged"),
    (link(end=f"#{ID}.{b64(b'x')}"), "leader is damaged"),
    (link(end=f"#{ID}.{b64(encode({2: 'Alice'}))}"), "leader is damaged"),
    (link(g=""), "not host or host:port"),
    (link(g="example.org,"), "not host or host:port"),
    (link(g="example.org~"), "gateway's key has the wrong length"),
    (link(g=",".join(["h"] * 9)), "more than 8 gateways"),
    (link(g="h" * 4000), "too long"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_the_faulty_part_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_link(text)
    assert caught.value.code is Code.BAD_LINK
    assert ID not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["h", "a-1.example", "192.0.2.7", "[::1]:1", "[2001:db8::1]", "example.org:65535"],
)
def test_addresses_that_are_taken(address: str) -> None:
    assert verify_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "Example.org",
        "example..org",
        "-a.example",
        "a-.example",
        "a b",
        "user@host",
        "host/path",
        "host:0",
        "host:080",
        "host:65536",
        "host:",
        ":443",
        "::1",
        "[::1",
        "[0::1]",
        "[::g]",
        "[192.0.2.7]",
        "192.0.2.256",
        "192.0.2.07",
        "1.2.3",
        "bücher.example",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "h:1\n",
    ],
)
def test_addresses_that_are_refused(address: str, refused: Any) -> None:
    with refused(Code.BAD_LINK):
        verify_address(address)


@given(st.text(max_size=80))
def test_random_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_link(text)
    with pytest.raises(UsageError):
        parse_link(link(end="#" + text))


def test_formatting_checks_what_it_writes(refused: Any) -> None:
    whole = parse_link(link())
    bad = Link(
        gateways=(),
        ledger_id=whole.ledger_id,
        meeting=whole.meeting,
        secret=whole.secret,
    )
    with refused(Code.BAD_LINK):
        format_link(bad)
