# SPDX-License-Identifier: Apache-2.0
"""What a member is in one meeting."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.sim.people import POLICY, START_MS, TOOLS, accounts, plan_of

from incamera.errors import Code
from incamera.protocol.arrival import publish_meeting
from incamera.protocol.ids import LedgerId
from incamera.protocol.kem import kem_key_hash
from incamera.protocol.schedule import kem_hash
from incamera.protocol.seat import OwnKems, Seat
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter

Refused = Callable[[Code], Any]


def seat(*, public: bool = False) -> Seat:
    (account,) = accounts(["ada"], START_MS)
    plan = plan_of(POLICY, START_MS, public=public)
    return publish_meeting(account, TOOLS, plan=plan, ledger_id=LedgerId(bytes(32)))[0]


def saved(who: Seat | OwnKems) -> SnapshotReader:
    writer = SnapshotWriter()
    return SnapshotReader(writer.finish(who.save(writer)))


@pytest.mark.parametrize("public", [True, False])
def test_a_seat_is_saved_and_found_again(public: bool) -> None:
    first = seat(public=public)
    reader = saved(first)
    second = Seat.load(reader.value, reader)
    assert second.signer.public == first.signer.public
    for name in ("meeting", "ledger_id", "entry", "entry_bytes", "opening", "info"):
        assert getattr(second, name) == getattr(first, name)
    for name in ("seed", "link_secret", "proof_key", "code_seed", "kems"):
        assert getattr(second, name) == getattr(first, name)


@pytest.mark.parametrize("load", [Seat.load, OwnKems.load])
def test_a_damaged_seat_is_noticed(load: Callable[..., object]) -> None:
    with pytest.raises(AssertionError):
        load(None, saved(seat()))


def test_a_wiped_seat_has_no_secret() -> None:
    who = seat()
    who.wipe()
    kems = who.kems.current.seed, who.kems.spare.seed
    for secret in (who.seed, who.link_secret, who.proof_key, who.code_seed, *kems):
        assert not any(secret.buffer)


def test_kem_keys_are_found_by_hash(refused: Refused) -> None:
    kems = OwnKems.fresh(TOOLS.sealer)
    for pair in (kems.current, kems.spare):
        assert kems.find(kem_key_hash(pair.public)) is pair
    with refused(Code.MISSING_KEY):
        kems.find(bytes(32))
    assert kems.hash == kem_hash(kems.current.public, kems.spare.public)


def test_a_used_kem_key_is_erased() -> None:
    first = OwnKems.fresh(TOOLS.sealer)
    second = first.renewed(TOOLS.sealer)
    assert not any(first.current.seed.buffer)
    assert second.current.public != first.current.public
    assert second.spare == first.spare
    assert second.body().generation == 1


def test_tools_draw_fresh_secrets_and_nonces() -> None:
    assert TOOLS.secret() != TOOLS.secret()
    assert TOOLS.nonce() != TOOLS.nonce()
    assert len(TOOLS.nonce()) == len(TOOLS.secret()) == 32
