# SPDX-License-Identifier: Apache-2.0
"""What do two members tell each other to connect, and may we use it?

(spec/media.md, section 3.)  The fingerprint comes out of a signed message; the SDP text
must name that certificate, in every section and no other, before anything is sent.
"""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiortc import RTCPeerConnection
from aiortc.sdp import MediaDescription, SessionDescription

from incamera.errors import Code, PeerError
from incamera.media.encoded import media_type
from incamera.protocol.frames import StreamKind

MAX_SDP: Final = 16_384
"""Bytes of SDP text; four media with their candidates need about 6,000."""
MAX_STREAMS: Final = 4
"""Live streams of one member, one of each kind."""
MAX_CANDIDATES: Final = 32
"""Addresses that a member may make us try: more would help to flood a stranger."""
FINGERPRINT_SIZE: Final = 32
"""Bytes of a SHA-256 certificate fingerprint."""

_DEFAULT_KIND: Final = {"audio": StreamKind.AUDIO, "video": StreamKind.VIDEO}
_SHA256: Final = "sha-256"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that a member sends: its number, its kind and its place in the SDP."""

    number: int
    kind: StreamKind
    mid: str


@dataclass(frozen=True, slots=True)
class Description:
    """One side of a connection, as the member's signed offer or answer carries it.

    `fingerprint` is SHA-256 of the DTLS certificate, 32 bytes.
    """

    sdp: str = field(repr=False)
    fingerprint: bytes
    streams: tuple[Stream, ...]


def local_fingerprint(connection: RTCPeerConnection) -> bytes:
    """Return SHA-256 of our certificate on `connection`, which has a transceiver."""
    transport = connection.getTransceivers()[0].receiver.transport
    offered = transport.getLocalParameters().fingerprints
    return next(bytes_of(f.value) for f in offered if f.algorithm == _SHA256)


def bytes_of(value: str) -> bytes:
    """Return the bytes of an SDP fingerprint, "AB:CD:..."; empty if it is none."""
    try:
        return bytes.fromhex(value.replace(":", ""))
    except ValueError:
        return b""


def verify_description(description: Description) -> SessionDescription:
    """Return the parsed SDP after checking everything that we rely on.

    Raises PeerError: TOO_LARGE, SCHEMA for what is not SDP of ours or does not fit the
    streams, BAD_FINGERPRINT if a section names another certificate than the signed one.
    """
    parsed = _parse(description.sdp)
    for media in parsed.media:
        _verify_fingerprint(media, description.fingerprint)
        if len(media.ice_candidates) > MAX_CANDIDATES:
            raise PeerError(Code.TOO_LARGE, "too many candidates")
    _verify_streams(parsed, description.streams)
    return parsed


def kinds_by_mid(
    parsed: SessionDescription, streams: Sequence[Stream]
) -> Mapping[str, StreamKind]:
    """Return the stream kind that each section carries, in both directions.

    A section that the offerer does not use itself stands for camera or microphone.
    Raises PeerError(SCHEMA) if two sections carry one kind.
    """
    declared = {stream.mid: stream.kind for stream in streams}
    kinds = {
        media.rtp.muxId: declared.get(media.rtp.muxId, _DEFAULT_KIND[media.kind])
        for media in parsed.media
    }
    if len(set(kinds.values())) != len(kinds):
        raise PeerError(Code.SCHEMA, "two sections for one kind of stream")
    return kinds


def without_host_names(sdp: str) -> str:
    """Drop candidates that are names: looking one up tells others whom we meet."""
    return "".join(
        line for line in sdp.splitlines(keepends=True) if not _is_named_candidate(line)
    )


def _is_named_candidate(line: str) -> bool:
    if not line.startswith("a=candidate:"):
        return False
    try:
        ipaddress.ip_address(line.split()[4])
    except (IndexError, ValueError):
        return True
    return False


def _parse(sdp: str) -> SessionDescription:
    if len(sdp.encode()) > MAX_SDP:
        raise PeerError(Code.TOO_LARGE, f"SDP above {MAX_SDP} bytes")
    try:
        parsed = SessionDescription.parse(sdp)
    except Exception as error:  # the parser promises no closed set of exceptions
        raise PeerError(Code.SCHEMA, "not SDP") from error
    if not 1 <= len(parsed.media) <= MAX_STREAMS:
        raise PeerError(Code.SCHEMA, f"{len(parsed.media)} media sections")
    if any(media.kind not in _DEFAULT_KIND for media in parsed.media):
        raise PeerError(Code.SCHEMA, "a section that is neither audio nor video")
    return parsed


def _verify_fingerprint(media: MediaDescription, signed: bytes) -> None:
    offered = media.dtls.fingerprints if media.dtls else []
    found = [bytes_of(f.value) for f in offered if f.algorithm.lower() == _SHA256]
    if len(signed) != FINGERPRINT_SIZE or not found:
        raise PeerError(Code.BAD_FINGERPRINT, "no SHA-256 fingerprint")
    if not all(hmac.compare_digest(value, signed) for value in found):
        raise PeerError(Code.BAD_FINGERPRINT, "the SDP names another certificate")


def _verify_streams(parsed: SessionDescription, streams: Sequence[Stream]) -> None:
    types = {media.rtp.muxId: media.kind for media in parsed.media}
    fits = all(types.get(stream.mid) == media_type(stream.kind) for stream in streams)
    one_each = len({stream.mid for stream in streams}) == len(streams)
    if len(types) != len(parsed.media) or not fits or not one_each:
        raise PeerError(Code.SCHEMA, "the streams do not fit the SDP")
    if any(stream.number % MAX_STREAMS != stream.kind for stream in streams):
        raise PeerError(Code.SCHEMA, "a stream number of another kind")
