# SPDX-License-Identifier: Apache-2.0
"""A real meeting of three processes on this machine, with an account of what happened.

Ada leads, Bob and Cleo ask and are let in; each is a process of its own with its own
home, keys, gateway process and identity ledger.  Each plays a test card: pictures that
carry their sender and frame number, and one tone per sender.  Nothing is simulated: the
commands are the ones that a person types.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from incamera.media.recognition import recognise
from incamera.media.testcard import Card, tone_of, write_testcard

NAMES = ("Ada", "Bob", "Cleo")
RATE = 15
WAIT_S = 60.0


@dataclass
class Person:
    """One process and what it said."""

    name: str
    number: int
    folder: Path
    process: subprocess.Popen[str] | None = None
    said: list[dict[str, Any]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / self.name.lower()

    @property
    def card(self) -> Path:
        return self.folder / f"{self.name.lower()}.webm"

    @property
    def heard(self) -> Path:
        return self.folder / f"received-by-{self.name.lower()}"


INTRODUCTION = """\
A meeting of three people, each a process of its own: Ada leads, Bob and Cleo ask to
come in.  Each plays a test card (coded pictures, a tone) and records what the others
send.  Nothing is simulated: these are the commands that a person types.  It takes
about {about} s.
"""


def main(arguments: Sequence[str]) -> int:
    """Hold the meeting; 0 if everybody saw and heard everybody."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=12, help="of pictures and sound")
    parser.add_argument("--keep", type=Path, help="folder to keep everything in")
    given = parser.parse_args(arguments)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="incamera-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(INTRODUCTION.format(about=given.seconds + 20), flush=True)
    try:
        return Meeting(folder, given.seconds, keeps=given.keep is not None).hold()
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


