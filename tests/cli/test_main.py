# SPDX-License-Identifier: Apache-2.0
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import incamera
from incamera.cli.arguments import COMMANDS, help_pages
from incamera.cli.main import run, status_of
from incamera.cli.terminal import Terminal, printable
from incamera.errors import Code, LedgerError, MediaError, PeerError, UsageError

DOCS = Path(__file__).parents[2] / "docs"


def words_of(text: str) -> list[str]:
    """Python versions wrap and quote help differently; its words are the same."""
    return text.replace("'", "").split()


def test_the_help_is_the_documented_help() -> None:
    assert words_of((DOCS / "commands.md").read_text()) == words_of(help_pages())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_has_help_with_an_example(shell: Any, command: Any) -> None:
    assert shell.run(*command.words.split(), "--help") == 0
    assert f"example: incamera {command.words}" in shell.out
    assert shell.err == ""


@pytest.mark.parametrize("words", [[], ["meeting"], ["identity"], ["--help"]])
def test_an_unfinished_command_shows_help(shell: Any, words: list[str]) -> None:
    assert shell.run(*words) == 0
    assert shell.out.startswith("usage: incamera")


def test_the_version_is_shown(shell: Any) -> None:
    assert shell.run("--version") == 0
    assert shell.out == f"incamera {incamera.__version__}\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError(Code.BAD_LINK, ""), 2),
        (PeerError(Code.BAD_KEY, ""), 3),
        (LedgerError(Code.FORKED, ""), 4),
        (MediaError(Code.MEDIA_DEVICE, ""), 5),
        (KeyError("?"), 1),
    ],
)
def test_the_exit_status_tells_whose_fault_it_is(error: Exception, status: int) -> None:
    assert status_of(error) == status


def test_without_a_daemon_it_says_how_to_start_one(shell: Any) -> None:
    assert shell.run("meeting", "list") == 2
    assert "start one by `incamera up` [not-running]" in shell.err
    assert shell.run("meeting", "list", "--json") == 2
    assert json.loads(shell.out)["error"]["code"] == "not-running"
    assert shell.err == ""


def test_a_bug_in_the_daemon_is_told_as_such(shell: Any, daemon: Any) -> None:
    async def broken() -> None:
        raise KeyError("SECRET")

    daemon.status = broken
    assert shell.run("status") == 1
    assert "bug" in shell.err
    assert "SECRET" not in shell.err


def test_a_strangers_text_cannot_drive_the_terminal(shell: Any, daemon: Any) -> None:
    shell.run("identity", "create", "--name", "\x1b[2J\u202eeve\x07")
    assert "\x1b" not in shell.out
    assert "\u202e" not in shell.out
    assert printable("fine\nüß") == "fine\nüß"


def test_a_passphrase_is_not_asked_of_nobody(shell: Any) -> None:
    assert shell.run("up", "--passphrase") == 2
    assert "--passphrase-file" in shell.err


def test_no_option_takes_a_passphrase_or_a_link_from_the_environment() -> None:
    assert "PASS" not in {name for name in os.environ if name.startswith("INCAMERA")}
    pages = help_pages()
    assert "--passphrase PASS" not in pages
    assert "--link" not in pages


def test_two_meetings_with_one_beginning_are_told_apart(
    shell: Any, daemon: Any
) -> None:
    shell.run("identity", "create", "--name", "Ada")
    for title in range(17):  # two of 17 share their first digit
        shell.run("meeting", "new", "--title", str(title))
    statuses = {shell.run("meeting", "show", digit) for digit in "0123456789abcdef"}
    assert 2 in statuses


