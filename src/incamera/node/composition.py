# SPDX-License-Identifier: Apache-2.0
"""Which parts make the installed program: the one place that names them all."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from incamera.errors import Code, UsageError
from incamera.node.programs import (
    Announce,
    DaemonSettings,
    GatewaySettings,
    Programs,
    Running,
)
from incamera.node.service import Audit
from incamera.protocol.signing import verify_key


class _Installed:
    """The parts of this package."""

    def daemon(self, settings: DaemonSettings) -> AbstractAsyncContextManager[Running]:
        raise _absent(f"daemon for {settings.home}")

    async def gateway(self, settings: GatewaySettings, announce: Announce) -> None:
        # Imported here: whoever only asks a daemon need not load a web server.
        from incamera.node.gateway.config import GatewayConfig
        from incamera.node.gateway.process import run_gateway

        config = GatewayConfig(
            home=settings.home / "gateway",
            host=settings.host,
            port=settings.port,
            address=settings.address,
            owners=frozenset(map(verify_key, settings.owners)),
            parent=settings.parent,
        )
        await run_gateway(config, announce)

    async def audit_file(self, path: Path) -> Audit:
        raise _absent(f"audit of {path}")


def programs() -> Programs:
    """Return the parts of this package."""
    return _Installed()


def _absent(what: str) -> UsageError:
    return UsageError(Code.NOT_RUNNING, f"this build has no {what}")
