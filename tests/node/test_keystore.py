# SPDX-License-Identifier: Apache-2.0
import contextlib
import struct
from pathlib import Path

import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from incamera.errors import Code, UsageError
from incamera.node.home import needs_passphrase, open_keystore
from incamera.node.keystore import (
    FileKeystore,
    KeyringKeystore,
    Keystore,
    read_passphrase,
    system_keyring,
)
from incamera.node.ports import SystemEntropy
from incamera.protocol.secret import Secret

KEY = bytes(range(32))


class MemoryKeyring(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring is untyped
        self.texts: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.texts.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.texts[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.texts[service, username]


def secret(data: bytes = KEY) -> Secret:
    return Secret(bytearray(data))


def open_file(path: Path, words: bytes = b"correct horse") -> FileKeystore:
    return FileKeystore(path, secret(words), entropy=SystemEntropy())


@pytest.fixture(params=["file", "keyring"])
def keystore(request: pytest.FixtureRequest, tmp_path: Path) -> Keystore:
    if request.param == "file":
        return open_file(tmp_path / "keys.sealed")
    return KeyringKeystore(MemoryKeyring(), "home")


def test_what_is_put_comes_back(keystore: Keystore) -> None:
    assert keystore.get("device") is None
    keystore.put("device", secret())
    keystore.put("device", secret(KEY[::-1]))
    assert keystore.get("device") == secret(KEY[::-1])


def test_what_is_deleted_is_gone(keystore: Keystore) -> None:
    keystore.put("device", secret())
    keystore.put("other", secret())
    keystore.delete("device")
    keystore.delete("device")
    assert keystore.get("device") is None
    assert keystore.get("other") == secret()


def test_a_copy_is_kept_and_a_copy_is_given(keystore: Keystore) -> None:
    given = secret()
    keystore.put("device", given)
    given.wipe()
    first = keystore.get("device")
    assert first == secret()
    first.wipe()
    assert keystore.get("device") == secret()


@pytest.mark.parametrize("name", ["", "../x", "A", "x" * 81])
def test_a_name_is_plain(keystore: Keystore, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        keystore.put(name, secret())
    assert caught.value.code is Code.BAD_ARGUMENT


def test_the_file_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    first = open_file(path)
    first.put("device", secret())
    first.close()
    assert first.get("device") is None
    assert open_file(path).get("device") == secret()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    open_file(tmp_path / "keys.sealed")
    with pytest.raises(UsageError) as caught:
        open_file(tmp_path / "keys.sealed", b"incorrect horse")
    assert caught.value.code is Code.WRONG_PASSPHRASE


def test_the_file_shows_neither_names_nor_secrets(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    keystore = open_file(path)
    keystore.put("canary", secret())
    assert b"canary" not in path.read_bytes()
    assert KEY not in path.read_bytes()


def test_salts_are_new_in_each_file_and_nonces_in_each_write(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    keystore = open_file(path)
    before = path.read_bytes()
    keystore.put("device", secret())
    after = path.read_bytes()
    assert (
        before[:27]
        == after[:27]
        == b"incamera keys\0\x01" + struct.pack(">3I", 3, 4, 65536)
    )
    assert before[27:43] == after[27:43]
    assert before[43:55] != after[43:55]
    open_file(tmp_path / "other")
    assert (tmp_path / "other").read_bytes()[27:43] != before[27:43]


def test_the_passphrase_is_wiped_once_the_file_is_open(tmp_path: Path) -> None:
    for words in (b"correct horse", b"correct horse", b"incorrect horse"):
        phrase = secret(words)
        with contextlib.suppress(UsageError):
            FileKeystore(tmp_path / "keys.sealed", phrase, entropy=SystemEntropy())
        assert not any(phrase.buffer)


def test_a_file_with_weaker_parameters_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.sealed"
    with monkeypatch.context() as weak:
        weak.setattr("incamera.node.keystore._PASSES", 1)
        open_file(path).put("device", secret())
    before = path.read_bytes()
    assert open_file(path).get("device") == secret()
    after = path.read_bytes()
    assert (before[18], after[18]) == (1, 3)
    assert before[27:43] != after[27:43]
    assert open_file(path).get("device") == secret()


@pytest.mark.parametrize("at", [*range(28, 60, 7), -1])
def test_any_changed_byte_is_noticed(tmp_path: Path, at: int) -> None:
    path = tmp_path / "keys.sealed"
    open_file(path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        open_file(path)
    assert caught.value.code is Code.WRONG_PASSPHRASE


@pytest.mark.parametrize(
    "numbers", [(0, 4, 65536), (2**31, 4, 65536), (3, 4, 2**31), (3, 0, 64), (3, 4, 1)]
)
def test_absurd_parameters_are_refused(
    tmp_path: Path, numbers: tuple[int, int, int]
) -> None:
    path = tmp_path / "keys.sealed"
    open_file(path)
    data = path.read_bytes()
    path.write_bytes(data[:15] + struct.pack(">3I", *numbers) + data[27:])
    with pytest.raises(UsageError) as caught:
        open_file(path)
    assert caught.value.code is Code.STORAGE


@pytest.mark.parametrize("data", [b"", b"incamera keys\0\x02" + bytes(80), bytes(100)])
def test_a_foreign_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "keys.sealed"
    path.touch(mode=0o600)
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        open_file(path)
    assert caught.value.code is Code.STORAGE


def test_a_file_open_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.sealed"
    open_file(path)
    path.chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        open_file(path)


class PlaintextKeyring(MemoryKeyring):
    """Stands for third-party keyrings that write plain text."""


@pytest.mark.parametrize(
    "backend",
    [
        keyring.backends.fail.Keyring(),  # type: ignore[no-untyped-call]  # untyped
        keyring.backends.null.Keyring(),  # type: ignore[no-untyped-call]  # untyped
        PlaintextKeyring(),
    ],
)
def test_keyrings_that_do_not_encrypt_are_refused(backend: KeyringBackend) -> None:
    with pytest.raises(UsageError) as caught:
        system_keyring(backend)
    assert caught.value.code is Code.NO_KEYRING


def test_keyrings_that_do_not_encrypt_are_refused_control() -> None:
    class Desktop(MemoryKeyring):
        __module__ = "keyring.backends.SecretService"

    class Chain(MemoryKeyring):
        backends = (PlaintextKeyring(), Desktop())

    assert isinstance(system_keyring(Desktop()), Desktop)
    assert isinstance(system_keyring(Chain()), Desktop)


def test_a_keyring_that_refuses_is_reported() -> None:
    class Locked(MemoryKeyring):
        def get_password(self, service: str, username: str) -> str | None:
            raise keyring.errors.KeyringLocked

    with pytest.raises(UsageError) as caught:
        KeyringKeystore(Locked(), "home").get("device")
    assert caught.value.code is Code.NO_KEYRING


def test_homes_do_not_share_secrets_in_one_keyring() -> None:
    backend = MemoryKeyring()
    KeyringKeystore(backend, "first").put("device", secret())
    assert KeyringKeystore(backend, "second").get("device") is None


@pytest.mark.parametrize("content", [b"words\n", b"words", b"words\r\n"])
def test_a_passphrase_file_is_read_without_its_line_end(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_bytes(content)
    assert read_passphrase(path) == secret(b"words")


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [
        (b"words", 0o644, Code.STORAGE),
        (b"\n", 0o600, Code.BAD_ARGUMENT),
        (b"x" * 1025, 0o600, Code.STORAGE),
    ],
)
def test_a_bad_passphrase_file_is_refused(
    tmp_path: Path, content: bytes, mode: int, code: Code
) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(UsageError) as caught:
        read_passphrase(path)
    assert caught.value.code is code


def test_a_home_keeps_to_its_way(tmp_path: Path) -> None:
    home = tmp_path / "home"
    open_keystore(home, secret(b"words"), entropy=SystemEntropy()).close()
    assert home.stat().st_mode & 0o777 == 0o700
    assert needs_passphrase(home)
    with pytest.raises(UsageError) as caught:
        open_keystore(home, None, entropy=SystemEntropy())
    assert caught.value.code is Code.WRONG_PASSPHRASE


def test_a_home_in_the_keyring_takes_no_passphrase(tmp_path: Path) -> None:
    (tmp_path / "keyring.id").touch(mode=0o600)
    with pytest.raises(UsageError) as caught:
        open_keystore(tmp_path, secret(b"words"), entropy=SystemEntropy())
    assert caught.value.code is Code.BAD_ARGUMENT
