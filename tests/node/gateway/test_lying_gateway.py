# SPDX-License-Identifier: Apache-2.0
"""A gateway that lies is caught by its code; telling the truth, it passes."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from incamera.errors import Code, LedgerError
from incamera.ledger.base import Appended
from incamera.ledger.remembered import Memory, encode_memory, parse_memory
from incamera.ledger.remote import RemoteLedger
from incamera.protocol.ids import TopicId

Refused = Callable[[Code], Any]


@dataclass
class Lies:
    """A ledger behind a proxy that lies on request."""

    ledger: RemoteLedger
    clock: Any
    address: str
    connect: Callable[[Memory], Any]

    async def tell(self, lie: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        async with httpx.AsyncClient(verify=context, trust_env=False) as http:
            await http.post(f"https://{self.address}/lie/{lie}")


@pytest.fixture(scope="module")
def proxy(gateway_tools: Any, tmp_path_factory: Any) -> Iterator[tuple[Any, Any, Any]]:
    """A true gateway, its twin (same keys, same past) and the proxy before both."""
    folder = tmp_path_factory.mktemp("lies")
    started, arguments = gateway_tools.started, gateway_tools.arguments
    with started(folder / "seed", arguments(folder / "seed")):
        pass
    shutil.copytree(folder / "seed", folder / "twin")
    with (
        started(folder / "seed", arguments(folder / "seed")) as true,
        started(folder / "twin", arguments(folder / "twin")) as twin,
        started(
            folder / "proxy",
            [
                str(gateway_tools.proxy),
                str(folder / "proxy"),
                true.address,
                twin.address,
            ],
        ) as liar,
    ):
        yield liar, true, twin


@pytest.fixture
async def lies(proxy: Any, gateway_tools: Any) -> AsyncIterator[Lies]:
    """A fresh client of the proxy, which tells the truth so far."""
    liar, true, _ = proxy
    clock = gateway_tools.clock()
    client = gateway_tools.client(liar, true.ledger_id)

    async def connect(memory: Memory) -> RemoteLedger:
        return await RemoteLedger.connect(
            client, true.ledger_id, memory=memory, clock=clock
        )

    lies = Lies(await connect(Memory()), clock, liar.address, connect)
    yield lies
    await lies.tell("none")
    await client.close()


async def busy(lies: Lies, gateway_tools: Any) -> tuple[Any, TopicId]:
    """A meeting with four entries, behind the proxy."""
    scene = gateway_tools.scene(lies.ledger, "lies")
    await scene.post(scene.publish())
    await scene.invite("bob", "cyd")
    return scene, TopicId(scene.meeting)


@pytest.mark.acceptance("D-18")
@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ("none", None),
        ("withhold", Code.OMITTED),
        ("reorder", Code.BAD_PROOF),
        ("alter", Code.BAD_PROOF),
        ("backdate", Code.BAD_PROOF),
    ],
)
async def test_false_records_are_refused(
    lies: Lies, gateway_tools: Any, lie: str, code: Code | None
) -> None:
    _, topic = await busy(lies, gateway_tools)
    newcomer = await lies.connect(Memory())
    await lies.tell(lie)
    if code is None:
        assert len(await newcomer.read(topic)) == 4
        return
    with pytest.raises(LedgerError, check=lambda error: error.code is code):
        await newcomer.read(topic)
    await lies.tell("none")
    assert len(await newcomer.read(topic)) == 4  # the lie changed nothing


async def test_a_replayed_proof_is_a_rollback(
    lies: Lies, gateway_tools: Any, refused: Refused
) -> None:
    scene, topic = await busy(lies, gateway_tools)
    await lies.ledger.prove(topic)
    await lies.tell("replay")
    await scene.post(scene.policy())
    with refused(Code.ROLLED_BACK):
        await lies.ledger.read(topic)
    found = lies.ledger.memory.evidence[-1]
    assert found.code is Code.ROLLED_BACK
    assert len(found.items) == 2
    again = await lies.connect(parse_memory(encode_memory(lies.ledger.memory)))
    with refused(Code.ROLLED_BACK):
        await again.read(topic)
    await lies.tell("none")
    assert len(await again.read(topic)) == 5


async def test_a_fork_is_evidence(
    lies: Lies, gateway_tools: Any, proxy: Any, refused: Refused
) -> None:
    _, topic = await busy(lies, gateway_tools)
    twin = gateway_tools.client(proxy[2], proxy[1].ledger_id)
    other = await RemoteLedger.connect(
        twin, proxy[1].ledger_id, memory=Memory(), clock=lies.clock
    )
    while other.memory.log.size <= lies.ledger.memory.log.size:
        scene = gateway_tools.scene(other, "elsewhere")
        await scene.post(scene.publish())
    await twin.close()
    await lies.tell("fork")
    with refused(Code.FORKED):
        await lies.ledger.checkpoint()
    found = lies.ledger.memory.evidence[-1]
    assert found.code is Code.FORKED
    assert all(item.startswith(b"incamera.invalid/") for item in found.items)
    await lies.tell("none")
    assert len(await lies.ledger.read(topic)) == 4


async def test_an_acknowledgement_without_the_entry(
    lies: Lies, gateway_tools: Any, refused: Refused
) -> None:
    scene, topic = await busy(lies, gateway_tools)
    await lies.tell("swallow")
    with refused(Code.OMITTED):
        await lies.ledger.append(scene.policy().data)
    await lies.tell("none")
    await scene.post(scene.policy())
    assert len(await lies.ledger.read(topic)) == 5


async def test_the_proof_of_another_topic(
    lies: Lies, gateway_tools: Any, refused: Refused
) -> None:
    scene = gateway_tools.scene(lies.ledger, "other")
    await scene.post(scene.publish())
    await lies.ledger.prove(TopicId(scene.meeting))
    _, topic = await busy(lies, gateway_tools)
    await lies.tell("other-topic")
    with pytest.raises(LedgerError) as caught:
        await lies.ledger.read(topic)
    assert caught.value.code in (Code.BAD_PROOF, Code.ROLLED_BACK)


async def test_another_ledger(lies: Lies, refused: Refused) -> None:
    await lies.tell("descriptor")
    with refused(Code.WRONG_LEDGER):
        await lies.connect(Memory())
    await lies.tell("none")
    await lies.connect(Memory())


@pytest.mark.parametrize(
    ("late_s", "code"),
    [(0, None), (16, Code.STALE), (61, Code.UNREACHABLE), (-120, Code.STALE)],
)
async def test_old_words_are_stale(
    lies: Lies, gateway_tools: Any, late_s: int, code: Code | None
) -> None:
    _, topic = await busy(lies, gateway_tools)
    await lies.ledger.prove(topic)
    await lies.tell("replay")
    lies.clock.shift_ms = late_s * 1000
    if code is None:
        assert len(await lies.ledger.read(topic)) == 4
        return
    with pytest.raises(LedgerError, check=lambda error: error.code is code):
        await lies.ledger.read(topic)


async def test_a_watch_that_tells_nothing_is_not_believed(
    lies: Lies, gateway_tools: Any
) -> None:
    scene, topic = await busy(lies, gateway_tools)
    await lies.tell("deaf")
    watching = lies.ledger.watch(topic)
    async with asyncio.timeout(12):
        for _ in range(4):
            await anext(watching)
        await scene.post(scene.policy())
        event = await anext(watching)
    assert isinstance(event, Appended)
    assert event.index == 4
    await watching.aclose()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.slow
async def test_silence_is_unreachable(
    lies: Lies, gateway_tools: Any, refused: Refused
) -> None:
    _, topic = await busy(lies, gateway_tools)
    await lies.tell("silence")
    with refused(Code.UNREACHABLE):
        async with asyncio.timeout(11):
            await lies.ledger.read(topic)
