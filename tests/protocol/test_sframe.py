# SPDX-License-Identifier: Apache-2.0
"""SFrame: the published vectors, strict headers, and no second use of anything."""

import hmac
from collections.abc import Callable
from hashlib import sha512
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.secret import Secret
from incamera.protocol.sframe import (
    MAX_COUNTER,
    MAX_HEADER,
    SUITE,
    TAG_BYTES,
    OpenContext,
    SealContext,
    encode_header,
    parse_header,
)

Refused = Callable[[Code], Any]
Published = Callable[[str], Any]
Keys = Callable[[int], Secret]
HEADER_CASES = 289


def test_all_published_headers(published: Published) -> None:
    cases = published("sframe/sframe.json")["header"]
    assert len(cases) == HEADER_CASES
    for case in cases:
        data = bytes.fromhex(case["encoded"])
        assert encode_header(case["kid"], case["ctr"]) == data
        assert parse_header(data + b"more") == (case["kid"], case["ctr"], len(data))


def suite_5(published: Published) -> dict[str, Any]:
    """The published cases of our suite, of which there is one."""
    cases = published("sframe/sframe.json")["sframe"]
    (case,) = (case for case in cases if case["cipher_suite"] == SUITE)
    return {k: bytes.fromhex(v) if type(v) is str else v for k, v in case.items()}


def test_the_published_frame_of_suite_5(published: Published) -> None:
    case = suite_5(published)
    base = Secret(bytearray(case["base_key"]))
    seal = SealContext(base, case["kid"], first=case["ctr"])
    open_ = OpenContext(base, case["kid"])
    assert seal.protect(case["pt"], metadata=case["metadata"]) == case["ct"]
    assert open_.open(case["ct"], metadata=case["metadata"]) == case["pt"]


def test_the_published_key_is_made_by_hmac_alone(published: Published) -> None:
    """A second way to the intermediate values, so that the vector is not ours."""
    case = suite_5(published)
    root = hmac.digest(b"", case["base_key"], sha512)
    assert root == case["sframe_secret"]
    key = hmac.digest(root, case["sframe_key_label"] + b"\1", sha512)
    assert key[:32] == case["sframe_key"]


values = st.integers(0, 20) | st.integers(0, MAX_COUNTER)


@given(values, values, st.binary(max_size=3))
def test_headers_come_back(kid: int, counter: int, rest: bytes) -> None:
    data = encode_header(kid, counter)
    assert len(data) <= MAX_HEADER
    assert parse_header(data + rest) == (kid, counter, len(data))


@given(st.binary(max_size=20))
def test_random_bytes_are_the_one_encoding_or_refused(data: bytes) -> None:
    try:
        header = parse_header(data)
    except PeerError as error:
        if error.code is not Code.NOT_CANONICAL:
            raise
    else:
        assert encode_header(header.kid, header.counter) == data[: header.size]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "08",  # no counter byte
        "80",  # no KID byte
        "8908",  # KID there, counter missing
        "0807",  # 7 fits into the first byte
        "8007",
        "0900ff",  # 255 needs one byte
        "9000ff",
        "0f00ffffffffffffff",
        "f000ffffffffffffff",
    ],
)
def test_a_header_that_is_not_minimal_is_refused(data: str, refused: Refused) -> None:
    with refused(Code.NOT_CANONICAL):
        parse_header(bytes.fromhex(data))


def test_the_longest_header(secret: Keys) -> None:
    seal = SealContext(secret(1), MAX_COUNTER, first=MAX_COUNTER)
    data = seal.protect(b"last", metadata=b"")
    assert parse_header(data) == (MAX_COUNTER, MAX_COUNTER, MAX_HEADER)
    assert len(data) == MAX_HEADER + 4 + TAG_BYTES
    assert OpenContext(secret(1), MAX_COUNTER).open(data, metadata=b"") == b"last"


def test_counters_end_and_do_not_wrap(secret: Keys, refused: Refused) -> None:
    seal = SealContext(secret(1), 0, first=MAX_COUNTER)
    seal.protect(b"last", metadata=b"")
    for _ in range(3):
        with refused(Code.COUNTER_EXHAUSTED):
            seal.protect(b"one more", metadata=b"")


@given(st.binary(max_size=300), st.binary(max_size=40), values)
def test_frames_come_back(plain: bytes, metadata: bytes, kid: int) -> None:
    base = Secret(bytearray(range(32)))
    seal, open_ = SealContext(base, kid), OpenContext(base, kid)
    for _ in range(10):
        data = seal.protect(plain, metadata=metadata)
        assert open_.open(data, metadata=metadata) == plain


def test_every_flipped_bit_is_refused(secret: Keys) -> None:
    data = SealContext(secret(1), 0x31).protect(b"frame", metadata=b"m")
    open_ = OpenContext(secret(1), 0x31)
    for bit in range(8 * len(data)):
        spoiled = bytearray(data)
        spoiled[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PeerError):
            open_.open(bytes(spoiled), metadata=b"m")
    assert open_.open(data, metadata=b"m") == b"frame"


def test_metadata_key_and_kid_are_bound(secret: Keys, refused: Refused) -> None:
    data = SealContext(secret(1), 5).protect(b"frame", metadata=b"m")
    with refused(Code.BAD_BOX):
        OpenContext(secret(1), 5).open(data, metadata=b"n")
    with refused(Code.BAD_BOX):
        OpenContext(secret(2), 5).open(data, metadata=b"m")
    with refused(Code.MISSING_KEY):
        OpenContext(secret(1), 6).open(data, metadata=b"m")


def test_a_body_too_short_for_a_tag_is_refused(secret: Keys, refused: Refused) -> None:
    for size in range(TAG_BYTES):
        with refused(Code.BAD_BOX):
            OpenContext(secret(1), 5).open(b"\x50" + bytes(size), metadata=b"")


@given(st.binary(max_size=60))
def test_random_bytes_open_to_nothing(data: bytes) -> None:
    with pytest.raises(PeerError):
        OpenContext(Secret(bytearray(32)), 5).open(data, metadata=b"")


@pytest.mark.acceptance("Z1-11")
def test_a_frame_opens_once(secret: Keys, refused: Refused) -> None:
    seal, open_ = SealContext(secret(1), 5), OpenContext(secret(1), 5)
    frames = [seal.protect(bytes([n]), metadata=b"") for n in range(4)]
    for n in (2, 0, 3, 1):
        assert open_.open(frames[n], metadata=b"") == bytes([n])
    for data in frames:
        with refused(Code.REPLAYED):
            open_.open(data, metadata=b"")


@pytest.mark.acceptance("Z1-11")
def test_a_frame_opens_once_control(secret: Keys) -> None:
    """The window is what refuses: a context without it opens the same frame again."""
    data = SealContext(secret(1), 5).protect(b"frame", metadata=b"")
    for _ in range(2):
        assert OpenContext(secret(1), 5).open(data, metadata=b"") == b"frame"


def test_a_forged_counter_does_not_move_the_window(
    secret: Keys, refused: Refused
) -> None:
    seal, open_ = SealContext(secret(1), 5), OpenContext(secret(1), 5)
    data = seal.protect(b"frame", metadata=b"")
    with refused(Code.BAD_BOX):
        open_.open(encode_header(5, 2**40) + data[1:], metadata=b"")
    assert open_.open(data, metadata=b"") == b"frame"
