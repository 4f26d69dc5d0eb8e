# SPDX-License-Identifier: Apache-2.0
import time

import pytest

from incamera.errors import Code, PeerError
from incamera.node.ports import HpkeSealer, SystemClock, SystemEntropy
from incamera.protocol.kem import KEM_KEY_BYTES, open_sealed
from incamera.protocol.ports import Clock, Entropy, Sealer


def test_the_real_ports_fit_the_protocol() -> None:
    clock: Clock = SystemClock()
    entropy: Entropy = SystemEntropy()
    sealer: Sealer = HpkeSealer(SystemEntropy())
    assert abs(clock.now_ms() - time.time() * 1000) < 1000
    assert len(entropy.draw(32)) == 32
    assert len(sealer.new_kem_pair().public) == KEM_KEY_BYTES


def test_entropy_does_not_repeat() -> None:
    entropy = SystemEntropy()
    drawn = {bytes(entropy.draw(16)) for _ in range(100)}
    assert len(drawn) == 100
    assert entropy.draw(0) == b""


def test_what_is_sealed_opens_once_per_key() -> None:
    sealer = HpkeSealer(SystemEntropy())
    first, second = sealer.new_kem_pair(), sealer.new_kem_pair()
    boxes = {sealer.seal(first.public, info=b"i", plaintext=b"text") for _ in range(9)}
    assert len(boxes) == 9
    for box in boxes:
        assert open_sealed(first.seed, box, b"i").buffer == b"text"
        with pytest.raises(PeerError):
            open_sealed(second.seed, box, b"i")


def test_malformed_keys_are_refused() -> None:
    with pytest.raises(PeerError) as caught:
        HpkeSealer(SystemEntropy()).seal(b"", info=b"", plaintext=b"")
    assert caught.value.code is Code.BAD_KEY
