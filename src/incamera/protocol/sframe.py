# SPDX-License-Identifier: Apache-2.0
"""How one frame is sealed under one stream key (spec/media.md, section 4).

SFrame (RFC 9605) with suite 0x0005, AES_256_GCM_SHA512_128, and no other: the suite is
never negotiated.  One context holds one key for one KID and either seals or opens.  The
AEAD does not commit to its key, so a KID selects exactly one key and nothing is ever
tried.
"""

import hmac
from hashlib import sha256
from itertools import count
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.replay import ReplayWindow
from incamera.protocol.secret import Secret, take

SUITE: Final = 0x0005
TAG_BYTES: Final = 16
MAX_HEADER: Final = 17
"""Bytes of the longest header: one, and eight each for KID and counter."""
MAX_COUNTER: Final = 2**64 - 1
"""Highest counter and KID: eight bytes, all that the header has room for."""
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_KEY_LABEL: Final = b"SFrame 1.0 Secret key "  # the blank at the end is the RFC's
_SALT_LABEL: Final = b"SFrame 1.0 Secret salt "
_EXTENDED: Final = 8  # the bit of each half byte that says "a length, not a value"


class Header(NamedTuple):
    """A parsed header: key id, counter and its size in bytes."""

    kid: int
    counter: int
    size: int


class _Shape(NamedTuple):
    """What the first byte says of a header."""

    size: int  # of the whole header
    shift: int  # of the KID in the bytes after the first: 8 bits per counter byte
    mask: int  # of the counter in them
    kid: int  # the KID, if the first byte holds it, else 0
    counter: int
    least_kid: int  # the least that needs so many bytes
    least_counter: int


def _shape(first: int) -> _Shape:
    kid, counter = first >> 4, first & 15
    kid_size, counter_size = max(kid - 7, 0), max(counter - 7, 0)
    return _Shape(
        size=1 + kid_size + counter_size,
        shift=8 * counter_size,
        mask=(1 << 8 * counter_size) - 1,
        kid=0 if kid_size else kid,
        counter=0 if counter_size else counter,
        least_kid=_least(kid_size),
        least_counter=_least(counter_size),
    )


def _least(size: int) -> int:
    return (0, _EXTENDED)[size] if size < 2 else 1 << 8 * (size - 1)


_SHAPES: Final = tuple(_shape(first) for first in range(256))


def encode_header(kid: int, counter: int) -> bytes:
    """Return the one header of `kid` and `counter`, 1 to 17 bytes (RFC 9605, 4.3)."""
    high, kid_bytes = _field(kid)
    low, counter_bytes = _field(counter)
    return bytes([high << 4 | low]) + kid_bytes + counter_bytes


def parse_header(data: bytes) -> Header:
    """Return the header that `data` starts with.

    Raises PeerError(NOT_CANONICAL) if it is cut short or not of minimal length.
    """
    return Header(*split_header(data))


def split_header(data: bytes) -> tuple[int, int, int]:
    """Do what `parse_header` does, but return a plain tuple: half the time."""
    if not data:
        raise PeerError(Code.NOT_CANONICAL, "no frame header")
    # A table and no branches, as this runs once per frame.
    size, shift, mask, kid, counter, least_kid, least_counter = _SHAPES[data[0]]
    rest = int.from_bytes(data[1:size], "big")
    kid += rest >> shift
    counter += rest & mask
    if size > len(data) or kid < least_kid or counter < least_counter:
        raise PeerError(Code.NOT_CANONICAL, "frame header is not minimal")
    return kid, counter, size


def _field(value: int) -> tuple[int, bytes]:
    """Return the half byte and the further bytes that stand for `value`."""
    if value < _EXTENDED:
        return value, b""
    size = (value.bit_length() + 7) // 8
    return _EXTENDED | size - 1, value.to_bytes(size, "big")


