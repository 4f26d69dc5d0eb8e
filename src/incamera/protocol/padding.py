# SPDX-License-Identifier: Apache-2.0
"""How the length of what is sealed is hidden (spec/relay.md, section 4).

A padded text is `u32 length || content || zeros`, up to the smallest size class that
holds it.  The classes double from 256 bytes; the last is what still fits, sealed and
framed, into the largest relay message.
"""

from typing import Final

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.secret import Secret

SIZE_CLASSES: Final = (256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 64_000)
"""Bytes of a padded text; 64000 leaves room for HPKE's 1136 bytes and the frame."""
_PREFIX: Final = 4
MAX_CONTENT: Final = SIZE_CLASSES[-1] - _PREFIX
"""Bytes of the longest content that can be padded."""


def pad(content: bytes) -> bytearray:
    """Return `content` padded; UsageError(TOO_LARGE) above MAX_CONTENT bytes."""
    needed = _PREFIX + len(content)
    if needed > SIZE_CLASSES[-1]:
        raise UsageError(Code.TOO_LARGE, f"more than {MAX_CONTENT} bytes to seal")
    size = next(size for size in SIZE_CLASSES if size >= needed)
    out = bytearray(size)
    out[:_PREFIX] = len(content).to_bytes(_PREFIX, "big")
    out[_PREFIX:needed] = content
    return out


def unpad(padded: Secret) -> bytes:
    """Return the content; PeerError(NOT_CANONICAL) for any other padding than ours."""
    buffer = padded.buffer
    length = int.from_bytes(buffer[:_PREFIX], "big")
    content = bytes(buffer[_PREFIX : _PREFIX + length])
    if length > MAX_CONTENT or pad(content) != buffer:
        raise PeerError(Code.NOT_CANONICAL, "not padded to a size class")
    return content
