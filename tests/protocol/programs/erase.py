# SPDX-License-Identifier: Apache-2.0
"""A member's life with keys, for a parent that looks into this process's memory.

Reads 64 secret bytes from standard input: KEM seed and entropy.  Does with them what a
leader and a member do, says `during`, waits for a line, erases, says `after`, waits
again.  With the argument `leak` it keeps one careless copy.
"""

import gc
import os
import sys

from incamera.protocol.box import GroupContext, open_group, seal_group
from incamera.protocol.ids import EntryId, KeyId, LedgerId, MeetingId, VerifyKey
from incamera.protocol.kem import SUITE, kem_public, load_kem_key, open_sealed
from incamera.protocol.schedule import (
    EpochContext,
    base_key,
    commitment,
    committed_key,
    gate_seed,
    group_key,
    link_root,
    meeting_key,
    ratchet_seed,
)
from incamera.protocol.secret import Secret
from incamera.protocol.wraps import LeaderKek, MemberKek, Pair, WrapContext

MEETING, PREV, KEY = MeetingId(b"m" * 32), EntryId(b"p" * 32), KeyId(b"k" * 32)
VK = VerifyKey(b"v" * 32)
PAIR = Pair(meeting=MEETING, leader=VK, member=VK, kek_id=b"i" * 32, generation=0)
WRAP = WrapContext(prev_epoch=PREV, key_id=KEY, slot=1)
GROUP = GroupContext(meeting=MEETING, prev_epoch=PREV, key_id=KEY)


def context(epoch: int) -> EpochContext:
    return EpochContext(
        meeting=MEETING, prev_epoch=PREV, roster_root=b"r" * 32, term=0, epoch=epoch
    )


def live(kem_seed: Secret, entropy: Secret) -> list[Secret]:
    """Use every derivation once; return all secrets that a member would hold."""
    kek = ratchet_seed(entropy, context(100))  # stands for a drawn KEK
    sealed = SUITE.encrypt(kek.buffer, load_kem_key(kem_public(kem_seed)), b"info")
    member = MemberKek(PAIR, open_sealed(kem_seed, sealed, b"info"))
    leader = LeaderKek(PAIR, kek)
    seed = ratchet_seed(entropy, context(101))  # stands for a drawn seed
    got = member.open(leader.wrap(seed, WRAP), WRAP)
    committed = commitment(meeting_key(seed, context(1)))
    key = committed_key(got, context(1), committed)
    stream = base_key(key, meeting=MEETING, epoch=1, slot=1, number=0)
    group = group_key(key, KEY)
    box = seal_group(group, b"hello", context=GROUP, slot=1, salt=b"s" * 16)
    open_group(group, box, GROUP)
    root = link_root(entropy)
    gate = gate_seed(root, LedgerId(b"l" * 32))
    following = ratchet_seed(key, context(2))
    ends = [leader.key, member.key]
    return [
        kem_seed,
        entropy,
        seed,
        got,
        key,
        stream,
        group,
        root,
        gate,
        following,
        *ends,
    ]


def main() -> None:
    drawn = bytearray(64)
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        stdin.readinto(drawn)
        secrets = live(Secret(drawn[:32]), Secret(drawn[32:]))
        careless = bytes(secrets[4].buffer) if "leak" in sys.argv else b""
        drawn[:] = bytes(64)
        os.write(1, b"during\n")
        stdin.read(1)
        for secret in secrets:
            secret.wipe()
        gc.collect()
        os.write(1, b"after %d\n" % len(careless))
        stdin.read(1)


main()
