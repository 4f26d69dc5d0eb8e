# SPDX-License-Identifier: Apache-2.0
"""What do the bare primitives cost on this machine, in this run?

The same libraries that the package uses, called alone: keys are ready, nothing is
parsed, checked or bound to anything.
"""

import statistics
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
)
from nacl.bindings import crypto_sign_open

from incamera.protocol.kem import SUITE

MESSAGE = bytes(300)
ROUNDS = 300
GROUPS = 9


def cpu_s(job: Callable[[], object]) -> float:
    """Return the CPU seconds of one call: the median of several groups of calls."""
    found = []
    for _ in range(GROUPS):
        start = time.thread_time()
        for _ in range(ROUNDS // GROUPS):
            job()
        found.append((time.thread_time() - start) / (ROUNDS // GROUPS))
    return statistics.median(found)


def primitives() -> dict[str, float]:
    """Return CPU seconds per call, by name."""
    signer = Ed25519PrivateKey.generate()
    signed = signer.sign(MESSAGE) + MESSAGE
    public = signer.public_key().public_bytes_raw()
    lattice, curve = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    private = MLKEM768X25519PrivateKey(lattice, curve)
    shown = MLKEM768X25519PublicKey(lattice.public_key(), curve.public_key())
    sealed = SUITE.encrypt(MESSAGE, shown, b"info")
    cipher = AESGCM(bytes(32))
    return {
        "verify": cpu_s(lambda: crypto_sign_open(signed, public)),
        "sign": cpu_s(lambda: signer.sign(MESSAGE)),
        "open": cpu_s(lambda: SUITE.decrypt(sealed, private, b"info")),
        "seal": cpu_s(lambda: SUITE.encrypt(MESSAGE, shown, b"info")),
        "aes": cpu_s(lambda: cipher.encrypt(bytes(12), MESSAGE[:32], None)),
    }
