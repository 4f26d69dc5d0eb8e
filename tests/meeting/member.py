# SPDX-License-Identifier: Apache-2.0
"""A daemon that shows its test what no daemon shows, and dies where it is told to.

    python member.py HOME EVIDENCE [--no-gateway]

It writes every secret that it ever holds to EVIDENCE/secrets, and every frame that it
sends to EVIDENCE/frames, straight from the buffer: no copy stays in its memory.  Lines
on standard input: `route ADDRESS` (where others reach our gateway), `die N` (be killed
at the N-th point from now, with our gateway), `slow` (tell points on standard output).
"""

import asyncio
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from incamera.node import keystore
from incamera.node.control import ControlServer
from incamera.node.daemon import Daemon
from incamera.node.files import Lock
from incamera.node.home import open_keystore
from incamera.node.own_gateway import OwnGateway
from incamera.node.ports import SystemEntropy
from incamera.node.programs import DaemonSettings
from incamera.node.store import Store
from incamera.protocol.frames import StreamSender
from incamera.protocol.secret import Secret

# How a passphrase is stretched is tested elsewhere; here it would only cost seconds.
keystore._PASSES, keystore._LANES, keystore._KIB = 1, 1, 8
NEW = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def callers() -> bytes:
    """Name the functions that made or wiped a secret."""
    names: list[str] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(names) < 8:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return "<".join(names).encode()


def record_secrets(path: Path) -> None:
    """Write each secret when it is made and when it is wiped."""
    file, make, wipe = os.open(path, NEW, 0o600), Secret.__init__, Secret.wipe

    def tell(data: bytearray) -> None:
        if any(data):
            name = callers()
            os.writev(file, [struct.pack(">HH", len(name), len(data)), name, data])

    def made(self: Secret, data: bytearray) -> None:
        make(self, data)
        tell(data)

    def wiped(self: Secret) -> None:
        tell(self.buffer)
        wipe(self)

    Secret.__init__, Secret.wipe = made, wiped  # type: ignore[method-assign]


def record_frames(path: Path) -> None:
    """Write each frame as it leaves the sealing, with its time and stream."""
    file, protect = os.open(path, NEW, 0o600), StreamSender.protect

    def protected(self: StreamSender, frame: bytes, *, dummy: bytes = b"") -> bytes:
        data = protect(self, frame, dummy=dummy)
        stream, now = self._stream, time.monotonic_ns()
        place = (now, stream.slot, stream.number, self.epoch, len(dummy), len(data))
        os.writev(file, [struct.pack(">QIQQHI", *place), data])
        return data

    StreamSender.protect = protected  # type: ignore[method-assign]


class Points:
    """Counts the points at which the daemon may die."""

    def __init__(self) -> None:
        self.left = -1
        self.told = False

    def passed(self, name: str) -> None:
        if self.told:
            say(point=name)
        self.left -= 1
        if self.left == 0:
            os.killpg(0, signal.SIGKILL)


def say(**what: object) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def routed(reader: asyncio.StreamReader) -> None:
    """Let others reach our gateway where the test says, not where it listens."""
    start = OwnGateway.start.__func__  # type: ignore[attr-defined]

    async def started(cls: type[OwnGateway], *args: Any, **given: Any) -> OwnGateway:
        own: OwnGateway = await start(cls, *args, **given)
        say(listens=own.place.address, pid=own.pid)
        _, address = (await reader.readline()).decode().split()
        own.place = own.place._replace(address=address)
        return own

    OwnGateway.start = classmethod(started)  # type: ignore[method-assign,assignment]


async def obey(reader: asyncio.StreamReader, points: Points) -> None:
    """Do what standard input says until it closes."""
    while line := await reader.readline():
        match line.decode().split():
            case ["die", number]:
                points.left = int(number)
            case ["slow"]:
                points.told = True
        say(obeyed=line.decode().strip())


async def main(home: Path, evidence: Path, *flags: str) -> None:
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    entropy, points, stopped = SystemEntropy(), Points(), asyncio.Event()
    phrase = Secret(bytearray(b"a passphrase for tests"))
    keys = open_keystore(home, phrase, entropy=entropy)
    routed(reader)
    settings = DaemonSettings(
        home=home, gateway="--no-gateway" not in flags, loopback=True
    )
    store = Store(home, keys, entropy=entropy)
    with Lock(home):
        daemon = Daemon(settings, store, stopped, on_point=points.passed)
        try:
            await daemon.start()
            async with ControlServer(home, daemon):
                say(ready=True)
                obeying = asyncio.ensure_future(obey(reader, points))
                waiting = asyncio.ensure_future(stopped.wait())
                await asyncio.wait({obeying, waiting}, return_when="FIRST_COMPLETED")
                obeying.cancel()
                waiting.cancel()
        finally:
            await daemon.close()


if __name__ == "__main__":
    record_secrets(Path(sys.argv[2]) / "secrets")
    record_frames(Path(sys.argv[2]) / "frames")
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