def test_paths_are_absolute_when_they_reach_the_daemon(
    shell: Any, daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.webm").touch()
    shell.run("identity", "create", "--name", "Ada")
    shell.run("meeting", "new", "--play", "in.webm", "--record", "out.webm")
    assert daemon.media == [(str(tmp_path / "in.webm"), str(tmp_path / "out.webm"))]


def test_an_exported_record_is_audited_without_a_daemon(
    shell: Any, tmp_path: Path
) -> None:
    (tmp_path / "tea.record").write_text("Tea")
    assert shell.run("audit", str(tmp_path / "tea.record")) == 0
    assert "Ada published it" in shell.out


def test_watch_shows_events_until_the_daemon_ends(shell: Any, daemon: Any) -> None:
    def tell() -> None:
        while not daemon.queues:
            time.sleep(0.001)
        event = {"kind": "warning", "meeting": "ab", "text": "look here"}
        daemon.loop.call_soon_threadsafe(daemon.tell, event)
        time.sleep(0.2)
        daemon.loop.call_soon_threadsafe(daemon.stopped.set)

    teller = threading.Thread(target=tell)
    teller.start()
    assert shell.run("watch", "--json") == 0
    teller.join()
    assert json.loads(shell.out)["text"] == "look here"


def test_the_gateway_gets_its_settings(shell: Any) -> None:
    key = "ab" * 32
    assert shell.run("gateway", "--listen", "[::1]:8443", "--owner", key) == 0
    assert shell.out.startswith("address    ::1:1\npin")
    settings = shell.programs.settings[0]
    assert (settings.host, settings.port) == ("::1", 8443)
    assert settings.owners == (bytes.fromhex(key),)


@pytest.mark.parametrize(
    "words",
    ["--listen 8443", "--listen h:65536", "--listen :1", "--listen h:²", "--owner xyz"],
)
def test_wrong_addresses_and_keys_are_refused(shell: Any, words: str) -> None:
    assert shell.run("gateway", *words.split()) == 2
    assert "[bad-argument]" in shell.err


def test_a_bot_leads_admits_and_ends(shell: Any) -> None:
    def knock() -> None:
        while not (shell.programs.services and shell.programs.services[0].rooms):
            time.sleep(0.001)
        service = shell.programs.services[0]
        (meeting,) = service.rooms
        service.knock(meeting, "Bob")

    knocker = threading.Thread(target=knock)
    knocker.start()
    status = shell.run(
        *("bot", "lead", "--name", "Ada", "--title", "Tea", "--seconds", "1", "--json")
    )
    knocker.join()
    lines = [json.loads(line) for line in shell.out.splitlines()]
    assert status == 0
    assert "link" in lines[0]
    assert [line["kind"] for line in lines[1:3]] == ["request", "joined"]
    (room,) = shell.programs.services[0].rooms.values()
    assert room.status == "ended"


def test_a_bot_that_joins_nothing_fails_as_a_command_does(shell: Any) -> None:
    link = "incamera:?m=00#x"
    assert shell.run("bot", "join", "-", "--name", "Bob", stdin=link) == 3
    assert "[unknown-topic]" in shell.err


def test_up_runs_until_it_is_stopped(shell: Any) -> None:
    def stop() -> None:
        other = io.StringIO()
        words = ["--home", str(shell.home), "down"]
        while run(words, Terminal(io.StringIO(), other, other), lambda: None) != 0:  # type: ignore[arg-type,return-value]  # `down` runs no program
            time.sleep(0.01)

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert shell.run("up", "--no-gateway") == 0
    stopper.join()
    assert shell.out.startswith("incamera 0 runs in")
    assert shell.programs.settings[0].gateway is False


def test_the_link_on_standard_input_is_in_no_argument_list(
    shell: Any, daemon: Any
) -> None:
    shell.run("identity", "create", "--name", "Ada")
    shell.run("meeting", "new", "--title", "Tea", "--json")
    link = json.loads(shell.out)["link"]
    command = [sys.executable, "-m", "incamera.cli.main", "--home", str(shell.home)]
    with subprocess.Popen(
        [*command, "meeting", "join", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        out, _ = process.communicate(link.encode())
    assert b"asked to come in" in out
    assert b"SECRET" not in shown + environment