class _Context:
    """One AEAD key and salt; `identity` is equal for equal (base key, KID) only."""

    __slots__ = ("_aead", "_salt", "identity", "kid")

    def __init__(self, base_key: Secret, kid: int) -> None:
        """Derive key and salt (RFC 9605, 4.4.2); `base_key` stays the caller's to wipe.

        The library's cipher object holds the key and clears it when it is freed.
        """
        root = take(
            hmac.digest(b"", base_key.buffer, "sha512")
        )  # HKDF-Extract, salt ""
        key = _expand(root, _KEY_LABEL, kid=kid, size=_KEY_BYTES)
        salt = _expand(root, _SALT_LABEL, kid=kid, size=_NONCE_BYTES)
        self.kid = kid
        self._aead = AESGCM(key.buffer)
        self._salt = int.from_bytes(salt.buffer, "big")
        self.identity = sha256(salt.buffer).digest()
        for secret in (root, key, salt):
            secret.wipe()


def _expand(root: Secret, label: bytes, *, kid: int, size: int) -> Secret:
    """Return HKDF-Expand-SHA-512 of at most one block, which is one HMAC.

    Not by the library's HKDF: that leaves a copy of the block in freed memory.
    """
    info = label + kid.to_bytes(8, "big") + SUITE.to_bytes(2, "big")
    block = take(hmac.digest(root.buffer, info + b"\1", "sha512"))
    out = Secret(block.buffer[:size])
    block.wipe()
    return out


class SealContext(_Context):
    """Seals the frames of one stream; no (key, counter) is ever used twice."""

    __slots__ = ("_counters", "_long", "_short")

    def __init__(self, base_key: Secret, kid: int, *, first: int = 0) -> None:
        """Derive from `base_key`, once per key; counters below `first` are skipped."""
        super().__init__(base_key, kid)
        # next() on a count is a single step of the interpreter: no two callers, not
        # even two threads, draw the same number.
        self._counters = count(first)
        self._short = tuple(encode_header(kid, counter) for counter in range(_EXTENDED))
        # headers up to the counter, by the counter's size in bytes
        self._long = tuple(
            encode_header(kid, 1 << 8 * size - 1)[:-size] if size else b""
            for size in range(9)
        )

    def protect(self, plaintext: bytes, *, metadata: bytes) -> bytes:
        """Return header || ciphertext || tag under the next counter.

        `metadata` is authenticated but not sent.  Raises UsageError(COUNTER_EXHAUSTED)
        when all counters of this key are used.
        """
        counter = next(self._counters)
        if counter > MAX_COUNTER:
            raise UsageError(Code.COUNTER_EXHAUSTED, "all counters of a key are used")
        return self._protect(plaintext, counter=counter, metadata=metadata)

    def _protect(self, plaintext: bytes, *, counter: int, metadata: bytes) -> bytes:
        if counter < _EXTENDED:
            header = self._short[counter]
        else:
            size = (counter.bit_length() + 7) >> 3
            header = self._long[size] + counter.to_bytes(size, "big")
        nonce = (self._salt ^ counter).to_bytes(_NONCE_BYTES, "big")
        return header + self._aead.encrypt(nonce, plaintext, header + metadata)


class OpenContext(_Context):
    """Opens the frames of one stream, each once."""

    __slots__ = ("_window",)

    def __init__(self, base_key: Secret, kid: int) -> None:
        """Derive from `base_key`; the window starts empty, so do this once per key."""
        super().__init__(base_key, kid)
        self._window = ReplayWindow()

    def open(self, data: bytes, *, metadata: bytes) -> bytes:
        """Return the plaintext of header || ciphertext || tag.

        Raises PeerError: NOT_CANONICAL (header), MISSING_KEY (another KID), REPLAYED,
        and BAD_BOX for whatever fails to authenticate.
        """
        kid, counter, size = split_header(data)
        if kid != self.kid:
            raise PeerError(Code.MISSING_KEY, "frame is under another key")
        return self.open_parsed(data, counter, size, metadata=metadata)

    def open_parsed(
        self, data: bytes, counter: int, size: int, *, metadata: bytes
    ) -> bytes:
        """Open `data` under our KID, whose header has this counter and size."""
        window = self._window
        if counter <= window.highest:  # spares most frames the call
            window.check(counter)
        nonce = (self._salt ^ counter).to_bytes(_NONCE_BYTES, "big")
        try:
            plain = self._aead.decrypt(nonce, data[size:], data[:size] + metadata)
        except InvalidTag:  # also for a ciphertext too short to hold a tag
            raise PeerError(Code.BAD_BOX, "frame does not authenticate") from None
        window.commit(counter)
        return plain
