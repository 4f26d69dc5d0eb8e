# SPDX-License-Identifier: Apache-2.0
"""What does a new key cost when one of a thousand is removed?

The leader's machine removes a member: a fresh epoch entry on the ledger, its seed
wrapped for each of the others.  A receiver takes that epoch: entry, signature, rules,
roster root, wrap, commitment.  CPU time of one core; disk and network are not in it.

What it achieves: the removed member opens nothing sent later, all agree on the roster
(its root is in the signed entry, and in the key), a wrap recorded today is not opened
by a device seized tomorrow.  What it does not: pairwise keys stand, so a copied one
goes on opening wraps until its member was given another.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))  # the other benches
from bench._crowd import NOW_MS, Crowd, Laps, accounts
from bench._noise import machine_noise, noise_line
from bench._primitives import primitives

from incamera.errors import PeerError
from incamera.protocol import effects as fx
from incamera.protocol.ids import KeyId
from incamera.protocol.member import Member
from incamera.protocol.message import encode_unsigned, parse_wrap_batch, split_batch
from incamera.protocol.signing import kid_of

MEMBERS: Final = 1000
REMOVALS: Final = 15
PAUSE_MS: Final = 5_000
"""Between two removals: old keys are dropped meanwhile."""
LEADER_TARGET_MS: Final = 40.0
RECEIVER_TARGET_MS: Final = 2.0
WRAP_TARGET: Final = 64
RELAYS_TARGET: Final = 200_000
ROWS: Final = {
    "draft": "leader: roster, root, key, entry signed",
    "land": "leader: entry judged, seed wrapped for each",
    "leader": "leader in all",
    "entry": "receiver: entry, signature, rules, roster root",
    "wrap": "receiver: wrap opened, key checked, answered",
    "receiver": "receiver in all",
    "push": "receiver, before: the entry seen early",
}


class Bystander:
    """One member among the others, who only listens."""

    def __init__(self, crowd: Crowd, member: Member, posts: list[fx.Post]) -> None:
        """Read the meeting so far, and take what was posted."""
        self.member = member
        for record in crowd.records:
            member.got_record(record, NOW_MS)
        for post in posts:
            for message in self.own(post):
                member.got_message(message, NOW_MS)
        assert self.holds(crowd), "the bystander did not come in"

    def holds(self, crowd: Crowd) -> bool:
        """True if it holds the key of the newest epoch."""
        last = KeyId(crowd.leader.room.meeting_state.last)
        return last in self.member.room.keyring

    def own(self, post: fx.Post) -> list[bytes]:
        """Return what the relay passes on to us of a post."""
        seat = self.member.room.me
        if post.to is not None:
            mine = post.to == kid_of(self.member.room.seat.signer.public)
            return [post.message] if mine else []
        try:
            wraps = split_batch(parse_wrap_batch(post.message))
        except PeerError:
            return [post.message]
        mine_too = seat is not None and seat.slot in wraps
        return [encode_unsigned(wraps[seat.slot])] if seat and mine_too else []


def crowded(members: int) -> tuple[Crowd, list[fx.Post]]:
    """Return a meeting of so many, and all that its leader posted to let them in."""
    names = [f"guest {number}" for number in range(members - 1)]
    founder, *guests = accounts(["leader", *names], NOW_MS)
    crowd = Crowd(founder)
    for entry, box in crowd.ask(guests):
        crowd.give(entry)
        crowd.leader.got_message(box, NOW_MS)
    effects = []
    for request in crowd.waiting():
        effects += crowd.leader.admit(request, NOW_MS)
    posts = crowd.land(effects)
    assert len(crowd.leader.room.inside()) == members, "not everybody came in"
    return crowd, posts


def removal(crowd: Crowd, bystander: Bystander, victim: Member) -> dict[str, float]:
    """Remove somebody; return CPU milliseconds by row, and bytes."""
    laps, leader, me = Laps(), crowd.leader, bystander.member
    crowd.now_ms += PAUSE_MS
    now_ms, who = crowd.now_ms, victim.room.seat.entry
    effects = laps.run("draft", lambda: leader.remove(who, now_ms))
    (entry,) = [e.entry for e in effects if isinstance(e, fx.Append)]
    (push,) = [e.message for e in effects if isinstance(e, fx.Post)]
    laps.run("push", lambda: me.got_message(push, now_ms))
    landed = laps.run("land", lambda: crowd.give(entry))
    posts = [e for e in landed if isinstance(e, fx.Post)]
    laps.run("entry", lambda: me.got_record(crowd.records[-1], now_ms))
    mine = [data for post in posts for data in bystander.own(post)]
    laps.run("wrap", lambda: [me.got_message(data, now_ms) for data in mine])
    assert bystander.holds(crowd), "the bystander was left behind"
    for member in (leader, me):
        member.tick(now_ms + PAUSE_MS // 2)
        member.tick(now_ms + PAUSE_MS - 1)
    others = len(leader.room.inside()) - 1
    found = {step: 1000 * spent for step, spent in laps.take().items()}
    found |= {
        "leader": found["draft"] + found["land"],
        "receiver": found["entry"] + found["wrap"],
        "batch_bytes_each": sum(len(post.message) for post in posts) / others,
        "wrap_bytes": sum(map(len, mine)),
        "entry_bytes": len(entry),
        "relays_bytes": others * (sum(map(len, mine)) + len(push)),
    }
    return found


def report(runs: Sequence[dict[str, float]], members: int) -> None:
    """Print the table and one line of JSON."""
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    bare = {name: cpu_s * 1e6 for name, cpu_s in primitives().items()}
    floor = (bare["sign"] + bare["verify"] + members * bare["aes"]) / 1000
    targets = {"leader": LEADER_TARGET_MS, "receiver": RECEIVER_TARGET_MS}
    print(f"one of {members} is removed (median of {len(runs)}, CPU)")
    for row, words in ROWS.items():
        target = f"  target {targets[row]:.0f} ms" if row in targets else ""
        print(f"  {words:48} {median[row]:8.2f} ms{target}")
    print("bytes")
    print(
        f"  {'a wrap as its member gets it':48} {median['wrap_bytes']:8.0f}"
        f"     target {WRAP_TARGET}"
    )
    print(
        f"  {'a wrap in the batch that the leader posts':48} "
        f"{median['batch_bytes_each']:8.1f}"
    )
    print(f"  {'the entry':48} {median['entry_bytes']:8.0f}")
    wraps = median["wrap_bytes"] * (members - 2)
    print(f"  {'wraps leaving all relays':48} {wraps:8.0f}     target {RELAYS_TARGET}")
    print(
        f"  {'the same with the entry pushed to each':48} {median['relays_bytes']:8.0f}"
    )
    print(
        f"beside it, bare: one signature, one verification, {members} AES-256-GCM seals"
        f" {floor:.2f} ms; one verification and one open"
        f" {(bare['verify'] + bare['aes']) / 1000:.3f} ms"
    )
    noise = machine_noise()
    print(noise_line(noise))
    result = {
        "bench": "rekey",
        "members": members,
        "removals": len(runs),
        **{name: round(value, 3) for name, value in median.items()},
        "bare_us": {name: round(value, 2) for name, value in bare.items()},
        "noise": noise,
    }
    print(json.dumps(result))


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=MEMBERS)
    given = parser.parse_args(arguments)
    print(f"rekey: a meeting of {given.members} gathers", file=sys.stderr, flush=True)
    crowd, posts = crowded(given.members)
    bystander = Bystander(crowd, crowd.joiners[-1], posts)
    victims = crowd.joiners[1 : -1 : max(1, given.members // REMOVALS)][:REMOVALS]
    report([removal(crowd, bystander, victim) for victim in victims], given.members)


if __name__ == "__main__":
    main(sys.argv[1:])
