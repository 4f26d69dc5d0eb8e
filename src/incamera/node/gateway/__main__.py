# SPDX-License-Identifier: Apache-2.0
"""`python -m incamera.node.gateway`: the gateway as a child process of the daemon."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from incamera.errors import UsageError
from incamera.node.gateway.config import DEFAULT_HOST, GatewayConfig
from incamera.node.gateway.process import run_gateway
from incamera.protocol.descriptor import DEFAULT_PERIOD_S
from incamera.protocol.signing import verify_key


def parse_arguments(arguments: Sequence[str]) -> GatewayConfig:
    """Return the configuration that a command line asks for."""
    parser = argparse.ArgumentParser("incamera gateway")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--address")
    parser.add_argument("--owner", action="append", default=[], metavar="HEX")
    parser.add_argument("--period", type=int, default=DEFAULT_PERIOD_S)
    parser.add_argument("--parent", action="store_true")
    got = parser.parse_args(arguments)
    return GatewayConfig(
        home=got.home,
        host=got.host,
        port=got.port,
        address=got.address,
        owners=frozenset(verify_key(bytes.fromhex(owner)) for owner in got.owner),
        period_s=got.period,
        parent=got.parent,
    )


def _announce(ready: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Run a gateway; returns the exit status."""
    try:
        asyncio.run(run_gateway(parse_arguments(arguments), _announce))
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
