# SPDX-License-Identifier: Apache-2.0
"""Where the command begins, also where heavy parts were not installed.

The package alone brings the pure protocol; the command needs the extras `node` and
`media`.  Somebody who left them out reads that, not a traceback.
"""

from importlib.util import find_spec
from typing import Final

EXTRAS: Final = ("aiortc", "av", "httpx", "keyring", "starlette", "uvicorn")
"""A package of each extra that commands need sooner or later."""


def run() -> None:
    """Run the command of this process; SystemExit with its status.

    Where a package is missing, that is one sentence and not a failure half-way.
    """
    missing = [name for name in EXTRAS if find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"incamera: the package {missing[0]} is missing: install "
            "'incamera[node,media]', not incamera alone"
        )
    from incamera.cli.main import main

    main()
