# SPDX-License-Identifier: Apache-2.0
"""Vectors of frames: headers, sealing, replay, streams (spec/media.md, 2, 4 and 5).

KIDs and counters have 64 bits and are hex of eight bytes; other integers are numbers.
Each case names its `operation`:

header   KID and counter to the header's bytes, and back
parse    bytes that are no header: the error
seal     one frame under (base key, KID, counter), and back
open     frames in order under one (base key, KID): each one's plaintext or error
receive  a receiver with announced streams and keys gets one frame: what it finds, or
         the error
largest  a sender of the only key protects a frame of zeros: size and SHA-256
"""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

from incamera.errors import Code, PeerError
from incamera.protocol.frames import (
    MAX_DUMMY,
    MAX_FRAME,
    MAX_SLOT,
    VP8_DELTA,
    StreamId,
    StreamReceiver,
    kid_of_stream,
    metadata_tail,
    vp8_key,
)
from incamera.protocol.ids import MeetingId
from incamera.protocol.replay import WINDOW
from incamera.protocol.secret import Secret
from incamera.protocol.sframe import (
    MAX_COUNTER,
    OpenContext,
    SealContext,
    encode_header,
    parse_header,
)

Case = dict[str, Any]
BASE = bytes(range(32))
KID = 0x31
MEETING = MeetingId(sha256(b"meeting of the frame vectors").digest())
SLOT = 3
VIDEO = 5
PLAIN = b"one encoded frame"


def build() -> dict[str, object]:
    """Return the whole file."""
    makers = (headers, bad_headers, sealed, opened, received, largest, refused)
    return {
        "format": "incamera vectors 0",
        "about": "SFrame with suite 5, replay window, streams: spec/media.md",
        "cases": [case for make in makers for case in make()],
    }


def u64(value: int) -> str:
    """Return `value` as hex of eight bytes."""
    return value.to_bytes(8, "big").hex()


def code_of(attempt: Callable[[], object]) -> str:
    """Return the code of the PeerError that `attempt` must raise."""
    try:
        attempt()
    except PeerError as error:
        return error.code.value
    raise AssertionError("a negative vector is accepted")


def headers() -> list[Case]:
    """All edges of both fields."""
    edges = [0, 7, 8, 255, 256, 2**53, 2**56 - 1, 2**56, MAX_COUNTER]
    return [
        {
            "name": f"header of KID {kid:#x} and counter {counter:#x}",
            "operation": "header",
            "kid": u64(kid),
            "counter": u64(counter),
            "expect": {"header": encode_header(kid, counter).hex()},
        }
        for kid in edges
        for counter in edges
    ]


def bad_headers() -> list[Case]:
    """Everything that is cut short or longer than it need be."""
    wrong = {
        "nothing": "",
        "counter byte missing": "08",
        "KID byte missing": "80",
        "KID there, second counter byte missing": "890800",
        "counter 7 in a byte of its own": "0807",
        "KID 7 in a byte of its own": "8007",
        "counter 255 in two bytes": "0900ff",
        "KID 255 in two bytes": "9000ff",
        "counter in eight bytes, the first zero": "0f00ffffffffffffff",
        "KID in eight bytes, the first zero": "f000ffffffffffffff",
    }
    return [
        {
            "name": f"no header: {name}",
            "operation": "parse",
            "data": data,
            "error": code_of(partial(parse_header, bytes.fromhex(data))),
        }
        for name, data in wrong.items()
    ]


def seal(
    counter: int, plain: bytes = PLAIN, *, kid: int = KID, metadata: bytes = b""
) -> bytes:
    """Return a frame under BASE with a counter of our choice."""
    context = SealContext(Secret(bytearray(BASE)), kid, first=counter)
    return context.protect(plain, metadata=metadata)


