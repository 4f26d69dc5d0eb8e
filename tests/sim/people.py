# SPDX-License-Identifier: Apache-2.0
"""Users with roots on a real ledger in memory, and what they plan."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from incamera.ledger.engine import Setup
from incamera.ledger.memory import memory_ledger
from incamera.node.ports import HpkeSealer, SystemEntropy
from incamera.protocol.account import NewUser, UserPlan, new_user
from incamera.protocol.arrival import MeetingPlan
from incamera.protocol.descriptor import embedded_descriptor, encode_descriptor
from incamera.protocol.policy import (
    Doors,
    Follow,
    Identities,
    Limits,
    Policy,
    Succession,
)
from incamera.protocol.proof import encode_proof
from incamera.protocol.seat import Account, Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import device_id_of
from incamera.protocol.statement import OrderedEntry, TopicProof, UserHead

START_MS = 1_800_000_000_000
DAY_MS = 86_400_000
TOOLS = Tools(SystemEntropy(), HpkeSealer(SystemEntropy()))
POLICY = Policy(
    doors=Doors.OPEN,
    strict=False,
    verify_first=False,
    identities=Identities.EVERYONE,
    succession=Succession.TIME_ORDER,
    grants=(),
    limits=Limits(
        members=1000,
        unreachable_s=600,
        identity_stale_s=600,
        leaderless_s=600,
        before_host_s=0,
    ),
    minimum_strength=0,
    before_host=False,
    follow=Follow.FINAL,
)


@dataclass
class FixedClock:
    """A clock that somebody else moves."""

    ms: int

    def now_ms(self) -> int:
        return self.ms


def accounts(
    names: Sequence[str], now_ms: int, *, proven: bool = True
) -> list[Account]:
    """Return users with their roots on one identity ledger, proven at `now_ms`."""
    return asyncio.run(_accounts(names, now_ms, proven=proven))


async def _accounts(
    names: Sequence[str], now_ms: int, *, proven: bool
) -> list[Account]:
    signer = Ed25519Signer(Secret(bytearray([99]) * 32))
    descriptor = embedded_descriptor(signer.public)
    setup = Setup(signer=signer, clock=FixedClock(now_ms), descriptor=descriptor)
    ledger, found = memory_ledger(setup), []
    for name in names:
        plan = UserPlan(name=name, clear=False, device_name="laptop")
        user = new_user(TOOLS, plan, ledger_id=ledger.ledger_id)
        receipt = await ledger.append(user.entry.data)
        # Unregistered: the proof is that of a topic with nothing in it.
        topic = receipt.topic if proven else type(receipt.topic)(b"\0" * 32)
        proof = encode_proof(await ledger.prove(topic))
        head = UserHead(
            ledger=ledger.ledger_id, topic=topic, head=receipt.head, count=1
        )
        ordered = OrderedEntry(time_ms=receipt.time_ms, entry=user.entry.data)
        told = TopicProof(
            descriptor=encode_descriptor(descriptor), records=(ordered,), proof=proof
        )
        found.append(_account(user, head, told))
    await ledger.close()
    return found


def _account(user: NewUser, head: UserHead, topic: TopicProof) -> Account:
    device = Ed25519Signer(user.seed)
    return Account(
        signer=device,
        user_id=user.user_id,
        device_id=device_id_of(device.public),
        user_secret=user.user_secret,
        head=head,
        topic=topic,
        info=user.info,
    )


def plan_of(policy: Policy, now_ms: int, *, public: bool = False) -> MeetingPlan:
    """Return a plan for a meeting of one day."""
    return MeetingPlan(
        info="a meeting",
        public=public,
        policy=policy,
        gateways=(),
        opens_ms=now_ms,
        ends_ms=now_ms + DAY_MS,
    )
