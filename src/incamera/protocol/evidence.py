# SPDX-License-Identifier: Apache-2.0
"""What shows a third person that somebody broke the rules (spec/incamera.cddl, 7)?

A closed union: each kind holds signed bytes and says by itself whom they convict; its
`verify` reads no state.  Two kinds exist.  Two votes, a forged roster, a wrong verdict
and an abuse report have their number and their form in the CDDL, and no parser yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

from incamera.errors import Code, PeerError
from incamera.protocol.attestation import (
    ATTESTATION,
    Attestation,
    ledger_of,
    verify_attestation,
)
from incamera.protocol.bodies import Epoch
from incamera.protocol.descriptor import Descriptor, Numbered
from incamera.protocol.encoding import MAX_ENTRY, MAX_MESSAGE, encode, parse
from incamera.protocol.entry import Entry, parse_entry
from incamera.protocol.ids import EntryId, LedgerId, MeetingId, VerifyKey
from incamera.protocol.log import MAX_PATH, node_hash, verify_inclusion
from incamera.protocol.meeting_rules import is_superseded
from incamera.protocol.schema import ArrayOf, ListOf, key, octets, record, refuse


class EvidenceKind(IntEnum):
    """What somebody did; the numbers are those of the wire form."""

    EPOCH_PAIR = 1
    LEDGER_FORK = 2
    VOTE_PAIR = 3
    FORGED_ROSTER = 4
    WRONG_VERDICT = 5
    ABUSE = 6


@dataclass(frozen=True, slots=True)
class Guilt:
    """Whom evidence convicts: the holder of a key, or a ledger, and of what."""

    kind: EvidenceKind
    who: VerifyKey | LedgerId


_ENTRY: Final = octets(1, MAX_ENTRY)
_NONE: Final[Mapping[EntryId, Epoch]] = MappingProxyType({})


@record
class EpochPair:
    """Two epochs of one term on one `prev_epoch`, neither superseding the other."""

    first: bytes = key(0, _ENTRY)
    second: bytes = key(1, _ENTRY)

    def verify(
        self,
        meeting: MeetingId,
        leader: VerifyKey,
        *,
        known: Mapping[EntryId, Epoch] = _NONE,
    ) -> Guilt:
        """Return that `leader` signed both.

        `known`: epochs through which one may supersede the other.  Raises PeerError:
        BAD_PROOF if they convict nobody, else as parsing and verifying entries.
        """
        first, second = (_epoch(d, meeting, leader) for d in (self.first, self.second))
        bodies = dict(known)
        for entry, body in (first, second):
            bodies[entry.id] = body
        (one, a), (two, b) = first, second
        if one.id == two.id or (a.term, a.prev_epoch) != (b.term, b.prev_epoch):
            raise _innocent("not two epochs of one term on one entry")
        if is_superseded(one.id, two.id, bodies) or is_superseded(
            two.id, one.id, bodies
        ):
            raise _innocent("one epoch supersedes the other")
        return Guilt(EvidenceKind.EPOCH_PAIR, leader)


def _epoch(data: bytes, meeting: MeetingId, leader: VerifyKey) -> tuple[Entry, Epoch]:
    entry = parse_entry(data)
    if not isinstance(entry.body, Epoch):
        raise _innocent("not an epoch")
    if entry.header.place != meeting:
        raise PeerError(Code.WRONG_PLACE, "epoch of another meeting")
    entry.verify(leader)
    return entry, entry.body


@record
class LedgerFork:
    """Two logs of one ledger of which neither extends the other.

    At equal sizes `path` is empty.  Else it is the hash of the leaf that the larger log
    has where the smaller one ends, and that leaf's inclusion path in the larger log.
    """

    smaller: Attestation = key(0, ATTESTATION)
    larger: Attestation = key(1, ATTESTATION)
    path: tuple[bytes, ...] = key(2, ListOf(octets(32), MAX_PATH))

    def verify(self, descriptor: Descriptor) -> Guilt:
        """Return that the ledger of `descriptor` signed both.

        Raises PeerError: BAD_PROOF if one log extends the other or `path` does not
        show that it does not, else as `verify_attestation`.
        """
        old = verify_attestation(self.smaller, descriptor)
        new = verify_attestation(self.larger, descriptor)
        shown = new.root
        if self.path:
            leaf, path = self.path[0], self.path[1:]
            verify_inclusion(
                leaf, path, index=old.size - 1, size=new.size, root=new.root
            )
            shown = _prefix_root(leaf, path, index=old.size - 1, size=new.size)
        elif old.size != new.size:
            raise _innocent("logs of two sizes and no path")
        if shown == old.root:
            raise _innocent("one log extends the other")
        return Guilt(EvidenceKind.LEDGER_FORK, ledger_of(descriptor))


def _prefix_root(
    leaf: bytes, path: tuple[bytes, ...], *, index: int, size: int
) -> bytes:
    """Return the root over the leaves up to `index`, from a verified inclusion path.

    All that lies left of the leaf, and nothing else, are the path's left siblings.
    """
    node, position, last = leaf, index, size - 1
    for sibling in path:
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        position, last = position >> 1, last >> 1
    return node


def _innocent(why: str) -> PeerError:
    return PeerError(Code.BAD_PROOF, why)


Evidence: TypeAlias = EpochPair | LedgerFork

_EPOCH_PAIR: Final = Numbered(EvidenceKind.EPOCH_PAIR, ArrayOf(EpochPair))
_LEDGER_FORK: Final = Numbered(EvidenceKind.LEDGER_FORK, ArrayOf(LedgerFork))


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the bytes of a piece of evidence."""
    match evidence:
        case EpochPair():
            return encode(_EPOCH_PAIR.encode(evidence))
        case LedgerFork():
            return encode(_LEDGER_FORK.encode(evidence))
    assert_never(evidence)


def parse_evidence(data: bytes) -> Evidence:
    """Parse a piece of evidence; verifies nothing.

    Raises PeerError as every parser; UNKNOWN_TYPE for the kinds that come later.
    """
    value = parse(data, MAX_MESSAGE)
    match value:
        case [EvidenceKind.EPOCH_PAIR, *_]:
            return _EPOCH_PAIR.decode(value)
        case [int(), *_]:
            return _LEDGER_FORK.decode(value)
    raise refuse("not evidence")
