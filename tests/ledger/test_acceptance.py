# SPDX-License-Identifier: Apache-2.0
"""The ledger's rows of spec/acceptance.md."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code, IncameraError
from incamera.ledger.base import Ledger
from incamera.ledger.book import Contents, Topic
from incamera.ledger.engine import Engine, Setup
from incamera.ledger.seal import Sealer
from incamera.ledger.sqlite import sqlite_ledger
from incamera.protocol.attestation import verify_attestation
from incamera.protocol.bodies import (
    Device,
    DeviceKind,
    Publish,
    Request,
    UserPolicy,
    UserRoot,
)
from incamera.protocol.entry import parse_entry, sign_entry
from incamera.protocol.ids import LedgerId, TopicId
from incamera.protocol.log import verify_consistency
from incamera.protocol.proof import EMPTY_HEAD, Proof, Record, fold_head
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import device_id_of
from incamera.protocol.user import UserState

Judge = Callable[..., Any]
DEVICE = Ed25519Signer(Secret(bytearray(b"d" * 32)))
INFO = b"commitment to the user's info..."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


def user_root(ledger: LedgerId) -> bytes:
    device = Device(
        ivk=DEVICE.public,
        id=device_id_of(DEVICE.public),
        kind=DeviceKind.COMPUTER,
        name="laptop of this user",
    )
    body = UserRoot(
        rules=1,
        nonce=b"n" * 32,
        device=device,
        info=INFO,
        policy=UserPolicy(lockdown=False, recovery_wait_ms=0),
        gateways=(),
    )
    return sign_entry(DEVICE, body, place=ledger, seq=0, prev=None).data


def tampered(root: bytes) -> list[bytes]:
    """The root with another info, device name, nonce or signature; each parses."""
    changes = [
        (INFO, INFO[::-1]),
        (b"laptop of this user", b"laptop of that user"),
        (b"n" * 32, b"m" * 32),
        (root[-40:-36], bytes(b ^ 1 for b in root[-40:-36])),
    ]
    return [root.replace(old, new) for old, new in changes]


@pytest.mark.acceptance("D-01")
async def test_a_users_root_is_readable_by_everyone(
    ledger: Ledger, as_peer: Judge
) -> None:
    root = user_root(ledger.ledger_id)
    topic = (await ledger.append(root)).topic
    records, proof = await ledger.read(topic), await ledger.prove(topic)
    state = as_peer(records, proof, ledger.descriptor)
    assert isinstance(state, UserState)
    assert [record.device.ivk for record in state.devices] == [DEVICE.public]
    assert bytes(state.user_id) == topic
    assert state.info == INFO


@pytest.mark.acceptance("D-01")
async def test_a_tampered_root_is_rejected_by_every_engine(
    ledger: Ledger, refused: Callable[[Code], Any]
) -> None:
    for root in tampered(user_root(ledger.ledger_id)):
        with refused(Code.BAD_SIGNATURE):
            await ledger.append(root)
        absent = await ledger.prove(TopicId(parse_entry(root).id))
        assert absent.count == 0


@pytest.mark.acceptance("D-01")
async def test_a_tampered_root_is_rejected_control(ledger: Ledger) -> None:
    """Only the signature stands in the way: in form each forgery is a root."""
    root = user_root(ledger.ledger_id)
    honest = parse_entry(root)
    for other in map(parse_entry, tampered(root)):
        assert isinstance(other.body, UserRoot)
        assert other.data != root
        assert other.header == honest.header
    assert (await ledger.append(root)).count == 1


async def running(
    path: Path, setup: Setup, meeting_on: Callable[..., Any]
) -> tuple[Engine, Any]:
    ledger = sqlite_ledger(path, setup)
    meeting = meeting_on(ledger.ledger_id).busy(0)
    for entry in meeting.entries:
        await ledger.append(entry)
    return ledger, meeting


def with_other_key(records: Sequence[Record], index: int = 1) -> list[Record]:
    """What a node serves that swaps the KEM key in a publish or request for its own."""
    body = parse_entry(records[index].entry).body
    assert isinstance(body, Publish | Request)
    forged = records[index].entry.replace(body.kem_hash, b"e" * 32)
    swapped = replace(records[index], entry=forged)
    return [*records[:index], swapped, *records[index + 1 :]]


def proof_of(records: Sequence[Record], topic: TopicId, setup: Setup) -> Proof:
    """What the node needs besides: its own key's proof of the altered chain."""
    head = EMPTY_HEAD
    for record in records:
        head = fold_head(head, record.entry, record.time_ms)
    topics = {topic: Topic(1, len(records), head)}
    sealer = Sealer(setup.descriptor, setup.signer, Contents({}, ()))
    sealer.adopt(sealer.next(topics, records[-1].time_ms))
    return sealer.prove(topic, topics[topic])


@pytest.mark.acceptance("D-18")
async def test_a_node_that_swaps_a_members_key_is_rejected(
    path: Path, setup: Setup, meeting_on: Callable[..., Any], as_peer: Judge
) -> None:
    ledger, meeting = await running(path, setup, meeting_on)
    records, proof = await ledger.read(meeting.topic), await ledger.prove(meeting.topic)
    for index, code in ((0, Code.BAD_SIGNATURE), (1, Code.BAD_COSIGNATURE)):
        forged = with_other_key(records, index)
        shown = proof_of(forged, meeting.topic, setup)
        assert shown.head != proof.head
        for other in (proof, shown):
            with pytest.raises(IncameraError) as caught:
                as_peer(forged, other, setup.descriptor)
            assert caught.value.code is code
    await ledger.close()


@pytest.mark.acceptance("D-18")
async def test_a_node_that_rewrites_its_log_is_found_out(
    path: Path, setup: Setup, meeting_on: Callable[..., Any], refused: Any
) -> None:
    """Who verified the log before refuses the rewritten one, before any entry."""
    ledger, meeting = await running(path, setup, meeting_on)
    known = verify_attestation(await ledger.checkpoint(), setup.descriptor)
    forged = with_other_key(await ledger.read(meeting.topic))
    other = proof_of(forged, meeting.topic, setup)
    now = verify_attestation(other.attestation, setup.descriptor)
    assert now.size < known.size
    path_shown = await ledger.consistency(now.size, known.size)
    with refused(Code.BAD_PROOF):
        sizes = {"old_size": now.size, "new_size": known.size}
        verify_consistency(now.root, known.root, path_shown, **sizes)
    await ledger.close()


@pytest.mark.acceptance("D-18")
async def test_a_node_that_swaps_a_members_key_is_rejected_control(
    path: Path, setup: Setup, meeting_on: Callable[..., Any], as_peer: Judge
) -> None:
    """The same records and proofs pass without the swap, and the swap parses."""
    ledger, meeting = await running(path, setup, meeting_on)
    records = await ledger.read(meeting.topic)
    for shown in (
        await ledger.prove(meeting.topic),
        proof_of(records, meeting.topic, setup),
    ):
        as_peer(records, shown, setup.descriptor)
    body = parse_entry(with_other_key(records)[1].entry).body
    assert isinstance(body, Request)
    assert body.kem_hash == b"e" * 32
    await ledger.close()
