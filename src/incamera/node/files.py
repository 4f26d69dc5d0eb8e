# SPDX-License-Identifier: Apache-2.0
"""How a file of ours is written, so that it is never torn and nobody else's to read.

A file is replaced whole: written beside its old version, synced, renamed over it, and
the folder synced.  A process killed at any step leaves the old content or the new.
The folder of a home is 0700, every file in it 0600, and one process at a time owns it.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Final, Self

from incamera.errors import Code, UsageError

_CHUNK: Final = 64 * 1024
"""Bytes per write call: large files take several, and may be cut between two."""
_ONLY_OWNER: Final = 0o600
_OTHERS: Final = 0o077
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Step(IntEnum):
    """The points of `replace` at which a process may die."""

    OPENED = 1
    PART_WRITTEN = 2
    WRITTEN = 3
    SYNCED = 4
    RENAMED = 5
    FOLDER_SYNCED = 6


OnStep = Callable[[Step], None]


def ignore_step(step: Step) -> None:
    """Do nothing: the default of `on_step`."""


def make_home(home: Path) -> None:
    """Make the folder `home`, for its owner only.

    Raises UsageError(STORAGE) when it cannot be made or belongs to somebody else.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.getuid():
            raise UsageError(Code.STORAGE, f"{home} belongs to another user")
        home.chmod(0o700)
    except OSError as error:
        raise UsageError(Code.STORAGE, f"cannot use {home}: {error.strerror}") from None


def replace(path: Path, data: bytes, *, on_step: OnStep = ignore_step) -> None:
    """Make `data` the content of `path`; on return it is on the disk.

    Raises UsageError(STORAGE) when the disk refuses; the old content is still there.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        _write_synced(fresh, data, on_step)
        fresh.rename(path)
        on_step(Step.RENAMED)
        sync_folder(path.parent)
        on_step(Step.FOLDER_SYNCED)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise UsageError(Code.STORAGE, message) from error


def _write_synced(path: Path, data: bytes, on_step: OnStep) -> None:
    file = os.open(path, _NEW, _ONLY_OWNER)
    try:
        on_step(Step.OPENED)
        _write_all(file, data, on_step)
        os.fsync(file)
        on_step(Step.SYNCED)
    finally:
        os.close(file)


def _write_all(file: int, data: bytes, on_step: OnStep) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest[:_CHUNK]) :]
        on_step(Step.PART_WRITTEN if rest else Step.WRITTEN)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def erase(path: Path) -> None:
    """Overwrite a file with zeros and remove it; absent is fine.

    A disk that remaps blocks may keep an old copy.  What must be gone for certain is
    sealed under a key, and the key is destroyed first.
    """
    with contextlib.suppress(FileNotFoundError):
        file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _write_all(file, bytes(os.fstat(file).st_size), ignore_step)
            os.fsync(file)
        finally:
            os.close(file)
        path.unlink()
        sync_folder(path.parent)


def read_private(path: Path, limit: int) -> bytearray:
    """Return the content of a file that only its owner can read.

    Raises UsageError: STORAGE when it is absent, too large or open to others.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            Code.STORAGE, f"cannot read {path}: {error.strerror}"
        ) from None
    with os.fdopen(file, "rb", buffering=0) as stream:
        status = os.fstat(file)
        if status.st_mode & _OTHERS or status.st_uid != os.getuid():
            raise UsageError(
                Code.STORAGE, f"{path} is open to others: chmod 600 it first"
            )
        if status.st_size > limit:
            raise UsageError(Code.STORAGE, f"{path} is larger than {limit} bytes")
        content = bytearray(status.st_size)
        stream.readinto(content)
        return content


class Lock:
    """Holds a home for one process; the system frees it when the process ends."""

    def __init__(self, home: Path) -> None:
        """Raises UsageError(ALREADY_RUNNING) while another process holds `home`."""
        path = home / "lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _ONLY_OWNER)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            message = f"another incamera already uses {home}"
            raise UsageError(Code.ALREADY_RUNNING, message) from None

    def __enter__(self) -> Self:
        """Hold it while the block runs."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()

    def release(self) -> None:
        """Let the next process have the home."""
        os.close(self._file)