class Meeting:
    """The course of the demonstration."""

    def __init__(self, folder: Path, seconds: int, *, keeps: bool) -> None:
        self.folder, self.seconds, self.keeps = folder, seconds, keeps
        self.people = [Person(name, n, folder) for n, name in enumerate(NAMES)]
        self.began = time.monotonic()
        self.passphrase = folder / "passphrase"

    def tell(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:7.2f} s  {text}", flush=True)

    def hold(self) -> int:
        ada, bob, cleo = self.people
        try:
            self.prepare()
            self.lead(ada)
            link, meeting = self.publish(ada)
            for joiner in (bob, cleo):
                self.join(joiner, link)
                self.admit(ada, joiner, meeting)
            self.wait_for_media(ada)
            self.tell(f"everybody is connected; {self.seconds} s of video and sound")
            time.sleep(self.seconds)
            self.command(ada, "meeting", "say", meeting, "Goodbye, everybody.")
            self.show(ada, meeting)
            self.leave(cleo)
            self.wait(ada, lambda e: e.get("kind") == "left", "Cleo left")
            self.export_and_end(ada, meeting)
            for person in (bob, cleo):
                assert person.process is not None
                person.process.wait(WAIT_S)
            self.tell("Bob's and Cleo's processes ended by themselves")
        finally:
            self.stop()
        return self.account()

    # ------------------------------------------------------------------------- steps

    def prepare(self) -> None:
        self.passphrase.touch(mode=0o600)
        self.passphrase.write_text("a passphrase for this demonstration")
        for person in self.people:
            person.home.mkdir(mode=0o700, exist_ok=True)
            write_testcard(person.card, Card(person.number, seconds=10, rate=RATE))
        tones = ", ".join(f"{p.name} {tone_of(p.number)} Hz" for p in self.people)
        self.tell(f"test cards written; tones: {tones}")

    def lead(self, ada: Person) -> None:
        self.start(ada, "up", "--loopback")
        status = self.wait(ada, lambda e: "gateway" in e, "daemon")
        self.tell(f"Ada's daemon runs; its keyless gateway is {status['gateway']}")
        shown = self.command(ada, "identity", "create", "--name", ada.name)
        self.tell(f"Ada's identity {shown['user'][:16]}… is on her ledger")
        self.start_watching(ada)

    def publish(self, ada: Person) -> tuple[str, str]:
        new = self.command(
            ada,
            *("meeting", "new", "--title", "A first real meeting"),
            *("--play", str(ada.card), "--record", str(ada.heard)),
        )
        self.tell(f"Ada published the meeting {new['meeting'][:16]}…")
        return new["link"], new["meeting"]

    def join(self, person: Person, link: str) -> None:
        self.start(
            person,
            *("bot", "join", "-", "--name", person.name, "--loopback"),
            *("--play", str(person.card), "--record", str(person.heard)),
            stdin=link,
        )
        self.wait(person, lambda e: "meeting" in e, "request")
        self.tell(f"{person.name}'s request is on the meeting ledger")

    def admit(self, ada: Person, person: Person, meeting: str) -> None:
        asked = self.wait(
            ada,
            lambda e: e.get("kind") == "request" and e["text"].startswith(person.name),
            f"{person.name} asking",
        )
        self.tell(f"Ada's daemon checked {person.name}'s identity: {asked['text']}")
        self.command(ada, "meeting", "admit", meeting, str(asked["request"]))
        self.wait(
            person,
            lambda e: e.get("kind") == "epoch" and "sending" in e["text"],
            f"{person.name} inside",
        )
        self.tell(f"{person.name} is in and holds the confirmed key")

    def wait_for_media(self, ada: Person) -> None:
        for person in self.people:
            self.wait(
                person if person is not ada else ada,
                lambda e: e.get("kind") == "media" and "connected" in e["text"],
                f"{person.name}'s media",
                count=2,
            )

    def show(self, ada: Person, meeting: str) -> None:
        view = self.command(ada, "meeting", "show", meeting)
        names = [m["name"] for m in view["members"]]
        checked = all(m["checked"] for m in view["members"])
        self.tell(f"epoch {view['epoch']}: {', '.join(names)}; all checked: {checked}")

    def leave(self, person: Person) -> None:
        assert person.process is not None
        person.process.terminate()
        self.tell(f"{person.name} leaves")

    def export_and_end(self, ada: Person, meeting: str) -> None:
        self.command(ada, "meeting", "end", meeting)
        self.tell("Ada ended the meeting: every key of it is erased")
        record = self.folder / "record.incamera"
        self.command(ada, "audit", meeting, "--export", str(record))
        self.command(ada, "down")
        audit = self.command(ada, "audit", str(record))
        self.tell("the exported record, verified offline (an epoch is a set of keys):")
        for line in audit["entries"]:
            print(f"             {line['index']:2}  {line['text']}")
        for warning in audit["warnings"]:
            print(f"             note: {warning}")

    # ----------------------------------------------------------------------- account

    def account(self) -> int:
        self.tell("what each saw and heard, from the decrypted recordings:")
        good = True
        for person in self.people:
            for other in self.people:
                if other is person:
                    continue
                seen = self.recognised(person, other)
                good = good and seen
                verdict = "seen and heard" if seen else "NOT recognised"
                print(
                    f"             {person.name:4} received {other.name:4}: {verdict}"
                )
        print(self.verdict(good=good))
        return 0 if good else 1

    def verdict(self, *, good: bool) -> str:
        if not good:
            return "\nThe meeting took place, but something is missing: see above."
        told = (
            "\nThe meeting took place, and everybody saw and heard everybody.\n"
            "Pictures and sound went from member to member under keys that only the\n"
            "three held; the gateway passed on sealed messages and kept the record."
        )
        if not self.keeps:
            again = ".venv/bin/python demo/meeting.py --keep out"
            return f"{told}\nTo look at the recordings yourself: {again}"
        return f"{told}\nThe recordings, the record and all logs are in {self.folder}."

    def recognised(self, person: Person, other: Person) -> bool:
        """Look through all of a person's recordings for another one's card."""
        seconds = self.seconds - 2
        return any(
            recognise(path).shows_and_sounds(other.number, rate=RATE, seconds=seconds)
            for path in sorted(person.heard.glob("*.webm"))
        )

    # ---------------------------------------------------------------------- processes

    def start(self, person: Person, *arguments: str, stdin: str | None = None) -> None:
        errors = (self.folder / f"{person.name.lower()}.log").open("w")
        command = self.incamera(person, *arguments)
        process = subprocess.Popen(
            [*command, "--passphrase-file", str(self.passphrase)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        errors.close()
        assert process.stdin is not None
        assert process.stdout is not None
        if stdin is not None:
            process.stdin.write(stdin + "\n")
        process.stdin.close()
        person.process = process
        self.listen(person, process.stdout)

    def start_watching(self, person: Person) -> None:
        watcher = subprocess.Popen(
            self.incamera(person, "watch"), stdout=subprocess.PIPE, text=True
        )
        assert watcher.stdout is not None
        self.listen(person, watcher.stdout)

    @staticmethod
    def listen(person: Person, stream: IO[str]) -> None:
        def read() -> None:
            for line in stream:
                person.said.append(json.loads(line))

        threading.Thread(target=read, daemon=True).start()

    def command(self, person: Person, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            self.incamera(person, *arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        if done.returncode != 0:
            raise SystemExit(f"incamera {arguments[:2]}: {done.stdout}{done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout or "{}")
        return answer

    @staticmethod
    def incamera(person: Person, *arguments: str) -> list[str]:
        program = [sys.executable, "-m", "incamera.cli.main"]
        return [*program, "--home", str(person.home), "--json", *arguments]

    def wait(
        self, person: Person, fact: Any, what: str, *, count: int = 1
    ) -> dict[str, Any]:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            found = [event for event in list(person.said) if fact(event)]
            if len(found) >= count:
                return found[-1]
            if person.process is not None and person.process.poll() not in (None, 0):
                break
            time.sleep(0.02)
        log = (self.folder / f"{person.name.lower()}.log").read_text()[-2000:]
        said = "\n".join(map(str, person.said[-8:]))
        raise SystemExit(f"{what}: it did not come to pass\n{said}\n{log}")

    def stop(self) -> None:
        for person in self.people:
            process = person.process
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
