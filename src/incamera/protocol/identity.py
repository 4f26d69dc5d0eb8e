# SPDX-License-Identifier: Apache-2.0
"""Who is behind a meeting key, as far as a proof tells (spec/identity.md, section 4).

Every member runs this for every member.  The answer rests on the user's topic on its
home ledger: the device that signed the statement is active there, at a head proven no
more than ten minutes before the entry that we check was ordered.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import ClearInfo, Device, DeviceKind
from incamera.protocol.descriptor import ledger_id_of, parse_descriptor
from incamera.protocol.encoding import parse
from incamera.protocol.entry import parse_entry
from incamera.protocol.fields import is_clear_identity
from incamera.protocol.ids import DeviceId, Head, LedgerId, UserId, UserTag, VerifyKey
from incamera.protocol.proof import (
    EMPTY_HEAD,
    ProvenHead,
    Strength,
    fold_head,
    parse_proof,
    verify_proof,
)
from incamera.protocol.schedule import identity_commitment, info_commitment
from incamera.protocol.schema import MapOf
from incamera.protocol.statement import (
    IdentityOpening,
    InfoOpening,
    OrderedEntry,
    Purpose,
    Statement,
    TopicProof,
    UserHead,
    parse_statement,
)
from incamera.protocol.topic import RULES, Context, TopicState, apply
from incamera.protocol.user import UserState

MAX_AGE_MS: Final = 600_000
"""A head proven longer ago may hide a revocation (10 minutes)."""
_CLEAR_INFO: Final = MapOf(ClearInfo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What publish or request says, which the statement must repeat.

    `subject` is publish's nonce or the meeting id; `identity` is the entry's own field:
    32 bytes of commitment, or a statement in clear.
    """

    purpose: Purpose
    subject: bytes
    mvk: VerifyKey
    kem_hash: bytes
    tag: UserTag
    identity: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A proven identity; `info` is the name that the user claims, None if withheld."""

    user_id: UserId
    device_id: DeviceId
    tag: UserTag
    info: str | None
    ledger_id: LedgerId
    strength: Strength
    proven_ms: int
    head: UserHead


def verify_identity(
    opening: IdentityOpening,
    *,
    expected: Expected,
    ordered_ms: int,
    minimum: Strength = Strength.SELF,
) -> Identified:
    """Return who is behind an entry that was ordered at `ordered_ms`.

    Raises PeerError: BAD_OPENING (commitment), BAD_STATEMENT (signature, or it says
    something else than the entry), UNREGISTERED, DEVICE_NOT_ACTIVE, STALE_IDENTITY,
    BAD_PROOF, WRONG_LEDGER, WEAK_LEDGER, and what parsing and `apply` raise.
    """
    _check_commitment(opening, expected)
    statement = parse_statement(opening.statement)
    _compare(statement.body, expected)
    user, proven = _prove_user(opening.topic, statement.body)
    statement.verify(_active_device(user, statement.body).ivk)
    if ordered_ms - proven.time_ms > MAX_AGE_MS:
        raise PeerError(Code.STALE_IDENTITY, "user's head was proven too long ago")
    if proven.strength < minimum:
        raise PeerError(Code.WEAK_LEDGER, "user's ledger is weaker than demanded")
    return Identified(
        user_id=user.user_id,
        device_id=statement.body.device_id,
        tag=statement.body.tag,
        info=_open_info(user, opening.info),
        ledger_id=proven.ledger,
        strength=proven.strength,
        proven_ms=proven.time_ms,
        head=UserHead(
            ledger=proven.ledger,
            topic=proven.topic,
            head=proven.head or EMPTY_HEAD,
            count=proven.count,
        ),
    )


def _check_commitment(opening: IdentityOpening, expected: Expected) -> None:
    """The opening is the one that the entry stands for: in clear, or committed to."""
    said = opening.statement
    if not is_clear_identity(expected.identity):
        said = identity_commitment(opening.nonce, opening.statement)
    if not hmac.compare_digest(said, expected.identity):
        raise PeerError(Code.BAD_OPENING, "opening does not match the commitment")


def _compare(said: Statement, expected: Expected) -> None:
    for name in ("purpose", "subject", "mvk", "kem_hash", "tag"):
        if getattr(said, name) != getattr(expected, name):
            raise PeerError(Code.BAD_STATEMENT, f"statement has another {name}")


def _prove_user(topic: TopicProof, said: Statement) -> tuple[UserState, ProvenHead]:
    """Return the user's state at a proven head that the statement's head led to."""
    descriptor = parse_descriptor(topic.descriptor)
    ledger_id = ledger_id_of(topic.descriptor)
    proven = verify_proof(parse_proof(topic.proof), descriptor)
    if ledger_id != said.head.ledger:
        raise PeerError(Code.WRONG_LEDGER, "topic is proven on another ledger")
    if proven.topic != said.head.topic:
        raise PeerError(Code.BAD_PROOF, "proof of another topic")
    if proven.head is None:
        raise PeerError(Code.UNREGISTERED, "user is not on the ledger")
    state, heads = _fold(topic.records, ledger_id)
    if (heads[-1], len(topic.records)) != (proven.head, proven.count):
        raise PeerError(Code.BAD_PROOF, "entries do not lead to the proven head")
    if heads[said.head.count : said.head.count + 1] != [said.head.head]:
        raise PeerError(Code.BAD_PROOF, "statement's head is not in the topic")
    if not isinstance(state, UserState) or state.user_id != said.user_id:
        raise PeerError(Code.UNREGISTERED, "topic is not that of the user")
    return state, proven


def _fold(
    records: Sequence[OrderedEntry], ledger_id: LedgerId
) -> tuple[TopicState | None, list[Head]]:
    """Return the state after all entries, and the head before and after each."""
    state: TopicState | None = None
    heads = [EMPTY_HEAD]
    for index, ordered in enumerate(records):
        context = Context(ledger_id, RULES, index, ordered.time_ms)
        state = apply(state, parse_entry(ordered.entry), context)
        heads.append(fold_head(heads[-1], ordered.entry, ordered.time_ms))
    return state, heads


def _active_device(user: UserState, said: Statement) -> Device:
    """The device that signed: known when it signed, and not revoked since."""
    for known in user.devices:
        signs = known.device.kind is not DeviceKind.BACKUP
        active = known.revoked is None and known.added < said.head.count
        if known.device.id == said.device_id and signs and active:
            return known.device
    raise PeerError(Code.DEVICE_NOT_ACTIVE, "device is not active in the user's topic")


def _open_info(user: UserState, opening: InfoOpening | None) -> str | None:
    """The name: in clear, opened, or withheld."""
    if isinstance(user.info, ClearInfo):
        return user.info.name
    if opening is None:
        return None
    committed = info_commitment(opening.nonce, opening.info)
    if not hmac.compare_digest(committed, user.info):
        raise PeerError(Code.BAD_OPENING, "info does not match its commitment")
    return _CLEAR_INFO.decode(parse(opening.info)).name
