# SPDX-License-Identifier: Apache-2.0
"""What does a test card look and sound like?

A picture is eight by four black and white blocks that spell out the sender (8 bits),
the frame number (16 bits) and a check byte, most significant bit first, row by row.
Each sender has a tone of its own.  Both survive VP8 and Opus at any sensible bit rate.
"""

import math
from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import OutputContainer

from incamera.errors import Code, UsageError
from incamera.media.encoded import AUDIO_CLOCK, VIDEO_CLOCK
from incamera.media.encoders import AUDIO_PACKET_MS, PictureEncoder, SoundEncoder

COLUMNS: Final = 8
ROWS: Final = 4
MAX_SENDER: Final = 20
"""Highest sender: one tone each, 150 Hz apart, within the band that speech uses."""
FIRST_TONE_HZ: Final = 400
TONE_STEP_HZ: Final = 150

_WHITE: Final = 235
_BLACK: Final = 16
_GREY: Final = 128
_LOUDNESS: Final = 9_000
_POLYNOMIAL: Final = 0x07  # CRC-8 of x^8 + x^2 + x + 1
_BITS: Final = COLUMNS * ROWS


@dataclass(frozen=True, slots=True)
class Card:
    """A test card to write: whose, how long, how large, how often."""

    sender: int
    seconds: int = 10
    width: int = 320
    height: int = 240
    rate: int = 15
    key_frame_every: int = 150


def tone_of(sender: int) -> int:
    """Return the sender's tone in Hz.

    Raises UsageError(BAD_ARGUMENT) for a sender beyond MAX_SENDER.
    """
    if not 0 <= sender <= MAX_SENDER:
        raise UsageError(Code.BAD_ARGUMENT, f"senders are 0 to {MAX_SENDER}")
    return FIRST_TONE_HZ + TONE_STEP_HZ * sender


def write_testcard(path: Path, card: Card) -> None:
    """Write a WebM file with the card's pictures (VP8) and tone (Opus)."""
    tone_of(card.sender)
    with av.open(str(path), "w", format="webm") as container:
        video = container.add_mux_stream("vp8", width=card.width, height=card.height)
        audio = container.add_stream("libopus", rate=AUDIO_CLOCK)
        container.start_encoding()
        _write_pictures(container, video, card)
        _write_tone(container, audio, card)


def code_of(sender: int, number: int) -> int:
    """Return the 32 bits that a picture shows."""
    body = sender << 16 | number & 0xFFFF
    return body << 8 | _check(body)


def parse_code(code: int) -> tuple[int, int] | None:
    """Return sender and frame number, or None if the check byte is wrong."""
    body, check = code >> 8, code & 0xFF
    return (body >> 16, body & 0xFFFF) if _check(body) == check else None


def draw(card: Card, number: int) -> av.VideoFrame:
    """Return the card's picture with this frame number."""
    frame = av.VideoFrame(card.width, card.height, "yuv420p")
    luma, *chroma = frame.planes
    luma.update(_luma(code_of(card.sender, number), card, luma.line_size))
    for plane in chroma:
        plane.update(bytes([_GREY]) * plane.buffer_size)
    return frame


def tone(card: Card) -> av.AudioFrame:
    """Return one second of the card's tone, which starts and ends at a zero."""
    step = 2 * math.pi * tone_of(card.sender) / AUDIO_CLOCK
    samples = array(
        "h", (int(_LOUDNESS * math.sin(step * at)) for at in range(AUDIO_CLOCK))
    )
    frame = av.AudioFrame(format="s16", layout="mono", samples=AUDIO_CLOCK)
    frame.sample_rate = AUDIO_CLOCK
    frame.planes[0].update(samples.tobytes())
    return frame


def _luma(code: int, card: Card, line_size: int) -> bytes:
    """Return the luma plane: each row of blocks is one line, repeated."""
    padding = bytes(line_size - card.width)
    block, height = card.width // COLUMNS, card.height // ROWS
    plane = bytearray()
    for row in range(ROWS):
        line = bytearray()
        for column in range(COLUMNS):
            bit = code >> (_BITS - 1 - row * COLUMNS - column) & 1
            line += bytes([_WHITE if bit else _BLACK]) * block
        line += bytes([_GREY]) * (card.width - len(line)) + padding
        plane += line * height
    missing = line_size * card.height - len(plane)
    return bytes(plane) + bytes([_GREY]) * missing


def _check(body: int) -> int:
    value = 0
    for byte in body.to_bytes(3, "big"):
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)) & 0xFF
    return value


def _write_pictures(
    container: OutputContainer, stream: av.stream.Stream, card: Card
) -> None:
    encoder = PictureEncoder(card.rate, key_frame_every=card.key_frame_every)
    for number in range(card.seconds * card.rate):
        picture = draw(card, number)
        picture.pts = number * VIDEO_CLOCK // card.rate
        picture.time_base = Fraction(1, VIDEO_CLOCK)
        data = encoder.encode(picture, key=number % card.key_frame_every == 0)
        _mux(container, stream, data, Fraction(number, card.rate))


def _write_tone(
    container: OutputContainer, stream: av.stream.Stream, card: Card
) -> None:
    encoder = SoundEncoder()
    second = tone(card)
    place = Fraction(0)
    for _ in range(card.seconds):
        for data in encoder.encode(second):
            _mux(container, stream, data, place)
            place += Fraction(AUDIO_PACKET_MS, 1000)


def _mux(
    container: OutputContainer, stream: av.stream.Stream, data: bytes, place: Fraction
) -> None:
    packet = av.Packet(data)
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = int(place * 1000)
    packet.stream = stream
    packet.is_keyframe = stream.type == "audio" or not data[0] & 1
    container.mux(packet)
