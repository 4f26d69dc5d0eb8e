# SPDX-License-Identifier: Apache-2.0
"""How are we connected to one other member? (spec/media.md, section 3)

One WebRTC connection per member.  Its certificate is the one of the member's signed
offer or answer, it opens frames of that member's slot only, and it has no servers to
ask.  DTLS-SRTP encrypts the hop underneath; every frame inside is SFrame ciphertext.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiortc import (
    InvalidStateError,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from incamera.errors import Code, MediaError, PeerError
from incamera.media import aiortc_hooks
from incamera.media.description import (
    Description,
    Stream,
    kinds_by_mid,
    local_fingerprint,
    verify_description,
    without_host_names,
)
from incamera.media.encoded import EncodedFrame, media_type
from incamera.media.intake import Intake, IntakePorts
from incamera.media.outgoing import Outgoing, SealedTrack
from incamera.media.path import digest
from incamera.media.statistics import StreamStatistics, snapshot
from incamera.protocol.frames import StreamKind, StreamReceiver

CODECS: Final = {"audio": ("audio/opus",), "video": ("video/VP8", "video/rtx")}
"""All that we negotiate: what every member can decode, and retransmission."""

_ALWAYS: Final = (StreamKind.AUDIO, StreamKind.VIDEO)
_ENDED: Final = ("failed", "closed")


class FrameSink(Protocol):
    """Takes the opened frames of one member: a recorder, say."""

    def write(self, frame: EncodedFrame) -> None:
        """Take one frame."""

    def close(self) -> None:
        """The connection has ended."""


class OpenSink(Protocol):
    """Makes the sink once it is known which kinds the member sends."""

    def __call__(self, kinds: frozenset[StreamKind]) -> FrameSink:
        """Return the sink."""


@dataclass(frozen=True, slots=True)
class LinkPorts:
    """What a link needs of its surroundings.

    `state_changed` hears the connection's states.
    `addresses`: our addresses to offer; None for all of this machine.
    """

    outgoing: Sequence[Outgoing]
    receiver: StreamReceiver
    open_sink: OpenSink
    state_changed: Callable[[str], None]
    addresses: tuple[str, ...] | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Line:
    """One section of the SDP: a stream out, a stream in, or both."""

    kind: StreamKind
    transceiver: RTCRtpTransceiver
    intake: Intake
    outgoing: Outgoing | None
    track: SealedTrack | None


class PeerLink:
    """The connection to the member in `slot`; a `MediaPath` from it to us."""

    def __init__(self, slot: int, ports: LinkPorts) -> None:
        self.slot: Final = slot
        self._ports = ports
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._lines: list[_Line] = []
        self._sink: FrameSink | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection.on("connectionstatechange", self._note_state)

    @property
    def state(self) -> str:
        """WebRTC's connection state: new, connecting, connected, failed, closed."""
        return str(self._connection.connectionState)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of our certificate here, which the answerer signs as well."""
        return local_fingerprint(self._connection)

    async def create_offer(self) -> Description:
        """Return our offer, with all candidates inside."""
        own = tuple(outgoing.kind for outgoing in self._ports.outgoing)
        for kind in sorted({*_ALWAYS, *own}):
            self._add_line(kind)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._description()

    async def accept_offer(self, offer: Description) -> Description:
        """Return our answer to a member's signed offer.

        Raises PeerError as `verify_description` does; then nothing has been sent.
        """
        parsed = verify_description(offer)
        for kind in kinds_by_mid(parsed, offer.streams).values():
            self._add_line(kind)
        await self._accept(offer, "offer")
        await self._connection.setLocalDescription(
            await self._connection.createAnswer()
        )
        return self._description()

    async def accept_answer(self, answer: Description) -> None:
        """Connect to the member that signed `answer`.

        Raises PeerError as `verify_description` does; then nothing has been sent.
        """
        verify_description(answer)
        kinds = {line.transceiver.mid: line.kind for line in self._lines}
        if any(kinds.get(stream.mid) != stream.kind for stream in answer.streams):
            raise PeerError(Code.SCHEMA, "a stream in a section of another kind")
        await self._accept(answer, "answer")

    async def wait_connected(self) -> None:
        """Return when media can flow; raise MediaError if the connection ended."""
        while self.state != "connected":
            if self.state in _ENDED:
                raise MediaError(Code.MEDIA_CONNECTION, f"connection {self.state}")
            self._changed.clear()
            await self._changed.wait()

    def keys_changed(self) -> None:
        """Try waiting frames again: the receiver has new keys."""
        for line in self._lines:
            line.intake.retry()

    def request_key_frame(self, kind: StreamKind) -> None:
        """Ask the member for a key frame of its stream of this kind."""
        for line in self._lines:
            if line.kind == kind:
                receiver = line.transceiver.receiver
                self._start(aiortc_hooks.ask_key_frame(receiver))

    def origin(self, _frame: bytes) -> int:
        """Return the slot at the other end: nobody else's frames come this way."""
        return self.slot

    def sealed(self, frame: bytes) -> bytes:
        """Return the digest of a frame; nobody changes it on this way."""
        return digest(frame)

    def mute(self) -> None:
        """Send nothing more and take nothing more, at once."""
        for line in self._lines:
            line.intake.close()
            if line.outgoing is not None and line.track is not None:
                line.outgoing.close_track(line.track)

    async def close(self) -> None:
        """Mute, then end the sink and, whatever the sink raises, the connection."""
        self.mute()
        sink, self._sink = self._sink, None
        try:
            if sink is not None:
                sink.close()
        finally:
            await self._connection.close()
            self._changed.set()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def statistics(self) -> Mapping[StreamKind, StreamStatistics]:
        """Return the counts of the member's streams to us, by kind.

        `sent` counts our frames of that kind to the member.
        """
        for line in self._lines:
            line.intake.tally.sent = line.track.tally.sent if line.track else 0
        return {
            line.kind: snapshot(self.slot, line.kind, line.intake.tally)
            for line in self._lines
        }

    def _add_line(self, kind: StreamKind) -> None:
        """Add a section whose frames can go nowhere but through the hooks."""
        outgoing = self._outgoing(kind)
        track = outgoing.open_track() if outgoing else None
        transceiver = self._connection.addTransceiver(
            track or media_type(kind), direction="sendrecv" if track else "recvonly"
        )
        ports = IntakePorts(deliver=self._deliver, path=self, clock=self._ports.clock)
        intake = Intake(self._ports.receiver, kind, ports)
        aiortc_hooks.tap_receiver(transceiver.receiver, intake.got)
        if track is not None:
            aiortc_hooks.hear_key_frame_requests(
                transceiver.sender, track.key_frame_asked
            )
        if self._ports.addresses is not None:
            aiortc_hooks.limit_addresses(transceiver, self._ports.addresses)
        _prefer_codecs(transceiver)
        self._lines.append(_Line(kind, transceiver, intake, outgoing, track))

    def _outgoing(self, kind: StreamKind) -> Outgoing | None:
        matching = (out for out in self._ports.outgoing if out.kind == kind)
        return next(matching, None)

    async def _accept(self, description: Description, role: str) -> None:
        """Apply a verified description; frames may arrive before this returns."""
        for stream in description.streams:
            self._ports.receiver.announce(stream.number)
        kinds = frozenset(stream.kind for stream in description.streams)
        self._sink = self._sink or self._ports.open_sink(kinds)
        text = without_host_names(description.sdp)
        try:
            await self._connection.setRemoteDescription(
                RTCSessionDescription(sdp=text, type=role)
            )
        except InvalidStateError as error:
            raise PeerError(Code.DUPLICATE, f"an unexpected {role}") from error
        except Exception as error:  # aiortc promises no closed set of exceptions
            raise PeerError(Code.SCHEMA, f"unusable {role}") from error
        await self._verify_taps()

    async def _verify_taps(self) -> None:
        """Fail closed: no section may exist that we have not hooked."""
        ours = [line.transceiver for line in self._lines]
        present = self._connection.getTransceivers()
        if present == ours and all(map(_is_tapped, present)):
            return
        await self.close()
        raise MediaError(Code.MEDIA_CONNECTION, "a section without our hook")

    def _description(self) -> Description:
        return Description(
            sdp=str(self._connection.localDescription.sdp),
            fingerprint=self.fingerprint,
            streams=tuple(self._sent_streams()),
        )

    def _sent_streams(self) -> Iterable[Stream]:
        for line in self._lines:
            if line.outgoing is not None:
                mid = str(line.transceiver.mid)
                yield Stream(line.outgoing.stream.number, line.kind, mid)

    def _note_state(self) -> None:
        """Tell later, outside of aiortc: what a listener raises would stop a close."""
        self._changed.set()
        loop = asyncio.get_running_loop()
        loop.call_soon(self._ports.state_changed, self.state)

    def _deliver(self, frame: EncodedFrame) -> None:
        if self._sink is not None:
            self._sink.write(frame)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_tapped(transceiver: RTCRtpTransceiver) -> bool:
    return aiortc_hooks.is_tapped(transceiver.receiver)


def _prefer_codecs(transceiver: RTCRtpTransceiver) -> None:
    wanted = CODECS[transceiver.kind]
    known = RTCRtpSender.getCapabilities(transceiver.kind).codecs
    transceiver.setCodecPreferences([c for c in known if c.mimeType in wanted])
