# SPDX-License-Identifier: Apache-2.0
"""HPKE boxes of the vectors, made once: sealing draws randomness, opening does not.

`seals.json` beside this file holds them.  Run this module to make the ones that are
missing; the ones that are there stay.
"""

import json
from pathlib import Path
from typing import Any

from spec.generators._cases import digest, secret, signer

from incamera.node.ports import HpkeSealer, SystemEntropy
from incamera.protocol.box import request_info
from incamera.protocol.ids import EntryId, MeetingId
from incamera.protocol.kem import kem_public
from incamera.protocol.padding import pad
from incamera.protocol.wraps import Pair, kek_info

FILE = Path(__file__).parent / "seals.json"
MEETING = MeetingId(digest("meeting"))
PREV = EntryId(digest("previous epoch"))
TERM = 2
PAIR = Pair(
    meeting=MEETING,
    leader=signer("leader").public,
    member=signer("member").public,
    kek_id=digest("kek id"),
    generation=3,
)
MEMBER_KEM, LEADER_KEM = secret("member's KEM key"), secret("leader's KEM key")
KEK = secret("kek")
REQUEST = EntryId(digest("request"))
JOINING = b"in place of a join secret"


def wanted() -> dict[str, dict[str, Any]]:
    """Return what each box is sealed with."""
    member, leader = kem_public(MEMBER_KEM), kem_public(LEADER_KEM)
    kek = kek_info(PAIR, prev_epoch=PREV, term=TERM, member_kem_key=member)
    request = request_info(
        MEETING,
        REQUEST,
        leader=PAIR.leader,
        member=PAIR.member,
        leader_kem_key=leader,
    )
    padded = pad(JOINING)
    return {
        "kek": {"public": member, "info": kek, "plaintext": bytes(KEK.buffer)},
        "request": {"public": leader, "info": request, "plaintext": bytes(padded)},
        "not padded": {"public": leader, "info": request, "plaintext": bytes(256)[:-1]},
    }


def sealed(name: str) -> bytes:
    """Return a box that was made once."""
    return bytes.fromhex(json.loads(FILE.read_text())[name])


def main() -> None:
    """Make the boxes that are missing."""
    boxes = json.loads(FILE.read_text()) if FILE.exists() else {}
    sealer = HpkeSealer(SystemEntropy())
    for name, box in wanted().items():
        boxes.setdefault(name, sealer.seal(**box).hex())
    FILE.write_text(json.dumps(boxes, indent=1) + "\n")


if __name__ == "__main__":
    main()
