# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from incamera.errors import Code, UsageError
from incamera.node import files
from incamera.node.files import Lock, Step
from incamera.node.keystore import FileKeystore
from incamera.node.ports import SystemEntropy
from incamera.node.store import Store, meeting_item
from incamera.protocol.ids import MeetingId
from incamera.protocol.secret import Secret

MEETING = MeetingId(bytes(range(32)))
ITEM = meeting_item(MEETING)
CANARY = b"the canary sings in camera"


def open_store(home: Path) -> Store:
    files.make_home(home)
    entropy = SystemEntropy()
    passphrase = Secret(bytearray(b"words"))
    keystore = FileKeystore(home / "keys.sealed", passphrase, entropy=entropy)
    return Store(home, keystore, entropy=entropy)


def state_file(home: Path) -> Path:
    return home / "state" / f"{ITEM}.sealed"


def test_what_is_saved_comes_back_after_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save(ITEM, bytearray(b"old"))
    store.save(ITEM, bytearray(CANARY))
    again = open_store(tmp_path)
    assert again.load(ITEM) == CANARY
    assert again.meetings() == [MEETING]


def test_state_is_sealed_and_private(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save(ITEM, bytearray(CANARY))
    assert CANARY not in state_file(tmp_path).read_bytes()
    assert state_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_state_is_sealed_and_private_control(tmp_path: Path) -> None:
    files.replace(tmp_path / "clear", CANARY)
    assert CANARY in (tmp_path / "clear").read_bytes()


def test_what_is_absent_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(tmp_path).load(ITEM)
    assert caught.value.code is Code.NO_MEETING


@pytest.mark.parametrize("at", [0, 14, 15, 26, 27, -1])
def test_an_altered_file_is_refused(tmp_path: Path, at: int) -> None:
    store = open_store(tmp_path)
    store.save(ITEM, bytearray(CANARY))
    data = bytearray(state_file(tmp_path).read_bytes())
    data[at] ^= 1
    state_file(tmp_path).write_bytes(data)
    with pytest.raises(UsageError) as caught:
        store.load(ITEM)
    assert caught.value.code is Code.STORAGE


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save(ITEM, bytearray(CANARY))
    os.truncate(state_file(tmp_path), 20)
    with pytest.raises(UsageError) as caught:
        store.load(ITEM)
    assert caught.value.code is Code.STORAGE


def test_one_items_file_does_not_open_as_anothers(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save("identity", bytearray(b"mine"))
    store.save(ITEM, bytearray(CANARY))
    (tmp_path / "state" / "identity.sealed").write_bytes(
        state_file(tmp_path).read_bytes()
    )
    with pytest.raises(UsageError) as caught:
        store.load("identity")
    assert caught.value.code is Code.STORAGE


def test_a_copy_of_a_destroyed_item_opens_no_more(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save(ITEM, bytearray(CANARY))
    copy = state_file(tmp_path).read_bytes()
    store.destroy(ITEM)
    assert not state_file(tmp_path).exists()
    files.replace(state_file(tmp_path), copy)
    with pytest.raises(UsageError) as caught:
        open_store(tmp_path).load(ITEM)
    assert caught.value.code is Code.NO_MEETING


def test_erasing_overwrites_the_very_file(tmp_path: Path) -> None:
    files.replace(tmp_path / "clear", CANARY * 5000)
    (tmp_path / "link").hardlink_to(tmp_path / "clear")
    files.erase(tmp_path / "clear")
    assert (tmp_path / "link").read_bytes() == bytes(len(CANARY) * 5000)


def test_an_interrupted_destruction_is_finished_at_the_next_start(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path)
    store.save(ITEM, bytearray(CANARY))
    state_file(tmp_path).rename(state_file(tmp_path).with_suffix(".doomed"))
    again = open_store(tmp_path)
    assert list((tmp_path / "state").iterdir()) == []
    with pytest.raises(UsageError):
        again.load(ITEM)


def test_destroying_what_is_absent_is_fine(tmp_path: Path) -> None:
    open_store(tmp_path).destroy(ITEM)


# A process of its own saves `new` over `old` and kills itself at one numbered step.
DIES = """
import os, signal, sys
from pathlib import Path
from incamera.node.files import Step
from incamera.node.keystore import FileKeystore
from incamera.node.ports import SystemEntropy
from incamera.node.store import Store
from incamera.protocol.secret import Secret
home, what, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
die = False
def on_step(at):
    if die and at == step:
        os.kill(os.getpid(), signal.SIGKILL)
entropy = SystemEntropy()
keys = FileKeystore(home / "keys.sealed", Secret(bytearray(b"words")),
                    entropy=entropy, on_step=on_step)
store = Store(home, keys, entropy=entropy, on_step=on_step)
die = True
if what == "save":
    store.save(sys.argv[4], bytearray(b"new" * 100_000))
else:
    keys.put("device", Secret(bytearray(b"new" * 50_000)))
print("alive")
"""


def die(home: Path, what: str, step: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DIES, str(home), what, str(step), ITEM]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("step", Step)
def test_killed_while_saving_leaves_old_or_new(tmp_path: Path, step: Step) -> None:
    old, new = bytearray(b"old" * 100_000), bytearray(b"new" * 100_000)
    open_store(tmp_path).save(ITEM, old)
    assert die(tmp_path, "save", step).returncode == -signal.SIGKILL
    store = open_store(tmp_path)
    assert store.load(ITEM) == (new if step >= Step.RENAMED else old)
    store.save(ITEM, bytearray(b"and on"))
    assert store.load(ITEM) == b"and on"


@pytest.mark.parametrize("step", Step)
def test_killed_while_keeping_a_key_leaves_old_or_new(
    tmp_path: Path, step: Step
) -> None:
    open_store(tmp_path).save(ITEM, bytearray(CANARY))
    assert die(tmp_path, "put", step).returncode == -signal.SIGKILL
    passphrase = Secret(bytearray(b"words"))
    keystore = FileKeystore(
        tmp_path / "keys.sealed", passphrase, entropy=SystemEntropy()
    )
    assert (keystore.get("device") is not None) == (step >= Step.RENAMED)
    assert open_store(tmp_path).load(ITEM) == CANARY


def test_killed_while_saving_control(tmp_path: Path) -> None:
    """A step that never comes kills nobody, and a torn file would be noticed."""
    open_store(tmp_path).save(ITEM, bytearray(b"old"))
    assert die(tmp_path, "save", 99).stdout == "alive\n"
    whole = state_file(tmp_path).read_bytes()
    state_file(tmp_path).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError):
        open_store(tmp_path).load(ITEM)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.save(ITEM, bytearray(b"old"))
    fresh = state_file(tmp_path).with_name(f".{ITEM}.sealed.new")
    fresh.symlink_to("/dev/full")  # stands in the way: never followed
    with pytest.raises(UsageError) as caught:
        store.save(ITEM, bytearray(b"new"))
    assert caught.value.code is Code.STORAGE
    assert store.load(ITEM) == b"old"


def test_two_daemons_cannot_share_a_home(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    with pytest.raises(UsageError) as caught:
        Lock(tmp_path)
    assert caught.value.code is Code.ALREADY_RUNNING
    lock.release()
    Lock(tmp_path).release()


def test_a_home_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(UsageError) as caught:
        files.make_home(tmp_path / "home")
    assert caught.value.code is Code.STORAGE
