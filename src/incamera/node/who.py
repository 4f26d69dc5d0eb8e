# SPDX-License-Identifier: Apache-2.0
"""Who the owner of this home is: one user with one device (spec/identity.md, 2).

The device's secret key and the user secret lie sealed in the store and go nowhere
else.  Before each meeting the user's topic is proven anew: a proof may be ten minutes
old at most.
"""

from dataclasses import dataclass
from typing import Final

from incamera.errors import Code, UsageError
from incamera.ledger.base import Ledger
from incamera.node.store import Store
from incamera.protocol.account import NewUser, name_of
from incamera.protocol.bodies import ClearInfo
from incamera.protocol.descriptor import encode_descriptor
from incamera.protocol.encoding import Value
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import LedgerId, TopicId, UserId
from incamera.protocol.proof import EMPTY_HEAD, Record, encode_proof
from incamera.protocol.seat import Account
from incamera.protocol.secret import Secret, wipe
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import device_id_of
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter
from incamera.protocol.statement import (
    InfoOpening,
    OrderedEntry,
    TopicProof,
    UserHead,
)

ITEM: Final = "identity"
FORMAT: Final = 1
DAMAGED: Final = "the saved identity is damaged"


@dataclass(frozen=True, slots=True)
class Who:
    """The owner: keys, home ledger and the root entry."""

    seed: Secret
    user_secret: Secret
    info: InfoOpening | None
    ledger_id: LedgerId
    root: bytes

    @classmethod
    def of(cls, user: NewUser, ledger_id: LedgerId) -> "Who":
        """Return a new user, whose root entry is for `ledger_id`."""
        return cls(user.seed, user.user_secret, user.info, ledger_id, user.entry.data)

    @property
    def user_id(self) -> UserId:
        """The id of the root entry."""
        return UserId(parse_entry(self.root).id)

    @property
    def public(self) -> bool:
        """True when the name stands on the ledger in clear."""
        return self.info is None

    @property
    def name(self) -> str:
        """The user's own name."""
        if self.info is not None:
            return name_of(self.info)
        body = parse_entry(self.root).body
        info = getattr(body, "info", None)
        return info.name if isinstance(info, ClearInfo) else ""

    @property
    def device(self) -> Ed25519Signer:
        """The device's signer."""
        return Ed25519Signer(self.seed)

    def save(self, store: Store) -> None:
        """Seal it into the store; durable on return."""
        writer = SnapshotWriter()
        info: Value = None
        if self.info is not None:
            info = [self.info.nonce, self.info.info]
        secrets: Value = [writer.put(self.seed), writer.put(self.user_secret)]
        snapshot = writer.finish([FORMAT, self.ledger_id, self.root, info, secrets])
        try:
            store.save(ITEM, snapshot)
        finally:
            wipe(snapshot)

    @classmethod
    def load(cls, store: Store) -> "Who | None":
        """Return the owner, None before one was created; UsageError(STORAGE)."""
        if ITEM not in store.names():
            return None
        snapshot = store.load(ITEM)
        reader = SnapshotReader(snapshot)
        wipe(snapshot)
        match reader.value:
            case [1, bytes() as ledger, bytes() as root, info, [seed, user_secret]]:
                opening = None
                match info:
                    case [bytes() as nonce, bytes() as text]:
                        opening = InfoOpening(nonce=nonce, info=text)
                keys = reader.take(seed), reader.take(user_secret)
                reader.wipe()
                return cls(*keys, opening, LedgerId(ledger), root)
        raise UsageError(Code.STORAGE, DAMAGED)

    async def account(self, ledger: Ledger) -> Account:
        """Return what a meeting needs to know of us, freshly proven.

        Raises LedgerError as the ledger does, UNREACHABLE when our home ledger is away.
        """
        topic = TopicId(self.user_id)
        records = await ledger.read(topic)
        proof = await ledger.prove(topic)
        signer = self.device
        return Account(
            signer=signer,
            user_id=self.user_id,
            device_id=device_id_of(signer.public),
            user_secret=self.user_secret,
            head=UserHead(
                ledger=ledger.ledger_id,
                topic=topic,
                head=proof.head or EMPTY_HEAD,
                count=proof.count,
            ),
            topic=TopicProof(
                descriptor=encode_descriptor(ledger.descriptor),
                records=tuple(map(_ordered, records)),
                proof=encode_proof(proof),
            ),
            info=self.info,
        )


def _ordered(record: Record) -> OrderedEntry:
    return OrderedEntry(time_ms=record.time_ms, entry=record.entry)
