# SPDX-License-Identifier: Apache-2.0
"""Which home a daemon uses, and how its secrets are kept there.

A home keeps to the way in which its first daemon opened it: `keys.sealed` says
passphrase, `keyring.id` says system keyring.
"""

import os
from pathlib import Path
from typing import Final

from incamera.errors import Code, UsageError
from incamera.node.files import make_home, read_private, replace
from incamera.node.keystore import (
    FileKeystore,
    KeyringKeystore,
    Keystore,
    system_keyring,
)
from incamera.protocol.ports import Entropy
from incamera.protocol.secret import Secret

_ID_BYTES: Final = 16


def default_home() -> Path:
    """Return the user's own home, $XDG_DATA_HOME/incamera."""
    data = os.environ.get("XDG_DATA_HOME")
    return Path(data or Path.home() / ".local" / "share") / "incamera"


def needs_passphrase(home: Path) -> bool:
    """Return whether the home's secrets lie in a file under a passphrase."""
    return _key_file(home).exists()


def open_keystore(
    home: Path, passphrase: Secret | None, *, entropy: Entropy
) -> Keystore:
    """Open the home's keystore, or begin one; makes the home.

    Takes over `passphrase`.  Raises UsageError: WRONG_PASSPHRASE, NO_KEYRING, STORAGE,
    and BAD_ARGUMENT when the home is kept the other way.
    """
    make_home(home)
    if passphrase is not None:
        if (home / "keyring.id").exists():
            message = "the keys of this home are in the system keyring: no passphrase"
            raise UsageError(Code.BAD_ARGUMENT, message)
        return FileKeystore(_key_file(home), passphrase, entropy=entropy)
    if needs_passphrase(home):
        message = "the keys of this home are under a passphrase: give it"
        raise UsageError(Code.WRONG_PASSPHRASE, message)
    return KeyringKeystore(system_keyring(), _home_id(home, entropy))


def _key_file(home: Path) -> Path:
    return home / "keys.sealed"


def _home_id(home: Path, entropy: Entropy) -> str:
    path = home / "keyring.id"
    if not path.exists():
        replace(path, entropy.draw(_ID_BYTES).hex().encode())
    return read_private(path, 2 * _ID_BYTES).decode()
