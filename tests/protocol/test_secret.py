# SPDX-License-Identifier: Apache-2.0
import pickle

import pytest

from incamera.protocol.secret import Secret, erase, take, wipe


def test_a_secret_never_shows() -> None:
    secret = Secret(bytearray(b"canary"))
    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]!r}"):
        assert "canary" not in text
        assert b"canary".hex() not in text
    assert repr(secret) == "Secret(6 bytes)"


def test_a_secret_is_not_pickled_nor_hashed() -> None:
    secret = Secret(bytearray(b"canary"))
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)


def test_equality_is_by_content() -> None:
    secret = Secret(bytearray(b"canary"))
    assert secret == Secret(bytearray(b"canary"))
    assert secret != Secret(bytearray(b"canarx"))
    assert secret != bytearray(b"canary")


def test_copies_are_wiped_apart() -> None:
    secret = Secret(bytearray(b"canary"))
    copy = secret.copy()
    secret.wipe()
    assert secret.buffer == bytes(6)
    assert copy.buffer == b"canary"
    assert len(copy) == 6


def test_wipe_works_in_place() -> None:
    buffer = bytearray(b"canary")
    secret = Secret(buffer)
    wipe(buffer)
    assert secret.buffer == bytes(6)


def test_take_overwrites_the_original() -> None:
    data = bytes(bytearray(b"canary"))  # an object of its own, not a constant
    assert take(data).buffer == b"canary"
    assert data == bytes(6)


def test_erase_leaves_shared_objects_alone() -> None:
    erase(b"")
    erase(bytes([97]))
    assert bytes([97]) == b"\x61"