def sealed() -> list[Case]:
    """Sizes of KID, counter, plaintext and metadata."""
    shapes = [
        ("first frame", 0, KID, PLAIN, b"metadata"),
        ("counter of one byte", 200, KID, PLAIN, b"metadata"),
        ("counter of three bytes", 70_000, KID, PLAIN, b"metadata"),
        ("last counter, last KID", MAX_COUNTER, MAX_COUNTER, PLAIN, b"metadata"),
        ("KID in the first byte", 9, 5, PLAIN, b"metadata"),
        ("empty frame", 1, KID, b"", b"metadata"),
        ("empty metadata", 1, KID, PLAIN, b""),
    ]
    return [
        {
            "name": f"seal: {name}",
            "operation": "seal",
            "base_key": BASE.hex(),
            "kid": u64(kid),
            "counter": u64(counter),
            "metadata": metadata.hex(),
            "plaintext": plain.hex(),
            "expect": {
                "sealed": seal(counter, plain, kid=kid, metadata=metadata).hex()
            },
        }
        for name, counter, kid, plain, metadata in shapes
    ]


def spoil(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit flipped."""
    place = bit % (8 * len(data))
    spoiled = bytearray(data)
    spoiled[place // 8] ^= 1 << place % 8
    return bytes(spoiled)


def opened() -> list[Case]:
    """Histories of one key."""
    far = 5 + WINDOW
    forged = encode_header(KID, 2**40) + seal(3)[2:]
    histories = {
        "in order": [seal(0), seal(1), seal(2)],
        "reordered, then each again": [seal(n) for n in (2, 0, 1, 2, 0, 1)],
        "the window's edge": [seal(n) for n in (far, 5, 6, 6)],
        "a jump to the last counter": [seal(0), seal(MAX_COUNTER), seal(0)],
        "a forged counter moves nothing": [seal(2), forged, seal(3)],
        "a spoiled tag, then the frame itself": [spoil(seal(1), -1), seal(1)],
        "a spoiled ciphertext": [spoil(seal(1), 30)],
        "another KID": [seal(1, kid=KID + 1)],
        "a tag cut short": [seal(1)[:-1]],
        "no tag": [encode_header(KID, 1)],
        "no header": [b""],
    }
    return [history(name, frames) for name, frames in histories.items()]


def history(name: str, frames: list[bytes]) -> Case:
    """Return the case of `frames` in this order."""
    context = OpenContext(Secret(bytearray(BASE)), KID)
    results: list[Case] = []
    for data in frames:
        try:
            results.append({"plaintext": context.open(data, metadata=b"").hex()})
        except PeerError as error:
            results.append({"error": error.code.value})
    return {
        "name": f"open: {name}",
        "operation": "open",
        "base_key": BASE.hex(),
        "kid": u64(KID),
        "metadata": "",
        "frames": [data.hex() for data in frames],
        "expect": {"results": results},
    }


def base_of(epoch: int, number: int) -> bytes:
    """Return a base key: another for each epoch and stream."""
    return sha256(f"base key {epoch} {number}".encode()).digest()


def send(stream: StreamId, epoch: int, *, frame: bytes, dummy: bytes, at: int) -> bytes:
    """Return the frame that the stream's sender makes with counter `at`."""
    base = Secret(bytearray(base_of(epoch, stream.number)))
    context = SealContext(base, kid_of_stream(stream, epoch), first=at)
    metadata = bytes([len(dummy)]) + dummy + metadata_tail(MEETING, stream)
    return dummy + context.protect(frame, metadata=metadata)


def receiver(slot: int, keys: list[tuple[int, int]]) -> StreamReceiver:
    """Return a receiver with these (epoch, number) installed."""
    made = StreamReceiver(MEETING, slot)
    for epoch, number in keys:
        made.announce(number)
        made.install(epoch, number, Secret(bytearray(base_of(epoch, number))))
    return made


def listed(keys: list[tuple[int, int]]) -> list[Case]:
    """Return keys as they stand in a case, in the order of installing."""
    return [
        {"epoch": epoch, "number": number, "base_key": base_of(epoch, number).hex()}
        for epoch, number in keys
    ]


def received() -> list[Case]:
    """Streams of all kinds, in slots and epochs whose KIDs have all sizes."""
    shapes = [
        ("audio of the first slot", StreamId(0, 0), 1, b"", 0),
        ("video, delta frame", StreamId(SLOT, VIDEO), 6, VP8_DELTA, 300),
        ("video, key frame", StreamId(SLOT, VIDEO), 6, vp8_key(640, 360), 7),
        ("screen", StreamId(16, 6), 7, VP8_DELTA, 8),
        ("screen audio", StreamId(200, 11), 2**40, b"", 65_536),
        ("last slot and number", StreamId(MAX_SLOT, 2**53 - 1), 2**53 - 1, b"", 1),
        ("longest dummy", StreamId(SLOT, VIDEO), 6, bytes(range(MAX_DUMMY)), 1),
    ]
    return [
        receive(name, stream, epoch, dummy=dummy, at=at)
        for name, stream, epoch, dummy, at in shapes
    ]


def receive(name: str, stream: StreamId, epoch: int, *, dummy: bytes, at: int) -> Case:
    """Return the case of one frame that arrives."""
    data = send(stream, epoch, frame=PLAIN, dummy=dummy, at=at)
    keys = [(epoch, stream.number)]
    found = receiver(stream.slot, keys).open(data, dummy=len(dummy))
    tail = metadata_tail(MEETING, stream)
    return place(stream.slot, keys) | {
        "name": f"receive: {name}",
        "data": data.hex(),
        "dummy": len(dummy),
        "expect": {
            "kid": u64(kid_of_stream(stream, epoch)),
            "metadata": (bytes([len(dummy)]) + dummy + tail).hex(),
            "kind": int(found.kind),
            "number": found.number,
            "epoch": found.epoch,
            "counter": u64(found.counter),
            "frame": found.frame.hex(),
        },
    }


def place(slot: int, keys: list[tuple[int, int]]) -> Case:
    """Return what all cases of a receiver have."""
    return {
        "operation": "receive",
        "meeting": MEETING.hex(),
        "slot": slot,
        "keys": listed(keys),
    }


def largest() -> list[Case]:
    """A frame of zeros of the largest size; its data is given by its hash."""
    stream, epoch = StreamId(SLOT, VIDEO), 6
    data = send(stream, epoch, frame=bytes(MAX_FRAME), dummy=VP8_DELTA, at=0)
    return [
        place(SLOT, [(epoch, VIDEO)])
        | {
            "name": "send: the largest frame, all zeros",
            "operation": "largest",
            "epoch": epoch,
            "frame_zeros": MAX_FRAME,
            "dummy": VP8_DELTA.hex(),
            "expect": {"size": len(data), "sha256": sha256(data).hexdigest()},
        }
    ]


def refused() -> list[Case]:
    """One fault each."""
    stream, here = StreamId(SLOT, VIDEO), [(6, VIDEO)]
    data = send(stream, 6, frame=PLAIN, dummy=VP8_DELTA, at=300)
    other_slot = send(StreamId(4, VIDEO), 6, frame=PLAIN, dummy=VP8_DELTA, at=300)
    faults = [
        ("a member's frame from another slot", here, other_slot, Code.WRONG_SENDER),
        ("an epoch without key", [(5, VIDEO)], data, Code.MISSING_KEY),
        ("a kind without key", [(6, 4)], data, Code.MISSING_KEY),
        (
            "an epoch four later took its place",
            [*here, (10, VIDEO)],
            data,
            Code.BAD_BOX,
        ),
        ("a later generation", [*here, (6, VIDEO + 4)], data, Code.BAD_BOX),
        ("the dummy changed", here, b"\x10" + data[1:], Code.BAD_BOX),
        ("one bit of the frame changed", here, spoil(data, -1), Code.BAD_BOX),
        ("header not minimal", here, data[:1] + b"\x80\x07", Code.NOT_CANONICAL),
        ("dummy only", here, data[:1], Code.NOT_CANONICAL),
    ]
    return [refuse(*fault) for fault in faults]


def refuse(name: str, keys: list[tuple[int, int]], data: bytes, code: Code) -> Case:
    """Return the case of one frame that is refused with `code`."""
    found = code_of(partial(receiver(SLOT, keys).open, data, dummy=1))
    assert found == code.value, name
    return place(SLOT, keys) | {
        "name": f"refuse: {name}",
        "data": data.hex(),
        "dummy": 1,
        "error": found,
    }
