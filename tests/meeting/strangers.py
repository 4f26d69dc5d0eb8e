# SPDX-License-Identifier: Apache-2.0
"""Strangers without the link's secret append requests to a meeting.

    python strangers.py COUNT ADDRESS <link

Prints how many were refused, how many were taken, and the slowest refusal in ms.  With
COUNT -1 one stranger has the secret.
"""

import asyncio
import os
import ssl
import sys
import time

import httpx

from incamera.protocol.arrival import gate_signer
from incamera.protocol.bodies import MemberKind, Request
from incamera.protocol.entry import sign_request
from incamera.protocol.ids import UserTag
from incamera.protocol.link import Link, parse_link
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

AT_ONCE = 16


def request(link: Link, secret: Secret) -> bytes:
    """A request in good form, countersigned under a gate of some secret."""
    signer = Ed25519Signer(Secret(bytearray(os.urandom(32))))
    body = Request(
        mvk=signer.public,
        kem_hash=os.urandom(32),
        tag=UserTag(os.urandom(16)),
        nonce=os.urandom(32),
        kind=MemberKind.PERSON,
        code=os.urandom(32),
        identity=os.urandom(32),
    )
    gate = gate_signer(secret, link.ledger_id)
    entry = sign_request(signer, gate, body, place=link.meeting, seq=0, prev=None)
    return entry.data


async def main(count: int, address: str) -> None:
    link = parse_link(sys.stdin.readline().strip())
    wrong = Secret(bytearray(os.urandom(32)))
    known = link.secret if count < 0 else wrong
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    left, codes, slowest = list(range(abs(count))), list[int](), 0.0

    async def knock(client: httpx.AsyncClient) -> None:
        nonlocal slowest
        while left:
            left.pop()
            data, begun = request(link, known), time.monotonic()
            answer = await client.post("/v0/append", content=data)
            slowest = max(slowest, time.monotonic() - begun)
            codes.append(answer.status_code)

    async with httpx.AsyncClient(
        base_url=f"https://{address}", verify=trust, timeout=60, trust_env=False
    ) as client:
        await asyncio.gather(*(knock(client) for _ in range(AT_ONCE)))
    taken = codes.count(200)
    sys.stdout.write(f"{len(codes) - taken} {taken} {slowest * 1000}")


if __name__ == "__main__":
    # The crowd has machines of its own: it must not take the members' cores.
    os.nice(15)
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
