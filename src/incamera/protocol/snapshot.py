# SPDX-License-Identifier: Apache-2.0
"""A member's saved state: plain values in CBOR, secrets beside them (local, not wire).

CBOR libraries return immutable `bytes`, which cannot be wiped.  So a snapshot keeps
secrets out of the CBOR: `u32 length || CBOR [value, [secret lengths]] || secrets`.
The value names a secret by its index.  The caller seals and wipes the whole buffer.
"""

from typing import Final

from incamera.errors import Code, UsageError
from incamera.protocol.encoding import Value, encode, parse
from incamera.protocol.secret import Secret

MAX_SNAPSHOT: Final = 64 * 1024 * 1024
"""Bytes: the state of a 1000-member meeting with all its pairwise keys is < 2 MB."""
_LENGTH: Final = 4


class SnapshotWriter:
    """Collects secrets while a value is built, then joins both."""

    def __init__(self) -> None:
        self._secrets: list[Secret] = []

    def put(self, secret: Secret | None) -> int | None:
        """Return the index under which the reader finds `secret` (None for None)."""
        if secret is None:
            return None
        self._secrets.append(secret)
        return len(self._secrets) - 1

    def finish(self, value: Value) -> bytearray:
        """Return the snapshot; the secrets themselves stay with their owners."""
        plain = encode([value, [len(secret) for secret in self._secrets]])
        size = _LENGTH + len(plain) + sum(map(len, self._secrets))
        # One allocation of the final size: a growing buffer leaves copies behind.
        snapshot = bytearray(size)
        snapshot[:_LENGTH] = len(plain).to_bytes(_LENGTH, "big")
        at = _LENGTH + len(plain)
        snapshot[_LENGTH:at] = plain
        for secret in self._secrets:
            snapshot[at : at + len(secret)] = secret.buffer
            at += len(secret)
        return snapshot


class SnapshotReader:
    """Reads a snapshot; every secret becomes a buffer of its own."""

    def __init__(self, snapshot: bytearray) -> None:
        """Raises UsageError(STORAGE) when the parts do not fit together."""
        start = _LENGTH + int.from_bytes(snapshot[:_LENGTH], "big")
        match parse(bytes(snapshot[_LENGTH:start]), MAX_SNAPSHOT):
            case [value, list() as lengths]:
                self.value: Value = value
            case _:
                raise UsageError(Code.STORAGE, "saved state is damaged")
        self._secrets: list[Secret] = []
        for length in lengths:
            if not isinstance(length, int):
                raise UsageError(Code.STORAGE, "saved state is damaged")
            self._secrets.append(Secret(snapshot[start : start + length]))
            start += length
        if start != len(snapshot):
            raise UsageError(Code.STORAGE, "saved state is damaged")

    def take(self, index: Value) -> Secret:
        """Return the secret that the writer put under `index`."""
        if not isinstance(index, int) or index >= len(self._secrets):
            raise UsageError(Code.STORAGE, "saved state is damaged")
        return self._secrets[index].copy()

    def wipe(self) -> None:
        """Overwrite the reader's copies, once the member has taken its own."""
        for secret in self._secrets:
            secret.wipe()
