# SPDX-License-Identifier: Apache-2.0
"""How large is a proof and how long does it take to verify, by number of topics?

Targets: at a million topics the map's path takes at most 1 kB and 1 ms to verify.
Beside it: the one Ed25519 verification that a whole proof contains.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from incamera.ledger.book import Contents, Topic
from incamera.ledger.seal import Sealer
from incamera.protocol.attestation import verify_attestation
from incamera.protocol.descriptor import embedded_descriptor
from incamera.protocol.encoding import encode
from incamera.protocol.ids import Head, TopicId
from incamera.protocol.proof import (
    Proof,
    encode_proof,
    map_value,
    parse_proof,
    verify_proof,
)
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import verify_signature
from incamera.protocol.smt import MAP_PROOF, verify_map

SIZES = (10_000, 100_000, 1_000_000)
SAMPLE = 200
TARGET_BYTES = 1000
TARGET_MS = 1.0
SIGNER = Ed25519Signer(Secret(bytearray(b"b" * 32)))
DESCRIPTOR = embedded_descriptor(SIGNER.public)


def topic(number: int) -> TopicId:
    """Return the id of one topic."""
    return TopicId(sha256(b"topic %d" % number).digest())


def filled(size: int) -> tuple[Sealer, dict[TopicId, Topic], float]:
    """Return a ledger of `size` topics and the seconds its map took."""
    heads = {
        topic(n): Topic(n + 1, 1, Head(sha256(b"%d" % n).digest())) for n in range(size)
    }
    sealer = Sealer(DESCRIPTOR, SIGNER, Contents({}, ()))
    start = time.perf_counter()
    sealer.adopt(sealer.next(heads, 1_800_000_000_000))
    return sealer, heads, time.perf_counter() - start


def median_ms(job: Callable[[Proof], object], proofs: list[Proof]) -> float:
    """Return the median milliseconds of a job over all proofs."""
    found = []
    for proof in proofs:
        start = time.perf_counter()
        job(proof)
        found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found)


def verify_path(proof: Proof) -> None:
    """Verify the map's path alone."""
    assert proof.head is not None, "every topic of the sample is there"
    value = map_value(proof.head, proof.count)
    root = proof.attestation.leaf.map_root
    verify_map(root, proof.map, key=proof.topic, value=value)


def measure(size: int) -> dict[str, float]:
    """Measure one size."""
    sealer, heads, seconds = filled(size)
    some = [topic(n * (size // SAMPLE)) for n in range(SAMPLE)]
    proofs = [sealer.prove(name, heads[name]) for name in some]
    attestation = proofs[0].attestation
    start = time.perf_counter()
    for name in some:
        sealer.prove(name, heads[name])
    made = (time.perf_counter() - start) * 1000 / SAMPLE
    paths = [len(encode(MAP_PROOF.encode(proof.map))) for proof in proofs]
    return {
        "topics": size,
        "build_s": seconds,
        "depth": statistics.mean(len(proof.map.siblings) for proof in proofs),
        "path_bytes": statistics.median(paths),
        "path_bytes_max": max(paths),
        "proof_bytes": statistics.median(len(encode_proof(p)) for p in proofs),
        "prove_ms": made,
        "path_verify_ms": median_ms(verify_path, proofs),
        "proof_verify_ms": median_ms(lambda p: verify_proof(p, DESCRIPTOR), proofs),
        "parse_and_verify_ms": median_ms(
            lambda p: verify_proof(parse_proof(encode_proof(p)), DESCRIPTOR), proofs
        ),
        "attestation_verify_ms": median_ms(
            lambda p: verify_attestation(p.attestation, DESCRIPTOR),
            [replace(p, attestation=attestation) for p in proofs],
        ),
        "signature_verify_ms": signature_ms(),
    }


def signature_ms() -> float:
    """Return the median milliseconds of one bare Ed25519 verification."""
    message = bytes(300)
    signature, found = SIGNER.sign(message), []
    for _ in range(SAMPLE):
        start = time.perf_counter()
        verify_signature(SIGNER.public, signature, message)
        found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found)


def main() -> None:
    """Measure all sizes and print."""
    print("proofs of a topic's head")
    print("    topics  path B (max)  proof B   path ms  proof ms  one signature ms")
    rows = []
    for size in SIZES:
        found = measure(size)
        rows.append({name: round(value, 4) for name, value in found.items()})
        print(
            f"{size:10,}  {found['path_bytes']:5.0f} ({found['path_bytes_max']:4.0f})"
            f"  {found['proof_bytes']:7.0f}  {found['path_verify_ms']:8.4f}"
            f"  {found['proof_verify_ms']:8.4f}  {found['signature_verify_ms']:16.4f}"
        )
    print(f"targets at {SIZES[-1]:,}: path {TARGET_BYTES} B, {TARGET_MS} ms")
    print(json.dumps({"bench": "proofs", "rows": rows}))


if __name__ == "__main__":
    main()
