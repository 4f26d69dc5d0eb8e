# SPDX-License-Identifier: Apache-2.0
"""What a member is in one meeting: its keys and its proof (spec/meeting.md, section 7).

A seat is taken by publishing a meeting or by asking to come into one, and is left
behind with it: every key here is fresh, used in this meeting only and erased with it.
"""

from dataclasses import dataclass, field, replace

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import Value
from incamera.protocol.ids import (
    DeviceId,
    EntryId,
    LedgerId,
    MeetingId,
    UserId,
)
from incamera.protocol.kem import kem_key_hash, kem_public
from incamera.protocol.message_bodies import MemberKeys
from incamera.protocol.ports import Entropy, KemPair, Sealer, Signer
from incamera.protocol.schedule import KEY_BYTES, kem_hash
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter
from incamera.protocol.statement import (
    IdentityOpening,
    InfoOpening,
    MeetingInfo,
    TopicProof,
    UserHead,
    encode_opening,
    parse_opening,
)


@dataclass(frozen=True, slots=True)
class Account:
    """As whom a device meets: its long-lived key and its user's proven topic."""

    signer: Signer
    user_id: UserId
    device_id: DeviceId
    user_secret: Secret
    head: UserHead
    topic: TopicProof
    info: InfoOpening | None


@dataclass(frozen=True, slots=True)
class Tools:
    """What the core draws on: entropy, and sealing that draws its own."""

    entropy: Entropy
    sealer: Sealer

    def secret(self) -> Secret:
        """Return 32 fresh secret bytes."""
        return Secret(self.entropy.draw(KEY_BYTES))

    def nonce(self) -> bytes:
        """Return 32 fresh bytes that will be public."""
        return bytes(self.entropy.draw(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class OwnKems:
    """Our KEM keys: one for the present leader and a spare for the next.

    The current one is replaced, and erased, once a meeting key came through it.
    """

    current: KemPair
    spare: KemPair
    generation: int = 0

    @classmethod
    def fresh(cls, sealer: Sealer) -> "OwnKems":
        """Return two new pairs."""
        return cls(sealer.new_kem_pair(), sealer.new_kem_pair())

    @property
    def hash(self) -> bytes:
        """What our publish or request says of the two public keys."""
        return kem_hash(self.current.public, self.spare.public)

    def body(self) -> MemberKeys:
        """Return the message that tells the leader our public keys."""
        return MemberKeys(
            current=self.current.public,
            spare=self.spare.public,
            generation=self.generation,
        )

    def find(self, key_hash: bytes) -> KemPair:
        """Return the pair with that public key; PeerError(MISSING_KEY)."""
        for pair in (self.current, self.spare):
            if kem_key_hash(pair.public) == key_hash:
                return pair
        raise PeerError(Code.MISSING_KEY, "sealed to a key that we no longer hold")

    def renewed(self, sealer: Sealer) -> "OwnKems":
        """Return the same with a new current key; erase the one before."""
        self.current.seed.wipe()
        return replace(
            self,
            current=sealer.new_kem_pair(),
            generation=self.generation + 1,
        )

    def wipe(self) -> None:
        """Erase all private keys."""
        for pair in (self.current, self.spare):
            pair.seed.wipe()

    def save(self, writer: SnapshotWriter) -> Value:
        """Return the saved form."""
        return [
            writer.put(self.current.seed),
            writer.put(self.spare.seed),
            self.generation,
        ]

    @classmethod
    def load(cls, value: Value, reader: SnapshotReader) -> "OwnKems":
        """Return what `save` wrote."""
        match value:
            case [current, spare, int() as generation]:
                return cls(
                    _pair(reader.take(current)), _pair(reader.take(spare)), generation
                )
        raise AssertionError("a snapshot is authentic before it is read")


@dataclass(slots=True)
class Seat:
    """Our place in one meeting; `entry` is our publish or request."""

    meeting: MeetingId
    ledger_id: LedgerId
    entry: EntryId
    entry_bytes: bytes
    seed: Secret
    link_secret: Secret
    proof_key: Secret
    opening: IdentityOpening
    info: MeetingInfo | None
    kems: OwnKems
    code_seed: Secret
    signer: Ed25519Signer = field(init=False)

    def __post_init__(self) -> None:
        self.signer = Ed25519Signer(self.seed)

    def wipe(self) -> None:
        """Erase every secret of the seat."""
        for secret in (self.seed, self.link_secret, self.proof_key, self.code_seed):
            secret.wipe()
        self.signer.wipe()
        self.kems.wipe()

    def save(self, writer: SnapshotWriter) -> Value:
        """Return the saved form."""
        info: Value = None
        if self.info is not None:
            info = [self.info.nonce, self.info.text]
        return [
            [self.meeting, self.ledger_id, self.entry, self.entry_bytes],
            [writer.put(secret) for secret in self._secrets()],
            encode_opening(self.opening),
            info,
            self.kems.save(writer),
        ]

    def _secrets(self) -> tuple[Secret, ...]:
        return self.seed, self.link_secret, self.proof_key, self.code_seed

    @classmethod
    def load(cls, value: Value, reader: SnapshotReader) -> "Seat":
        """Return what `save` wrote."""
        match value:
            case [
                [
                    bytes() as meeting,
                    bytes() as ledger,
                    bytes() as entry,
                    bytes() as data,
                ],
                [seed, link, proof, code],
                bytes() as opening,
                info,
                kems,
            ]:
                return cls(
                    meeting=MeetingId(meeting),
                    ledger_id=LedgerId(ledger),
                    entry=EntryId(entry),
                    entry_bytes=data,
                    seed=reader.take(seed),
                    link_secret=reader.take(link),
                    proof_key=reader.take(proof),
                    code_seed=reader.take(code),
                    opening=parse_opening(opening),
                    info=_info(info),
                    kems=OwnKems.load(kems, reader),
                )
        raise AssertionError("a snapshot is authentic before it is read")


def _pair(seed: Secret) -> KemPair:
    return KemPair(seed, kem_public(seed))


def _info(value: Value) -> MeetingInfo | None:
    match value:
        case [bytes() as nonce, str() as text]:
            return MeetingInfo(nonce=nonce, text=text)
    return None
