# SPDX-License-Identifier: Apache-2.0
"""The bare WebRTC set-up: aiortc alone, nothing signed, sealed, checked or recorded.

A baseline to measure against; nothing in the package can do this.
"""

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import av
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from bench.media import Noise

from incamera.media.aiortc_hooks import limit_addresses, tap_receiver
from incamera.media.encoded import EncodedFrame, clock_rate, media_type
from incamera.media.peer import CODECS
from incamera.protocol.frames import StreamKind

KINDS: Final = (StreamKind.AUDIO, StreamKind.VIDEO)
LOOPBACK: Final = ("127.0.0.1",)


def noises() -> tuple[Noise, ...]:
    """Return a microphone and a camera that cost next to nothing."""
    return tuple(Noise(kind) for kind in KINDS)


class _Track(MediaStreamTrack):
    """Frames straight from their source."""

    def __init__(self, noise: Noise) -> None:
        super().__init__()
        self.kind = media_type(noise.kind)
        self._frames = noise.frames()

    async def recv(self) -> "av.Packet[av.stream.Stream]":
        frame: EncodedFrame = await anext(self._frames)
        packet: av.Packet[av.stream.Stream] = av.Packet(frame.data)
        packet.pts = packet.dts = frame.time
        packet.time_base = Fraction(1, clock_rate(frame.kind))
        return packet


class Plain:
    """One side of a plain connection that sends and receives both kinds."""

    def __init__(self, note: Callable[[str], None] = lambda step: None) -> None:  # noqa: ARG005
        self.framed: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._note = note
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("connectionstatechange", self._changed)

    async def offer(self) -> str:
        """Return our offer, all candidates inside."""
        for noise in noises():
            self._add(noise)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return str(self._connection.localDescription.sdp)

    async def answer(self, offer: str) -> str:
        """Return our answer to an offer."""
        for noise in noises():
            self._add(noise)
        await self._take(offer, "offer")
        await self._connection.setLocalDescription(
            await self._connection.createAnswer()
        )
        return str(self._connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """Take the answer to our offer."""
        await self._take(answer, "answer")

    async def close(self) -> None:
        """End it."""
        await self._connection.close()

    async def _take(self, sdp: str, role: str) -> None:
        await self._connection.setRemoteDescription(
            RTCSessionDescription(sdp=sdp, type=role)
        )

    def _add(self, noise: Noise) -> None:
        transceiver = self._connection.addTransceiver(_Track(noise))
        tap_receiver(transceiver.receiver, self._got)
        limit_addresses(transceiver, LOOPBACK)
        known = RTCRtpSender.getCapabilities(transceiver.kind).codecs
        wanted = CODECS[transceiver.kind]
        transceiver.setCodecPreferences([c for c in known if c.mimeType in wanted])

    def _got(self, _data: bytes, _time: int) -> None:
        if not self.framed.done():
            self.framed.set_result(time.monotonic())

    def _changed(self) -> None:
        if self._connection.connectionState == "connected":
            self._note("connected")
