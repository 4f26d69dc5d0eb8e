# SPDX-License-Identifier: Apache-2.0
"""What does a received stream cost a headless member, with and without SFrame?

A child process sends; this process receives and its CPU time is counted.  Sealed and
plain runs alternate in the same two processes.  Plain exists in this file only: a
sender and a receiver that do no cryptography, in the place of the real ones.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Final

from incamera.media.description import Description, Stream
from incamera.media.encoded import EncodedFrame, clock_rate, is_video
from incamera.media.outgoing import Outgoing
from incamera.media.peer import LinkPorts, PeerLink
from incamera.protocol.frames import (
    Opened,
    StreamId,
    StreamKind,
    StreamReceiver,
    StreamSender,
)
from incamera.protocol.ids import MeetingId
from incamera.protocol.secret import Secret

PAIRS: Final = 4
SECONDS: Final = 4.0
SETTLE_S: Final = 1.0
SENDERS: Final = 4
PICTURES: Final = 30
PICTURE_BYTES: Final = 4_000
PACKETS: Final = 25
PACKET_BYTES: Final = 240

_MEETING: Final = MeetingId(bytes(32))
_KINDS: Final = (StreamKind.AUDIO, StreamKind.VIDEO)


class PlainSender:
    """Seals nothing."""

    epoch = 0

    def protect(self, frame: bytes, *, dummy: bytes = b"") -> bytes:
        """Return the frame behind its dummy."""
        return dummy + frame


class PlainReceiver:
    """Opens nothing; counts instead of reading a counter."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(StreamKind, -1)

    def announce(self, number: int) -> None:
        """Do as the real one does for a stream that is known."""

    def open(self, data: bytes, *, dummy: int) -> Opened:
        """Return what follows the dummy."""
        kind = StreamKind.VIDEO if dummy else StreamKind.AUDIO
        self._counts[kind] += 1
        return Opened(kind, int(kind), 0, self._counts[kind], data[dummy:])


class Noise:
    """Frames as an encoder might make them: 1 Mbit/s of pictures, 48 kbit/s sound."""

    def __init__(self, kind: StreamKind) -> None:
        self.kind = kind
        self._key = True

    def request_key_frame(self) -> None:
        """Make the next picture a key frame."""
        self._key = True

    async def frames(self) -> AsyncGenerator[EncodedFrame, None]:
        """Yield frames in real time."""
        rate = PICTURES if is_video(self.kind) else PACKETS
        start, count = time.monotonic(), 0
        while True:
            await asyncio.sleep(start + count / rate - time.monotonic())
            yield EncodedFrame(
                self.kind, self._data(), count * clock_rate(self.kind) // rate
            )
            count += 1

    def _data(self) -> bytes:
        if not is_video(self.kind):
            return random.randbytes(PACKET_BYTES)
        key, self._key = self._key, False
        return bytes([0x30 if key else 0x31]) + random.randbytes(PICTURE_BYTES)


class Count:
    """A sink that only counts."""

    def __init__(self) -> None:
        self.frames = 0

    def write(self, _: EncodedFrame) -> None:
        """Count the frame."""
        self.frames += 1

    def close(self) -> None:
        """Do nothing."""


def new_sink(kinds: frozenset[StreamKind]) -> Count:
    """Return a sink for all kinds of a link."""
    assert kinds <= frozenset(_KINDS)  # the sending side hears nothing
    return Count()


def base_key(slot: int, kind: StreamKind) -> Secret:
    """Return a key that both processes know."""
    return Secret(bytearray(sha256(b"%d %d" % (slot, kind)).digest()))


def new_sender(slot: int, kind: StreamKind, *, sealed: bool) -> StreamSender:
    """Return a sender that is ready, or the plain one."""
    if not sealed:
        return PlainSender()  # type: ignore[return-value]  # the baseline
    sender = StreamSender(_MEETING, StreamId(slot, int(kind)))
    sender.install(1, base_key(slot, kind))
    sender.switch(1)
    return sender


def new_receiver(slot: int, *, sealed: bool) -> StreamReceiver:
    """Return a receiver that is ready, or the plain one."""
    if not sealed:
        return PlainReceiver()  # type: ignore[return-value]  # the baseline
    receiver = StreamReceiver(_MEETING, slot)
    for kind in _KINDS:
        receiver.announce(int(kind))
        receiver.install(1, int(kind), base_key(slot, kind))
    return receiver


def new_link(slot: int, outgoing: tuple[Outgoing, ...], *, sealed: bool) -> PeerLink:
    """Return a link on loopback."""
    ports = LinkPorts(
        outgoing=outgoing,
        receiver=new_receiver(slot, sealed=sealed),
        open_sink=new_sink,
        state_changed=lambda _: None,
        addresses=("127.0.0.1",),
    )
    return PeerLink(slot, ports)


