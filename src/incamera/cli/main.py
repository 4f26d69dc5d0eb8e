# SPDX-License-Identifier: Apache-2.0
"""The command `incamera`: its outcome becomes an exit status."""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from incamera.cli.arguments import HelpWanted, parse_arguments
from incamera.cli.commands import execute
from incamera.cli.terminal import Terminal, standard
from incamera.errors import LedgerError, MediaError, PeerError, UsageError
from incamera.node.programs import Programs

STATUSES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (UsageError, 2),
    (PeerError, 3),
    (LedgerError, 4),
    (MediaError, 5),
)
BUG: Final = 1
INTERRUPTED: Final = 130


def run(words: list[str], terminal: Terminal, programs: Callable[[], Programs]) -> int:
    """Run one command and return its exit status."""
    # Known before the words are understood, so that a wrong word is told in JSON too.
    terminal.json = "--json" in words
    try:
        given = parse_arguments(words)
        asyncio.run(execute(given, terminal, programs()))
    except HelpWanted as wanted:
        terminal.show_text(wanted.text)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last place that can tell it
        terminal.fail(error)
        return status_of(error)
    return 0


def status_of(error: Exception) -> int:
    """Return the exit status that tells whose fault an error is."""
    found = (status for kind, status in STATUSES if isinstance(error, kind))
    return next(found, BUG)


def main() -> None:
    """Run the command line of this process."""
    from incamera.node.composition import programs

    sys.exit(run(sys.argv[1:], standard(), programs))


if __name__ == "__main__":
    main()
