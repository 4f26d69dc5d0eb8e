# SPDX-License-Identifier: Apache-2.0
"""Where secrets rest: the system's keyring, or one file under a passphrase.

Device keys and the keys of saved meetings are all that is kept.  A passphrase comes
from the terminal or from a file that only its owner can read, never from the command
line or the environment, which other processes may see.

The file is `header || AES-256-GCM(key, nonce, secrets, AAD = header)`, with

    header = "incamera keys" 00 01 || u32 passes || u32 lanes || u32 KiB
             || 16-byte salt || 12-byte nonce
    key    = Argon2id(passphrase, salt, passes, lanes, KiB), 32 bytes

written whole, each time with a new nonce.  The passphrase is stretched once, when the
file is opened, and then wiped: the key serves all writes of the process, which are far
fewer than random nonces allow.
"""

import base64
import binascii
import re
import struct
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import keyring
import keyring.backend
import keyring.errors
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from incamera.errors import Code, UsageError
from incamera.node.files import OnStep, ignore_step, read_private, replace
from incamera.protocol.ports import Entropy
from incamera.protocol.secret import Secret, wipe
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter

Passphrase: TypeAlias = Secret
"""UTF-8 bytes of what a person typed or a file held."""
SERVICE: Final = "incamera"
_MAGIC: Final = b"incamera keys\0\x01"
_HEADER: Final = struct.Struct(f">{len(_MAGIC)}s3I16s12s")
_PASSES, _LANES, _KIB = 3, 4, 64 * 1024
"""RFC 9106, section 4: the second recommended option, for little memory."""
_MAX_PASSES, _MAX_LANES, _MAX_KIB = 64, 16, 1024 * 1024
"""What a header may ask of us: an altered file must not eat the machine."""
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
_MAX_FILE: Final = 1024 * 1024
_MAX_PASSPHRASE: Final = 1024
_NAME: Final = re.compile(r"[a-z0-9-]{1,80}")
_SYSTEM_KEYRINGS: Final = (
    "keyring.backends.SecretService",
    "keyring.backends.libsecret",
    "keyring.backends.kwallet",
    "keyring.backends.macOS",
    "keyring.backends.Windows",
)
"""Keyrings that encrypt at rest.  Everything else is refused: `null` forgets, `fail`
raises, and third-party ones may write plain text."""


class Keystore(Protocol):
    """Named secrets that outlive the process."""

    def get(self, name: str) -> Secret | None:
        """Return a copy of the secret called `name`, which the caller wipes."""

    def put(self, name: str, secret: Secret) -> None:
        """Keep a copy of `secret`; on return it is on the disk."""

    def delete(self, name: str) -> None:
        """Forget a secret for good; an absent one is fine."""

    def close(self) -> None:
        """Wipe what is held in memory."""


class KeyringKeystore:
    """Keeps secrets in the system's keyring, under the id of one home."""

    def __init__(self, backend: keyring.backend.KeyringBackend, home_id: str) -> None:
        self._backend = backend
        self._home_id = home_id

    def get(self, name: str) -> Secret | None:
        """Return a copy of the secret; the keyring's own text copies stay in memory."""
        try:
            text = self._backend.get_password(SERVICE, self._account(name))
        except keyring.errors.KeyringError as error:
            raise _keyring_failed(error) from error
        if text is None:
            return None
        try:
            return Secret(bytearray(base64.b64decode(text, validate=True)))
        except binascii.Error:
            raise UsageError(Code.STORAGE, f"the keyring's {name} is damaged") from None

    def put(self, name: str, secret: Secret) -> None:
        """Keep a copy of `secret` in the keyring."""
        text = base64.b64encode(secret.buffer).decode()
        try:
            self._backend.set_password(SERVICE, self._account(name), text)
        except keyring.errors.KeyringError as error:
            raise _keyring_failed(error) from error

    def delete(self, name: str) -> None:
        """Forget a secret for good."""
        if self.get(name) is None:
            return
        try:
            self._backend.delete_password(SERVICE, self._account(name))
        except keyring.errors.KeyringError as error:
            raise _keyring_failed(error) from error

    def close(self) -> None:
        """Nothing is held in memory."""

    def _account(self, name: str) -> str:
        return f"{self._home_id}/{_checked(name)}"


