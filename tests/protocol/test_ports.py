# SPDX-License-Identifier: Apache-2.0
"""The core draws on whatever stands behind its ports: here nothing is random."""

from incamera.protocol.ports import Clock, Entropy, KemPair, Sealer
from incamera.protocol.seat import OwnKems, Tools
from incamera.protocol.secret import Secret


class Counting:
    """Entropy, time and seals by counting: each value once, and known beforehand."""

    def __init__(self) -> None:
        self.count = 0

    def now_ms(self) -> int:
        self.count += 1
        return self.count

    def draw(self, size: int) -> bytearray:
        return bytearray([self.now_ms()]) * size

    def new_kem_pair(self) -> KemPair:
        seed = self.draw(32)
        return KemPair(Secret(seed), bytes(seed[:1]) * 1216)

    def seal(
        self, public: bytes, *, info: bytes, plaintext: bytes | bytearray
    ) -> bytes:
        return public[:1] + info + bytes(plaintext)


def test_secrets_and_nonces_are_what_entropy_gives() -> None:
    tools = Tools(entropy=Counting(), sealer=Counting())
    assert bytes(tools.secret().buffer) == bytes([1]) * 32
    assert tools.nonce() == bytes([2]) * 32


def test_kem_keys_are_the_sealers() -> None:
    sealer = Counting()
    first = OwnKems.fresh(sealer)
    second = first.renewed(sealer)
    assert [pair.public[0] for pair in (second.current, second.spare)] == [3, 2]
    assert second.generation == 1
    assert bytes(first.current.seed.buffer) == bytes(32)


def test_one_object_may_stand_behind_all_ports() -> None:
    counting = Counting()
    clock: Clock = counting
    entropy: Entropy = counting
    sealer: Sealer = counting
    assert (clock.now_ms(), bytes(entropy.draw(2))) == (1, b"\2\2")
    assert sealer.seal(b"k", info=b"i", plaintext=b"p") == b"kip"