def encode(description: Description) -> dict[str, Any]:
    """Return the description as JSON has it."""
    return asdict(description) | {"fingerprint": description.fingerprint.hex()}


def decode(value: dict[str, Any]) -> Description:
    """Return the description that `encode` took."""
    streams = tuple(
        Stream(s["number"], StreamKind(s["kind"]), s["mid"]) for s in value["streams"]
    )
    return Description(value["sdp"], bytes.fromhex(value["fingerprint"]), streams)


async def send() -> None:
    """Be the child: answer each line (an offer, "go" or an end) on standard input."""
    loop = asyncio.get_running_loop()
    links: list[PeerLink] = []
    runs: list[asyncio.Task[None]] = []
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        if request["do"] == "end":
            for run in runs:
                run.cancel()
            await asyncio.gather(*(link.close() for link in links))
            links, runs = [], []
            print("{}", flush=True)
            continue
        slot, sealed = request["slot"], request["sealed"]
        outgoing = tuple(
            Outgoing(
                Noise(kind),
                new_sender(slot, kind, sealed=sealed),
                StreamId(slot, int(kind)),
            )
            for kind in _KINDS
        )
        link = new_link(0, outgoing, sealed=True)
        answer = await link.accept_offer(decode(request["offer"]))
        links.append(link)
        runs += [asyncio.ensure_future(out.run()) for out in outgoing]
        print(json.dumps(encode(answer)), flush=True)


async def measure(
    ask: Callable[[dict[str, Any]], Any], *, sealed: bool
) -> tuple[float, int]:
    """Return CPU seconds per second and frames per second for all senders."""
    links = [new_link(slot, (), sealed=sealed) for slot in range(1, SENDERS + 1)]
    for link in links:
        offer = encode(await link.create_offer())
        request = {"do": "answer", "slot": link.slot, "sealed": sealed, "offer": offer}
        await link.accept_answer(decode(await ask(request)))
        await link.wait_connected()
    await asyncio.sleep(SETTLE_S)
    before, cpu_s = delivered(links), time.process_time()
    await asyncio.sleep(SECONDS)
    cpu_s, after = time.process_time() - cpu_s, delivered(links)
    await ask({"do": "end"})
    await asyncio.gather(*(link.close() for link in links))
    return cpu_s / SECONDS, round((after - before) / SECONDS)


def delivered(links: list[PeerLink]) -> int:
    """Return how many frames came through in all."""
    counts = (link.statistics().values() for link in links)
    return sum(stream.delivered for one in counts for stream in one)


async def receive() -> None:
    """Run the pairs and print the table and one line of JSON."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--sender",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    stdin, stdout = child.stdin, child.stdout

    async def ask(request: dict[str, Any]) -> Any:
        stdin.write(json.dumps(request).encode() + b"\n")
        return json.loads(await stdout.readline())

    found: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for pair in range(PAIRS):
        print(f"media: pair {pair + 1} of {PAIRS}", file=sys.stderr, flush=True)
        for sealed in (pair % 2 == 0, pair % 2 == 1):  # each comes first as often
            found[sealed].append(await measure(ask, sealed=sealed))
    stdin.close()
    await child.wait()
    report(found[True], found[False])


def report(sealed: list[tuple[float, int]], plain: list[tuple[float, int]]) -> None:
    """Print what was measured, per sender."""
    with_sframe = [100 * cpu / SENDERS for cpu, _ in sealed]
    without = [100 * cpu / SENDERS for cpu, _ in plain]
    extra = [one - two for one, two in zip(with_sframe, without, strict=True)]
    rates = [frames for _, frames in (*sealed, *plain)]
    result = {
        "bench": "media",
        "senders": SENDERS,
        "pairs": PAIRS,
        "frames_per_s": [min(rates), max(rates)],
        "cpu_percent_per_sender": {
            "sframe": round(statistics.median(with_sframe), 2),
            "plain": round(statistics.median(without), 2),
            "difference": [round(value, 2) for value in sorted(extra)],
        },
    }
    print(f"{SENDERS} senders, each {PICTURES} pictures and {PACKETS} packets a second")
    print(f"{'':24}{'% of a core per sender':>24}")
    print(f"{'received, with SFrame':24}{statistics.median(with_sframe):24.2f}")
    print(f"{'received, without':24}{statistics.median(without):24.2f}")
    print(f"{'difference, by pair':24}{', '.join(f'{x:.2f}' for x in sorted(extra))}")
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(send() if "--sender" in sys.argv else receive())