class FileKeystore:
    """Keeps secrets in one file under a passphrase."""

    def __init__(
        self,
        path: Path,
        passphrase: Passphrase,
        *,
        entropy: Entropy,
        on_step: OnStep = ignore_step,
    ) -> None:
        """Open the file, or begin an empty one; takes over `passphrase`.

        Raises UsageError: WRONG_PASSPHRASE, or STORAGE when it is not such a file.
        """
        self._path = path
        self._entropy, self._on_step = entropy, on_step
        self._secrets: dict[str, Secret] = {}
        salt: bytes | None = None
        try:
            if path.exists():
                salt = self._load(passphrase)
            # Without one: a new file, or one whose parameters are not ours any more.
            self._salt = salt or bytes(entropy.draw(_SALT_BYTES))
            if salt is None:
                self._key = _derive(self._header(bytes(_NONCE_BYTES)), passphrase)
                self._save(self._secrets)
        finally:
            passphrase.wipe()

    def get(self, name: str) -> Secret | None:
        """Return a copy of the secret called `name`."""
        found = self._secrets.get(_checked(name))
        return None if found is None else found.copy()

    def put(self, name: str, secret: Secret) -> None:
        """Keep a copy of `secret`; on return it is on the disk."""
        changed = {**self._secrets, _checked(name): secret.copy()}
        self._save(changed)
        self._forget(name)
        self._secrets = changed

    def delete(self, name: str) -> None:
        """Forget a secret: the file is written again without it."""
        rest = {known: s for known, s in self._secrets.items() if known != name}
        if len(rest) < len(self._secrets):
            self._save(rest)
            self._forget(name)
            self._secrets = rest

    def close(self) -> None:
        """Wipe the key and all secrets."""
        self._key.wipe()
        for name in self._secrets:
            self._forget(name)
        self._secrets = {}

    def _forget(self, name: str) -> None:
        if name in self._secrets:
            self._secrets[name].wipe()

    def _header(self, nonce: bytes) -> bytes:
        return _HEADER.pack(_MAGIC, _PASSES, _LANES, _KIB, self._salt, nonce)

    def _save(self, secrets: dict[str, Secret]) -> None:
        nonce = bytes(self._entropy.draw(_NONCE_BYTES))
        header = self._header(nonce)
        plain = _join(secrets)
        sealed = AESGCM(self._key.buffer).encrypt(nonce, plain, header)
        wipe(plain)
        replace(self._path, header + sealed, on_step=self._on_step)

    def _load(self, passphrase: Passphrase) -> bytes | None:
        """Take in the file; return its salt, None if it has old parameters."""
        data = bytes(read_private(self._path, _MAX_FILE))
        header, sealed = data[: _HEADER.size], data[_HEADER.size :]
        if len(sealed) < _TAG_BYTES or not header.startswith(_MAGIC):
            raise UsageError(Code.STORAGE, f"{self._path} is not a key file of ours")
        self._key = _derive(header, passphrase)
        plain = bytearray(len(sealed) - _TAG_BYTES)
        _, *parameters, salt, nonce = _HEADER.unpack(header)
        try:
            AESGCM(self._key.buffer).decrypt_into(nonce, sealed, header, plain)
            self._secrets = _split(plain)
        except InvalidTag:
            self._key.wipe()
            message = "wrong passphrase, or the key file was altered"
            raise UsageError(Code.WRONG_PASSPHRASE, message) from None
        finally:
            wipe(plain)
        if parameters == [_PASSES, _LANES, _KIB]:
            return bytes(salt)
        self._key.wipe()
        return None


def system_keyring(
    found: keyring.backend.KeyringBackend | None = None,
) -> keyring.backend.KeyringBackend:
    """Return `found` (by default the user's), or the first that it chains to.

    Raises UsageError(NO_KEYRING) where there is none that encrypts at rest.
    """
    found = found or keyring.get_keyring()
    for backend in (found, *getattr(found, "backends", ())):
        if type(backend).__module__ in _SYSTEM_KEYRINGS:
            return backend  # type: ignore[no-any-return]  # the chain is untyped
    message = "no usable system keyring: give --passphrase-file, or set one up"
    raise UsageError(Code.NO_KEYRING, message)


def read_passphrase(path: Path) -> Passphrase:
    """Return the passphrase in the file `path`, without its last line end.

    Raises UsageError: STORAGE when others can read the file, BAD_ARGUMENT when empty.
    """
    content = read_private(path, _MAX_PASSPHRASE)
    while content.endswith((b"\n", b"\r")):
        del content[-1]
    if not content:
        raise UsageError(Code.BAD_ARGUMENT, f"{path} holds no passphrase")
    return Secret(content)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(Code.BAD_ARGUMENT, "a secret's name is a-z, 0-9 and dashes")
    return name


def _derive(header: bytes, passphrase: Secret) -> Secret:
    _, passes, lanes, kib, salt, _ = _HEADER.unpack(header)
    # Argon2 itself needs 8 KiB per lane.
    bounded = 1 <= passes <= _MAX_PASSES and 1 <= lanes <= _MAX_LANES
    if not (bounded and 8 * lanes <= kib <= _MAX_KIB):
        raise UsageError(Code.STORAGE, "the key file asks for absurd work")
    stretch = Argon2id(
        salt=salt, length=_KEY_BYTES, iterations=passes, lanes=lanes, memory_cost=kib
    )
    key = bytearray(_KEY_BYTES)
    stretch.derive_into(passphrase.buffer, key)  # type: ignore[arg-type]  # any buffer
    return Secret(key)


def _join(secrets: dict[str, Secret]) -> bytearray:
    writer = SnapshotWriter()
    return writer.finish([[name, writer.put(item)] for name, item in secrets.items()])


def _split(plain: bytearray) -> dict[str, Secret]:
    reader = SnapshotReader(plain)
    secrets = {}
    assert isinstance(reader.value, list)
    for item in reader.value:
        assert isinstance(item, list)
        name, index = item
        assert isinstance(name, str)
        secrets[name] = reader.take(index)
    reader.wipe()
    return secrets


def _keyring_failed(error: Exception) -> UsageError:
    return UsageError(Code.NO_KEYRING, f"the keyring refused: {type(error).__name__}")
