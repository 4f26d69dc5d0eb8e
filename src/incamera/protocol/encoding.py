# SPDX-License-Identifier: Apache-2.0
"""Which bytes are canonical CBOR in our profile (spec/encoding.md, section 2).

RFC 8949 deterministic encoding, restricted: definite lengths, shortest form, unsigned
integers below 2^53, byte strings, text, arrays, maps with ascending unsigned-integer
keys, booleans and null; depth at most 8.  Bytes that do not encode back to themselves
are refused, so a value has one encoding and an encoding one value.
"""

import io
from collections.abc import Iterable
from typing import Final, TypeAlias

import cbor2

from incamera.errors import Code, PeerError

MAX_UINT: Final = 2**53 - 1
"""Largest integer: exact in every language's double."""
MAX_DEPTH: Final = 8
"""Containers inside each other: our deepest format needs 6."""
MAX_ENTRY: Final = 16_384
"""Bytes of one ledger entry: cheap to store, to gossip and to verify."""
MAX_MESSAGE: Final = 65_536
"""Bytes of one relay message after padding."""

_PLAIN: Final = frozenset({bytes, str, bool, type(None)})
"""Types whose every value is in the profile."""

Value: TypeAlias = "int | bytes | str | bool | None | list[Value] | dict[int, Value]"


def encode(value: Value) -> bytes:
    """Return the one encoding of `value`; the caller keeps to the profile."""
    return cbor2.dumps(value, canonical=True)


def parse(data: bytes, limit: int = MAX_ENTRY) -> Value:
    """Return the value that `data` encodes.

    Raises PeerError: TOO_LARGE above `limit` bytes, NOT_CANONICAL for anything that is
    not CBOR in our profile or not the one encoding of its value.
    """
    if len(data) > limit:
        raise PeerError(Code.TOO_LARGE, f"{len(data)} bytes where {limit} are allowed")
    stream = io.BytesIO(data)
    try:
        value: object = cbor2.CBORDecoder(stream).decode()
    except Exception as error:  # the library promises no closed set of exceptions
        raise PeerError(Code.NOT_CANONICAL, "not CBOR") from error
    # A dict keeps the order of its bytes, and ascending keys are the canonical order:
    # the plain encoding is the canonical one then, in a third of the time.
    if not _in_profile(value, MAX_DEPTH) or cbor2.dumps(value) != data:
        raise PeerError(Code.NOT_CANONICAL, "not canonical CBOR")
    return value  # type: ignore[return-value]  # _in_profile has just checked it


def _in_profile(value: object, depth: int) -> bool:
    """Exact types only: a subclass such as a CBOR tag or a float is out."""
    kind = type(value)
    if kind is int:
        return 0 <= value <= MAX_UINT  # type: ignore[operator]  # kind is int
    if kind in _PLAIN:
        return True
    if depth == 0:
        return False
    if kind is list:
        return _all_in_profile(value, depth - 1)  # type: ignore[arg-type]  # kind is list
    if kind is dict:
        keys = list(value)  # type: ignore[call-overload]  # kind is dict
        return _ascend(keys) and _all_in_profile(value.values(), depth - 1)  # type: ignore[attr-defined]  # kind is dict
    return False


def _all_in_profile(values: Iterable[object], depth: int) -> bool:
    # A loop, and no call for what is plain: every entry and message comes by here.
    for value in values:
        if type(value) not in _PLAIN and not _in_profile(value, depth):
            return False
    return True


def _ascend(keys: list[object]) -> bool:
    """Return whether these are unsigned integers, each above the one before it."""
    last = -1
    for key in keys:
        if type(key) is not int or not last < key <= MAX_UINT:
            return False
        last = key
    return True
