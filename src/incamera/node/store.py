# SPDX-License-Identifier: Apache-2.0
"""What a daemon remembers across a restart, sealed (spec/keys.md, section 2).

Each item, such as the state of one meeting, is a file under a random key of its own
that rests in the keystore.  Rules:

1. state is saved before anything that follows from it is sent;
2. a save is whole or has not happened;
3. destroying an item destroys its key before its file, so that no copy of the file is
   of use, and is finished at the next start if it was interrupted.
"""

import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.errors import Code, UsageError
from incamera.node.files import (
    OnStep,
    erase,
    ignore_step,
    make_home,
    read_private,
    replace,
    sync_folder,
)
from incamera.node.keystore import Keystore
from incamera.protocol.ids import MeetingId
from incamera.protocol.ports import Entropy
from incamera.protocol.secret import Secret
from incamera.protocol.snapshot import MAX_SNAPSHOT

_MAGIC: Final = b"incamera state\0\x01"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_OVERHEAD: Final = len(_MAGIC) + _NONCE_BYTES + _TAG_BYTES
_SUFFIX: Final = ".sealed"
_DOOMED: Final = ".doomed"
_MEETING: Final = re.compile(r"meeting-[0-9a-f]{64}")


class Store:
    """Sealed items by name, in one folder of a home that is locked for this process."""

    def __init__(
        self,
        home: Path,
        keystore: Keystore,
        *,
        entropy: Entropy,
        on_step: OnStep = ignore_step,
    ) -> None:
        """Use the folder HOME/state; finish destructions that were interrupted."""
        self._folder = home / "state"
        make_home(self._folder)
        self._keystore, self._entropy = keystore, entropy
        self._on_step = on_step
        for path in self._folder.glob(f"*{_DOOMED}"):
            self._finish(path)

    def names(self) -> list[str]:
        """Return the names of all items."""
        files = self._folder.glob(f"*{_SUFFIX}")
        return sorted(path.name.removesuffix(_SUFFIX) for path in files)

    def meetings(self) -> list[MeetingId]:
        """Return the meetings that have saved state."""
        found = filter(_MEETING.fullmatch, self.names())
        return [MeetingId(bytes.fromhex(name.partition("-")[2])) for name in found]

    def save(self, name: str, snapshot: bytearray) -> None:
        """Replace the item by `snapshot`, which the caller wipes; durable on return.

        Raises UsageError(STORAGE) when the disk refuses; the old item is unharmed.
        """
        key = self._keystore.get(name) or self._new_key(name)
        # Random nonces: a key sees far fewer than 2^32 saves.
        nonce = bytes(self._entropy.draw(_NONCE_BYTES))
        sealed = AESGCM(key.buffer).encrypt(nonce, snapshot, _aad(name))
        key.wipe()
        replace(self._path(name), _MAGIC + nonce + sealed, on_step=self._on_step)

    def load(self, name: str) -> bytearray:
        """Return the item's snapshot, which the caller wipes.

        Raises UsageError: NO_MEETING when there is none, STORAGE when it is damaged.
        """
        key = self._keystore.get(name)
        if key is None or not self._path(name).exists():
            raise UsageError(Code.NO_MEETING, f"nothing is saved as {name}")
        data = bytes(read_private(self._path(name), MAX_SNAPSHOT + _OVERHEAD))
        try:
            return _open(key, data, name)
        except InvalidTag:
            message = f"the saved {name} is damaged"
            raise UsageError(Code.STORAGE, message) from None
        finally:
            key.wipe()

    def destroy(self, name: str) -> None:
        """Destroy the item's key, then its file; absent is fine."""
        doomed = self._path(name).with_suffix(_DOOMED)
        if self._path(name).exists():
            self._path(name).rename(doomed)
            sync_folder(self._folder)
            self._finish(doomed)
        else:
            self._keystore.delete(name)

    def _new_key(self, name: str) -> Secret:
        key = Secret(self._entropy.draw(_KEY_BYTES))
        self._keystore.put(name, key)
        return key

    def _finish(self, doomed: Path) -> None:
        self._keystore.delete(doomed.stem)
        erase(doomed)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"


def meeting_item(meeting: MeetingId) -> str:
    """Return the name under which a meeting's state is saved."""
    return f"meeting-{meeting.hex()}"


def _open(key: Secret, data: bytes, name: str) -> bytearray:
    body = data.removeprefix(_MAGIC)
    if len(data) < _OVERHEAD or len(body) == len(data):
        raise InvalidTag
    nonce, sealed = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
    snapshot = bytearray(len(sealed) - _TAG_BYTES)
    AESGCM(key.buffer).decrypt_into(nonce, sealed, _aad(name), snapshot)
    return snapshot


def _aad(name: str) -> bytes:
    return _MAGIC + name.encode()
