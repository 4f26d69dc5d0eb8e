# SPDX-License-Identifier: Apache-2.0
"""A front of a gateway that writes down, in plain, all that passes.

    python wiretap.py FOLDER

It has the gateway's own TLS key, so that nobody notices.  FOLDER/target names the true
gateway, and may change.  Each direction of each connection is one file in FOLDER.
"""

import asyncio
import json
import ssl
import sys
from itertools import count
from pathlib import Path

NUMBERS = count()


async def pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path
) -> None:
    """Pass bytes on, and keep them."""
    try:
        with path.open("wb", buffering=0) as file:
            while data := await reader.read(65536):
                file.write(data)
                writer.write(data)
                await writer.drain()
    except (ConnectionError, ssl.SSLError, TimeoutError):
        pass
    finally:
        writer.close()


async def serve(folder: Path) -> None:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE

    async def accepted(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, port = (folder / "target").read_text().split(":")
        number = next(NUMBERS)
        try:
            far = await asyncio.open_connection(host, int(port), ssl=trust)
        except OSError:
            writer.transport.abort()
            return
        pumps = {
            asyncio.create_task(pump(reader, far[1], folder / f"{number}-up")),
            asyncio.create_task(pump(far[0], writer, folder / f"{number}-down")),
        }
        await asyncio.wait(pumps, return_when="FIRST_COMPLETED")
        await asyncio.wait(pumps, timeout=1)
        # Whoever is dead by now answers no farewell.
        for end in (writer, far[1]):
            end.transport.abort()

    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(folder / "tls.pem", folder / "tls.key")
    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=own)
    address, port = server.sockets[0].getsockname()
    sys.stdout.write(json.dumps({"address": f"{address}:{port}"}) + "\n")
    sys.stdout.flush()
    # Ends with whoever started us.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    try:
        asyncio.run(serve(Path(sys.argv[1])))
    finally:
        sys.stdout = None
