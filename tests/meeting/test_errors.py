# SPDX-License-Identifier: Apache-2.0
"""What goes wrong is told in words, with a code and an exit status."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("meeting")


@dataclass
class Scene:
    """Ada leads a meeting; Bob would like to come in."""

    ada: Any
    bob: Any
    meeting: str
    link: str


@pytest.fixture(scope="module")
def scene(kit: Any) -> Scene:
    ada, bob = kit.people("Ada", "Bob")
    return Scene(ada, bob, *ada.leads("errors"))


def typed(home: Path, *words: str) -> tuple[int, str, str]:
    """Type a command: its exit status, error code and message."""
    program = [sys.executable, "-m", "incamera.cli.main", "--home", str(home)]
    done = subprocess.run(
        [*program, "--json", *words], capture_output=True, timeout=60, check=False
    )
    told = json.loads((done.stdout + done.stderr).splitlines()[-1])["error"]
    return done.returncode, told["code"], told["message"]


def phrase(folder: Path, text: str) -> str:
    path = folder / text.replace(" ", "-")
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


def join(scene: Scene, link: str) -> tuple[int, str, str]:
    return typed(scene.bob.home, "meeting", "join", link)


def test_a_damaged_link(scene: Scene) -> None:
    status, code, words = join(scene, scene.link.partition("#")[0])
    assert (status, code) == (2, "bad-link")
    assert "part of it may be missing" in words


def test_a_link_with_another_secret(scene: Scene) -> None:
    start, _, rest = scene.link.partition("#")
    status, code, _ = join(scene, f"{start}#{rest[1:43][::-1]}A")
    assert (status, code) in {(3, "bad-link"), (2, "bad-link")}


def test_a_wrong_passphrase(scene: Scene, tmp_path: Path) -> None:
    wrong = phrase(tmp_path, "something else")
    told = typed(scene.bob.home, "up", "--passphrase-file", wrong)
    assert told[:2] == (2, "wrong-passphrase")


def test_a_second_daemon_on_one_home(scene: Scene, tmp_path: Path) -> None:
    right = phrase(tmp_path, "a passphrase for tests")
    told = typed(scene.bob.home, "up", "--passphrase-file", right)
    assert told[:2] == (2, "already-running")


def test_no_daemon(tmp_path: Path) -> None:
    status, code, words = typed(tmp_path, "meeting", "list")
    assert (status, code) == (2, "not-running")
    assert "incamera up" in words


def test_somebody_else_orders(scene: Scene, kit: Any) -> None:
    scene.ada.lets_in(scene.bob, scene.link)
    told = typed(scene.bob.home, "meeting", "end", scene.meeting)
    assert told[:2] == (2, "not-allowed")
    told = typed(scene.bob.home, "meeting", "join", scene.link)
    assert told[:2] == (2, "wrong-state")
    told = typed(scene.ada.home, "meeting", "remove", scene.meeting, "7")
    assert told[:2] == (2, "bad-argument")
    told = typed(scene.ada.home, "meeting", "leave", scene.meeting)
    assert told[:2] == (2, "wrong-state")
    scene.bob.call("meeting.leave", meeting=scene.meeting)


def test_closed_doors(scene: Scene) -> None:
    doors = {"meeting": scene.meeting, "doors": "closed"}
    scene.ada.call("meeting.doors", **doors)
    scene.ada.hears("warning", "the doors are closed")
    status, code, _ = join(scene, scene.link)
    assert (status, code) == (3, "doors-closed")
    scene.ada.call("meeting.doors", **doors | {"doors": "open"})


def test_open_doors_control(scene: Scene, kit: Any) -> None:
    """Denied politely, and let in the next time."""
    ada, bob, meeting = scene.ada, scene.bob, scene.meeting
    kit.until(lambda: ada.view(meeting)["doors"] == "open", "open doors")
    before, scene.link = scene.link, ada.call("meeting.link", meeting=meeting)["link"]
    assert before != scene.link, "closing makes a new link"
    assert join(scene, before)[:2] == (3, "bad-link")
    bob.call("meeting.join", link=scene.link, public=False)
    asked = kit.until(lambda: ada.view(meeting)["requests"], "a request")
    ada.call("meeting.deny", meeting=meeting, request=asked[-1]["request"])
    bob.hears("refused", "did not let you in")
    assert join(scene, scene.link)[:2] == (2, "wrong-state"), "the request still stands"
    bob.call("meeting.leave", meeting=meeting)
    assert bob.call("meeting.list")["meetings"][0]["role"] == "former"


def test_the_gateway_is_away(scene: Scene, kit: Any) -> None:
    ada, bob = scene.ada, scene.bob
    ada.kill()
    status, code, _ = join(scene, scene.link)
    assert (status, code) == (4, "unreachable")
    ada.start()
    kit.until(lambda: ada.call("meeting.list")["meetings"][0]["members"], "back again")
    ada.lets_in(bob, scene.link)
    ada.kill()
    bob.hears("ledger", "unreachable")
    ada.start()
    kit.until(lambda: ada.call("meeting.list")["meetings"][0]["members"], "back again")
    bob.hears("ledger", "answers again")
    ada.says(scene.meeting, "back again", bob)


def test_a_public_meeting_without_public(scene: Scene) -> None:
    _, link = scene.ada.leads("for all to see", public=True)
    status, code, words = join(scene, link)
    assert (status, code) == (2, "bad-argument")
    assert "--public" in words


def test_an_ended_meeting(scene: Scene) -> None:
    scene.ada.call("meeting.end", meeting=scene.meeting)
    scene.bob.hears("ended", "the leader ended", meeting=scene.meeting)
    status, code, words = join(scene, scene.link)
    assert (status, code) == (3, "ended")
    assert "ended" in words
    told = typed(scene.ada.home, "meeting", "say", scene.meeting, "hello?")
    assert told[:2] == (2, "ended")
