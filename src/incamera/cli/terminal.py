# SPDX-License-Identifier: Apache-2.0
"""What a person or a script reads; the only file that prints.  Its rules:

1. Answers go to standard output; errors, questions and remarks to standard error.
2. With --json every answer is one line of JSON, an error `{"error": {...}}`, also on
   standard output; nothing else is written there.
3. An error is one sentence with its stable code in brackets, and says what to do.
4. Control characters that came from somebody else are never sent to the terminal.
5. A passphrase is asked for without echo, and never shown.
"""

import getpass
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Mapping
from typing import TextIO

from incamera.errors import Code, IncameraError, UsageError
from incamera.node.control import describe

CLOSED = 141
"""The exit status when nobody reads the answer: as of other programs by SIGPIPE."""
MAX_LINE = 64 * 1024
"""Characters read from standard input as one answer: a link is far shorter."""


class Terminal:
    """Writes answers and errors, and asks questions."""

    def __init__(self, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> None:
        self._in, self._out, self._err = stdin, stdout, stderr
        self.json = False

    def show(
        self, reply: Mapping[str, object], text: Callable[[Mapping[str, object]], str]
    ) -> None:
        """Show one answer, as `text` words it or as JSON."""
        self._line(json.dumps(reply) if self.json else text(reply))

    def show_text(self, text: str) -> None:
        """Show help or a version, which are text in any case."""
        self._line(text)

    def fail(self, error: Exception) -> None:
        """Tell an error."""
        told = describe(error)
        if self.json:
            self._line(json.dumps({"error": told}))
        elif isinstance(error, IncameraError):
            self._remark(f"{told['message']} [{told['code']}]")
        else:
            self._remark(f"{told['message']}: this is a bug in incamera [bug]")

    def read_line(self) -> str:
        """Return one line of standard input."""
        return self._in.readline(MAX_LINE).strip()

    def ask_passphrase(self, question: str) -> bytearray:
        """Ask for a passphrase; UsageError(BAD_ARGUMENT) where nobody can answer."""
        if not self._in.isatty():
            message = "no terminal to ask for the passphrase: give --passphrase-file"
            raise UsageError(Code.BAD_ARGUMENT, message)
        return bytearray(getpass.getpass(f"{question}: ").encode())

    def _line(self, text: str) -> None:
        try:
            print(printable(text), file=self._out, flush=True)
        except BrokenPipeError:
            # Who reads has seen enough, as `head` does; what Python would still
            # write at its end goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
            raise SystemExit(CLOSED) from None

    def _remark(self, text: str) -> None:
        print(f"incamera: {printable(text)}", file=self._err, flush=True)


def printable(text: str) -> str:
    """Return `text` with control and direction characters made harmless (rule 4)."""
    return "".join(
        c
        if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf"}
        else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def standard() -> Terminal:
    """Return the terminal of this process."""
    return Terminal(sys.stdin, sys.stdout, sys.stderr)
