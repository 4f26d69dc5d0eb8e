# SPDX-License-Identifier: Apache-2.0
"""Which parts make the installed program: the one place that names them all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from incamera.node.files import Lock
from incamera.node.home import open_keystore
from incamera.node.ports import SystemEntropy
from incamera.node.programs import (
    Announce,
    DaemonSettings,
    GatewaySettings,
    Programs,
    Running,
)
from incamera.node.service import Audit
from incamera.node.store import Store
from incamera.protocol.signing import verify_key


class _Installed:
    """The parts of this package."""

    @asynccontextmanager
    async def daemon(self, settings: DaemonSettings) -> AsyncIterator[Running]:
        from incamera.node.daemon import Daemon

        entropy = SystemEntropy()
        keystore = open_keystore(settings.home, settings.passphrase, entropy=entropy)
        with Lock(settings.home):
            try:
                store = Store(settings.home, keystore, entropy=entropy)
                stopped = asyncio.Event()
                daemon = Daemon(settings, store, stopped)
                try:
                    await daemon.start()
                    yield Running(daemon, stopped)
                finally:
                    await daemon.close()
            finally:
                keystore.close()

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
        from incamera.node.audit import audit_file

        return await audit_file(path)


def programs() -> Programs:
    """Return the parts of this package."""
    return _Installed()
