# SPDX-License-Identifier: Apache-2.0
"""Three sources of the star's secrets, and one of quite another kind."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.epoch_secret import Drawn, EpochSecret, Stepped, Wrapped
from incamera.protocol.ids import EntryId, KeyId, MeetingId, VerifyKey
from incamera.protocol.schedule import (
    EpochContext,
    commitment,
    committed_key,
    meeting_key,
    ratchet_seed,
)
from incamera.protocol.secret import Secret
from incamera.protocol.wraps import LeaderKek, MemberKek, Pair, WrapContext

Make = Callable[[int], Secret]
PLACE = EpochContext(
    meeting=MeetingId(bytes(32)),
    prev_epoch=EntryId(b"p" * 32),
    roster_root=b"r" * 32,
    term=0,
    epoch=5,
)
KEY = KeyId(b"k" * 32)


@dataclass(frozen=True)
class Agreed:
    """Stands for a tree's exporter: everybody computes it, nobody hands it out."""

    group: bytes

    def __call__(self, context: EpochContext, /) -> Secret:
        place = context.roster_root + context.prev_epoch
        return Secret(bytearray(sha256(self.group + place).digest()))


@pytest.fixture
def pair(signer: Callable[[int], Any]) -> Pair:
    leader, member = (VerifyKey(signer(n).public) for n in (1, 2))
    return Pair(
        meeting=PLACE.meeting,
        leader=leader,
        member=member,
        kek_id=bytes(32),
        generation=0,
    )


def key_by(source: EpochSecret, place: EpochContext = PLACE) -> bytes:
    return bytes(meeting_key(source(place), place).buffer)


def test_drawn(secret: Make) -> None:
    assert Drawn(lambda: secret(7))(PLACE).buffer == secret(7).buffer


def test_stepped(secret: Make) -> None:
    assert Stepped(secret(7))(PLACE).buffer == ratchet_seed(secret(7), PLACE).buffer
    assert key_by(Stepped(secret(7))) != key_by(Stepped(secret(8)))


def test_wrapped(secret: Make, pair: Pair, refused: Callable[[Code], Any]) -> None:
    place = WrapContext(PLACE.prev_epoch, KEY, 3)
    wrap = LeaderKek(pair, secret(1)).wrap(secret(7), place)
    member = MemberKek(pair, secret(1))
    with refused(Code.BAD_WRAP):
        Wrapped(member, wrap, KEY, 3)(replace(PLACE, prev_epoch=EntryId(bytes(32))))
    assert Wrapped(member, wrap, KEY, 3)(PLACE).buffer == secret(7).buffer


def test_another_way_to_agree_meets_the_same_commitment(
    refused: Callable[[Code], Any],
) -> None:
    source: EpochSecret = Agreed(b"group")
    committed = commitment(meeting_key(source(PLACE), PLACE))
    key = committed_key(source(PLACE), PLACE, committed)
    assert bytes(key.buffer) == key_by(source)
    other = replace(PLACE, roster_root=bytes(32))
    assert key_by(source, other) != key_by(source)
    assert key_by(source, replace(PLACE, prev_epoch=EntryId(bytes(32)))) != key_by(
        source, other
    )
    with refused(Code.BAD_COMMITMENT):
        committed_key(Agreed(b"other")(PLACE), PLACE, committed)
