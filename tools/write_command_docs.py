# SPDX-License-Identifier: Apache-2.0
"""Write docs/commands.md from the program's own help."""

from pathlib import Path

from incamera.cli.arguments import help_pages

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"

if __name__ == "__main__":
    PAGE.write_text(help_pages())
    print(f"docs: wrote {PAGE}")
