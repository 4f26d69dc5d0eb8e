# SPDX-License-Identifier: Apache-2.0
"""What does an embedded ledger prove and sign (spec/ledger.md, sections 4 to 7)?

Holds the map of heads and the log of map roots.  A `Step` is the next map and log leaf;
only when the store has it on disk is it chained and signed, so no signature ever
speaks of something that a crash could take back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from incamera.errors import Code, LedgerError
from incamera.ledger.book import Contents, Topic
from incamera.protocol.attestation import CheckpointAttestation, LogLeaf, encode_leaf
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import Descriptor, encode_descriptor, ledger_id_of
from incamera.protocol.ids import TopicId
from incamera.protocol.log import Log, leaf_hash
from incamera.protocol.ports import Signer
from incamera.protocol.proof import Proof, map_value
from incamera.protocol.smt import SparseMap


@dataclass(frozen=True, slots=True)
class Step:
    """The map and the log leaf that come next."""

    map: SparseMap
    leaf: LogLeaf


class Sealer:
    """Map, log and newest signed checkpoint of one ledger."""

    def __init__(
        self, descriptor: Descriptor, signer: Signer, contents: Contents
    ) -> None:
        """Rebuild from a store's contents.

        Raises LedgerError: WRONG_LEDGER if the signer is not the descriptor's,
        STORAGE if the heads are not those of the last leaf.
        """
        if signer.public != descriptor.genesis.checkpoint_key:
            raise LedgerError(Code.WRONG_LEDGER, "the key is not this ledger's")
        self.ledger = ledger_id_of(encode_descriptor(descriptor))
        self._signer = signer
        self._map = SparseMap(_items(contents.topics))
        self._topics = len(contents.topics)
        self._log = Log()
        for leaf in contents.leaves:
            self._log.append(leaf_hash(encode_leaf(leaf)))
        self._attestation: CheckpointAttestation | None = None
        if contents.leaves:
            if contents.leaves[-1].map_root != self._map.root():
                raise LedgerError(Code.STORAGE, "stored heads were altered")
            self._attestation = self._attest(contents.leaves[-1])

    @property
    def time_ms(self) -> int | None:
        """Ledger time of the newest leaf; None before the first."""
        return self._attestation.leaf.time_ms if self._attestation else None

    @property
    def attestation(self) -> CheckpointAttestation:
        """The newest signed checkpoint, once there is a leaf."""
        assert self._attestation is not None, "the first leaf precedes any proof"
        return self._attestation

    def next(self, topics: Mapping[TopicId, Topic], time_ms: int) -> Step:
        """Return what follows when `topics` change; changes nothing."""
        # Topics are numbered from 1 without gaps.
        count = max([self._topics, *(topic.number for topic in topics.values())])
        following = self._map.updated(_items(topics))
        leaf = LogLeaf(time_ms=time_ms, map_root=following.root(), topics=count)
        return Step(following, leaf)

    def adopt(self, step: Step) -> None:
        """Chain and sign a step that is durable."""
        self._map, self._topics = step.map, step.leaf.topics
        self._log.append(leaf_hash(encode_leaf(step.leaf)))
        self._attestation = self._attest(step.leaf)

    def prove(self, topic: TopicId, known: Topic | None) -> Proof:
        """Return the proof of a topic's head, or of its absence."""
        return Proof(
            ledger=self.ledger,
            topic=topic,
            head=known.head if known else None,
            count=known.count if known else 0,
            map=self._map.prove(topic),
            attestation=self.attestation,
        )

    def consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """Return a proof; LedgerError(ROLLED_BACK) for sizes this log never had."""
        if not 0 <= old_size <= new_size <= len(self._log):
            raise LedgerError(Code.ROLLED_BACK, f"the log has {len(self._log)} leaves")
        return self._log.prove_consistency(old_size, new_size)

    def _attest(self, leaf: LogLeaf) -> CheckpointAttestation:
        size = len(self._log)
        checkpoint = Checkpoint(
            ledger=self.ledger,
            size=size,
            root=self._log.root(),
            map_root=leaf.map_root,
            time_ms=leaf.time_ms,
        )
        note = format_note(sign_checkpoint(checkpoint, self._signer))
        path = self._log.prove_inclusion(size - 1, size)
        return CheckpointAttestation(note=note, leaf=leaf, path=path)


def _items(topics: Mapping[TopicId, Topic]) -> list[tuple[bytes, bytes]]:
    return [(topic, map_value(item.head, item.count)) for topic, item in topics.items()]
