# SPDX-License-Identifier: Apache-2.0
"""Key bytes that can be overwritten and never show in text (spec/keys.md, section 2).

Python's `bytes` cannot be cleared; a `bytearray` can.  A `Secret` owns one, refuses to
be printed or pickled, and is wiped when its owner is done with it.  Where a library
insists on returning `bytes`, `take` moves them into a `Secret` at once.
"""

import ctypes
import hmac
from typing import NoReturn


class Secret:
    """Owns secret bytes; `wipe()` overwrites them."""

    __slots__ = ("_bytes",)

    def __init__(self, data: bytearray) -> None:
        """Take over `data`; the caller keeps no other reference."""
        self._bytes = data

    @property
    def buffer(self) -> bytearray:
        """The bytes themselves, for a library call; never copy them into `bytes`."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._bytes)

    def __repr__(self) -> str:
        return f"Secret({len(self._bytes)} bytes)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self._bytes, other._bytes
        )

    __hash__ = None  # type: ignore[assignment]  # secrets never index a mapping

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")

    def copy(self) -> "Secret":
        """Return an independent secret with the same bytes."""
        return Secret(bytearray(self._bytes))

    def wipe(self) -> None:
        """Overwrite the bytes with zeros; the length stays."""
        wipe(self._bytes)


def wipe(buffer: bytearray) -> None:
    """Overwrite `buffer` in place with zeros."""
    buffer[:] = bytes(len(buffer))


def take(data: bytes) -> Secret:
    """Return `data` as a Secret and overwrite the original, an immutable object.

    Only for the fresh result of a library call to which nobody else refers: HPKE, HMAC
    and SHAKE have no form that writes into a buffer, and `bytes` stay in memory after
    their release.
    """
    secret = Secret(bytearray(data))
    erase(data)
    return secret


def erase(data: bytes) -> None:
    """Overwrite a `bytes` object that nobody else refers to; see `take`.

    Empty and one-byte objects are shared by the whole interpreter and left alone.
    """
    if len(data) > 1:
        ctypes.memset(data, 0, len(data))  # type: ignore[arg-type]  # typed read-only
