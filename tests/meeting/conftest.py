# SPDX-License-Identifier: Apache-2.0
"""People, each a daemon in a process of its own, and ways to look into them."""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from incamera.node.keystore import FileKeystore
from incamera.node.ports import SystemEntropy
from incamera.protocol.secret import Secret

HERE = Path(__file__).parent


def load_evidence() -> Any:
    """Load the file beside this one: tests are no package."""
    spec = importlib.util.spec_from_file_location("evidence", HERE / "evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EVIDENCE = load_evidence()
WAIT_S = 40.0


class RefusedError(RuntimeError):
    """The daemon said no."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(f"{error['message']} [{error['code']}]")
        self.code, self.fault = error["code"], error["fault"]


class Frame(NamedTuple):
    """One frame as its sender sealed it."""

    time_ns: int
    slot: int
    number: int
    epoch: int
    dummy: int
    data: bytes


def until(fact: Callable[[], Any], what: str, *, limit_s: float = WAIT_S) -> Any:
    """Wait for something to be so, and return it."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if found := fact():
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not come to pass: {what}")


def said(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process ended"
    answer: dict[str, Any] = json.loads(line)
    return answer


@dataclass
class Person:
    """A daemon with its home, its gateway behind a wiretap, and what it told."""

    name: str
    folder: Path
    flags: tuple[str, ...] = ()
    events: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    gateway: int = 0
    _tap: subprocess.Popen[bytes] | None = None
    address: str = ""
    """Where its gateway's wiretap listens."""
    _baseline: dict[int, set[int]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def wire(self) -> Path:
        return self.folder / "wire"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    # ---------------------------------------------------------------- life and death

    def begin(self) -> "Person":
        """Start the process; `ready` waits for it."""
        for path in (self.folder, self.home, self.wire):
            path.mkdir(mode=0o700, exist_ok=True)
        command = [sys.executable, str(HERE / "member.py"), str(self.home)]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [*command, str(self.folder), *self.flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        return self

    def ready(self) -> "Person":
        """Wait until it listens, and listen to its events."""
        assert self.process is not None
        if "--no-gateway" not in self.flags:
            own = said(self.process)
            self.gateway = own["pid"]
            (self.wire / "next").write_text(own["listens"])
            (self.wire / "next").rename(self.wire / "target")
            self.tell(f"route {self._front()}", answer=False)
        assert said(self.process) == {"ready": True}
        connection = self._connect()
        connection.sendall(b'{"id":0,"method":"events","params":{}}\n')
        threading.Thread(target=self._listen, args=(connection,), daemon=True).start()
        return self

    def start(self) -> "Person":
        return self.begin().ready()

    def _front(self) -> str:
        """Start the wiretap before our gateway; it outlives the gateway."""
        if self._tap is None:
            for name in ("tls.key", "tls.pem"):
                data = (self.home / "gateway" / name).read_bytes()
                (self.wire / name).write_bytes(data)
            self._tap = subprocess.Popen(
                [sys.executable, str(HERE / "wiretap.py"), str(self.wire)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self.address = said(self._tap)["address"]
        return self.address

    def tell(self, line: str, *, answer: bool = True) -> None:
        """Give the process an order of ours."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        if answer:
            assert said(self.process) == {"obeyed": line}

    def kill(self, *, gateway: bool = True) -> None:
        """kill -9, with or without its gateway."""
        if gateway:
            os.killpg(self.pid, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)
        self.died()

    def died(self) -> None:
        """Wait for the end of the process."""
        assert self.process is not None
        self.process.wait(WAIT_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.process = None
        until(
            lambda: not EVIDENCE.alive(self.gateway),
            f"the end of {self.name}'s gateway",
        )

    def stop(self) -> None:
        """End everything of this person."""
        if self.process is not None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.died()
        if self._tap is not None:
            self._tap.kill()
            self._tap.wait()
            for pipe in (self._tap.stdin, self._tap.stdout):
                assert pipe is not None
                pipe.close()
            self._tap = None

    # --------------------------------------------------------------------- speaking

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(WAIT_S)
        connection.connect(str(self.home / "daemon.sock"))
        return connection

    def _listen(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    event = json.loads(line)["event"]
                    self.events.append(event | {"at": time.monotonic()})
            except (OSError, ValueError):
                return

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the daemon; RefusedError with its code."""
        with self._connect() as connection, connection.makefile("rb") as lines:
            request = {"id": 1, "method": method, "params": params}
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(lines.readline())
        if "error" in answer:
            raise RefusedError(answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def hears(
        self, kind: str, text: str = "", *, meeting: str = "", since: int = 0
    ) -> dict[str, Any]:
        """Wait for an event, and return it."""

        def found() -> dict[str, Any] | None:
            for event in self.events[since:]:
                fits = event["kind"] == kind and text in event["text"]
                if fits and event["meeting"].startswith(meeting):
                    return event
            return None

        event: dict[str, Any] = until(found, f"{self.name} hears {kind} {text}")
        return event

    def view(self, meeting: str) -> dict[str, Any]:
        return self.call("meeting.show", meeting=meeting)

    # ---------------------------------------------------------------------- meetings

    def leads(self, title: str, **media: Any) -> tuple[str, str]:
        """Publish a meeting; returns its id and its link."""
        given = {"public": False, "title": title, **media}
        new = self.call("meeting.new", **given)
        return new["meeting"], new["link"]

    def lets_in(self, other: "Person", link: str, **media: Any) -> None:
        """Let somebody ask, and admit it."""
        given = {"public": False, "link": link, **media}
        meeting = other.call("meeting.join", **given)["meeting"]

        def asked() -> list[dict[str, Any]]:
            found = self.view(meeting)["requests"]
            return [r for r in found if r["name"] == other.name and r["checked"]]

        request = until(asked, f"{other.name} asks")[-1]["request"]
        self.call("meeting.admit", meeting=meeting, request=request)
        other.hears("epoch", "sending", meeting=meeting)

    def says(self, meeting: str, text: str, *others: "Person") -> float:
        """Say something that all others hear; returns how long it took."""
        begun = time.monotonic()
        self.call("meeting.say", meeting=meeting, text=text)
        heard: list[float] = [o.hears("message", text)["at"] for o in others]
        return max(heard) - begun

    # ----------------------------------------------------------------------- evidence

    def secrets(self) -> dict[bytes, str]:
        """Every secret of 16 bytes or more that the process ever held."""
        data, at = (self.folder / "secrets").read_bytes(), 0
        found: dict[bytes, str] = {}
        while at < len(data):
            name, size = struct.unpack_from(">HH", data, at)
            at += 4 + name + size
            secret = data[at - size : at]
            if len(secret) >= 16:
                found.setdefault(secret, data[at - size - name : at - size].decode())
        return found

    def frames(self) -> list[Frame]:
        """Every frame that the process ever sent."""
        data, found, at = (self.folder / "frames").read_bytes(), [], 0
        head = struct.Struct(">QIQQHI")
        while at < len(data):
            *place, size = head.unpack_from(data, at)
            at += head.size + size
            found.append(Frame._make((*place, data[at - size : at])))
        return found

    def resting(self) -> dict[bytes, str]:
        """The keys of sealed files that rest in the home, with the files' names."""
        phrase = Secret(bytearray(b"a passphrase for tests"))
        keys = FileKeystore(self.home / "keys.sealed", phrase, entropy=SystemEntropy())
        found, names = {}, [p.stem for p in (self.home / "state").glob("*.sealed")]
        for name in [*names, *(f"meeting-{n.partition('-')[2]}" for n in names)]:
            if (key := keys.get(name)) is not None:
                found[bytes(key.buffer)] = name
        return found

    def baseline(self) -> None:
        """Note what memory holds now: later scans look at what is new."""
        for pid in filter(EVIDENCE.alive, (self.pid, self.gateway)):
            self._baseline[pid] = {hash(page) for page in EVIDENCE.pages(pid)}

    def memory(self, pid: int) -> bytes:
        """All writable memory of a process that changed since the baseline."""
        known = self._baseline.get(pid, set())
        return b"".join(page for page in EVIDENCE.pages(pid) if hash(page) not in known)

    def files(self, folder: str = "") -> bytes:
        """The content of all files of the home."""
        data: bytes = EVIDENCE.files_of(self.home / folder)
        return data


def on_the_wire(person: Person) -> bytes:
    """All that passed between anybody and this person's gateway, in plain."""
    up = b"".join(EVIDENCE.unmasked(p.read_bytes()) for p in person.wire.glob("*-up"))
    down = b"".join(p.read_bytes() for p in person.wire.glob("*-down"))
    return up + down


@dataclass(frozen=True)
class Kit:
    """What the tests of meetings work with."""

    people: Callable[..., list[Person]]
    refused: Callable[[str], Any]
    holds = staticmethod(EVIDENCE.holds)
    on_the_wire = staticmethod(on_the_wire)
    until = staticmethod(until)
    keys_of = staticmethod(EVIDENCE.keys_of)
    visit = staticmethod(EVIDENCE.visit)
    files_of = staticmethod(EVIDENCE.files_of)
    alive = staticmethod(EVIDENCE.alive)


def gather(people: list[Person], *, public: bool = False) -> None:
    """Start people and give each an identity."""
    for person in people:
        person.begin()
    for person in people:
        person.ready().call("identity.create", name=person.name, public=public)


def refused(code: str) -> Any:
    return pytest.raises(RefusedError, check=lambda error: error.code == code)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """`kit.people("Ada", "Bob")` starts people who end with the module."""
    started: list[Person] = []

    def people(*names: str, public: bool = False) -> list[Person]:
        folder = tmp_path_factory.mktemp("m")
        found = [Person(name, folder / name.lower()[:3]) for name in names]
        started.extend(found)
        gather(found, public=public)
        return found

    try:
        yield Kit(people, refused)
    finally:
        for person in started:
            person.stop()
