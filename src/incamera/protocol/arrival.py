# SPDX-License-Identifier: Apache-2.0
"""How a seat is taken: publishing a meeting, or asking into one (spec/meeting.md, 7).

Equations (5) to (7) of the paper are `publish_meeting`, (8) to (10) `ask_to_join`; the
identity proof is committed to, and in clear only in a meeting that is public.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from incamera.protocol import labels
from incamera.protocol.bodies import MemberKind, Publish, Request
from incamera.protocol.entry import Entry, sign_entry, sign_request
from incamera.protocol.fields import Gateway
from incamera.protocol.ids import EntryId, LedgerId, MeetingId, UserTag
from incamera.protocol.policy import Policy
from incamera.protocol.schedule import (
    gate_seed,
    identity_commitment,
    info_commitment,
    link_root,
    user_tag,
)
from incamera.protocol.seat import Account, OwnKems, Seat, Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.statement import (
    IdentityOpening,
    MeetingInfo,
    Purpose,
    Statement,
    sign_statement,
)
from incamera.protocol.topic import RULES

CODE_CHAIN: Final = 256
"""Links of the hash chain behind the meeting code: one per comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingPlan:
    """What the founder decides; times in ms since 1970."""

    info: str
    public: bool
    policy: Policy
    gateways: tuple[Gateway, ...]
    opens_ms: int
    ends_ms: int
    kind: MemberKind = MemberKind.PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a joiner has verified before it asks: publish, and the link's secret."""

    meeting: MeetingId
    ledger_id: LedgerId
    publish: Publish
    secret: Secret
    kind: MemberKind = MemberKind.PERSON

    @property
    def public(self) -> bool:
        """True when identities stand in clear in this meeting."""
        return is_public(self.publish)


def is_public(publish: Publish) -> bool:
    """Return whether a meeting publishes identities in clear."""
    return len(publish.identity) != len(publish.nonce)


def gate_signer(secret: Secret, ledger_id: LedgerId) -> Ed25519Signer:
    """Return the gate key that follows from a link's secret."""
    root = link_root(secret)
    seed = gate_seed(root, ledger_id)
    signer = Ed25519Signer(seed)
    for part in (root, seed):
        part.wipe()
    return signer


def code_head(seed: Secret) -> bytes:
    """Return x_0, the end of the code chain that starts at `seed`."""
    link = bytes(seed.buffer)
    for _ in range(CODE_CHAIN):
        link = sha256(labels.CODE + link).digest()
    return link


def publish_meeting(
    account: Account, tools: Tools, *, plan: MeetingPlan, ledger_id: LedgerId
) -> tuple[Seat, Entry]:
    """Return the founder's seat and the publish entry, not yet on the ledger."""
    keys = _Keys(tools)
    nonce, link_secret = tools.nonce(), tools.secret()
    tag = user_tag(
        account.user_secret,
        ledger_id=ledger_id,
        leader=keys.signer.public,
        nonce=nonce,
    )
    statement = keys.statement(account, Purpose.PUBLISH, subject=nonce, tag=tag)
    opening, identity = _prove(account, tools, statement, public=plan.public)
    info = _info(plan, tools)
    body = Publish(
        rules=RULES,
        nonce=nonce,
        mvk=keys.signer.public,
        kem_hash=keys.kems.hash,
        tag=tag,
        kind=plan.kind,
        code=code_head(keys.code_seed),
        identity=identity,
        info=plan.info if info is None else _commit(info),
        policy=plan.policy,
        gate=gate_signer(link_secret, ledger_id).public,
        gateways=plan.gateways,
        fallbacks=(),
        opens_ms=plan.opens_ms,
        ends_ms=plan.ends_ms,
    )
    entry = sign_entry(keys.signer, body, place=ledger_id, seq=0, prev=None)
    seat = keys.seat(
        MeetingId(entry.id),
        ledger_id=ledger_id,
        entry=entry,
        link_secret=link_secret,
        opening=opening,
        info=info,
    )
    return seat, entry


def ask_to_join(
    account: Account, tools: Tools, *, invitation: Invitation
) -> tuple[Seat, Entry]:
    """Return the joiner's seat and the request entry, not yet on the ledger."""
    keys = _Keys(tools)
    publish = invitation.publish
    tag = user_tag(
        account.user_secret,
        ledger_id=invitation.ledger_id,
        leader=publish.mvk,
        nonce=publish.nonce,
    )
    statement = keys.statement(
        account, Purpose.JOIN, subject=invitation.meeting, tag=tag
    )
    opening, identity = _prove(account, tools, statement, public=invitation.public)
    body = Request(
        mvk=keys.signer.public,
        tag=tag,
        kem_hash=keys.kems.hash,
        nonce=tools.nonce(),
        kind=invitation.kind,
        code=code_head(keys.code_seed),
        identity=identity,
    )
    entry = sign_request(
        keys.signer,
        gate_signer(invitation.secret, invitation.ledger_id),
        body,
        place=invitation.meeting,
        seq=0,
        prev=None,
    )
    seat = keys.seat(
        invitation.meeting,
        ledger_id=invitation.ledger_id,
        entry=entry,
        link_secret=invitation.secret.copy(),
        opening=opening,
        info=None,
    )
    return seat, entry


class _Keys:
    """The fresh keys of one seat."""

    def __init__(self, tools: Tools) -> None:
        self.seed = tools.secret()
        self.signer = Ed25519Signer(self.seed)
        self.kems = OwnKems.fresh(tools.sealer)
        self.proof_key = tools.secret()
        self.code_seed = tools.secret()

    def statement(
        self, account: Account, purpose: Purpose, *, subject: bytes, tag: UserTag
    ) -> Statement:
        return Statement(
            purpose=purpose,
            subject=subject,
            mvk=self.signer.public,
            kem_hash=self.kems.hash,
            user_id=account.user_id,
            device_id=account.device_id,
            tag=tag,
            head=account.head,
        )

    def seat(  # one argument per fact of the seat
        self,
        meeting: MeetingId,
        *,
        ledger_id: LedgerId,
        entry: Entry,
        link_secret: Secret,
        opening: IdentityOpening,
        info: MeetingInfo | None,
    ) -> Seat:
        return Seat(
            meeting=meeting,
            ledger_id=ledger_id,
            entry=EntryId(entry.id),
            entry_bytes=entry.data,
            seed=self.seed,
            link_secret=link_secret,
            proof_key=self.proof_key,
            opening=opening,
            info=info,
            kems=self.kems,
            code_seed=self.code_seed,
        )


def _prove(
    account: Account, tools: Tools, statement: Statement, *, public: bool
) -> tuple[IdentityOpening, bytes]:
    """Return the opening and what the entry says of it: commitment or statement."""
    signed, nonce = sign_statement(account.signer, statement), tools.nonce()
    opening = IdentityOpening(
        statement=signed, nonce=nonce, topic=account.topic, info=account.info
    )
    return opening, signed if public else identity_commitment(nonce, signed)


def _info(plan: MeetingPlan, tools: Tools) -> MeetingInfo | None:
    if plan.public:
        return None
    return MeetingInfo(nonce=tools.nonce(), text=plan.info)


def _commit(info: MeetingInfo) -> bytes:
    return info_commitment(info.nonce, info.text.encode())
