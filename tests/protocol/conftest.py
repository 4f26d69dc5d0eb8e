# SPDX-License-Identifier: Apache-2.0
"""Fixed keys, fixed entropy and published vectors for the tests of the core."""

import gzip
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code, IncameraError
from incamera.node.ports import HpkeSealer, SystemEntropy
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

HOME = Path(__file__).parents[2]
if str(HOME) not in sys.path:  # spec's generators and the simulator's world
    sys.path.insert(0, str(HOME))

from tests.sim.scenario import gather  # noqa: E402  # needs the path
from tests.sim.world import World  # noqa: E402  # as above

PUBLISHED = Path(__file__).parents[1] / "published"


@pytest.fixture(scope="session")
def published() -> Callable[[str], Any]:
    """Read a published vector file by its path below tests/published."""

    def read(name: str) -> Any:
        data = (PUBLISHED / name).read_bytes()
        return json.loads(gzip.decompress(data) if name.endswith(".gz") else data)

    return read


@pytest.fixture(scope="session")
def secret() -> Callable[[int], Secret]:
    """Make a secret of 32 equal bytes."""
    return lambda byte: Secret(bytearray([byte]) * 32)


@pytest.fixture(scope="session")
def signer(secret: Callable[[int], Secret]) -> Callable[[int], Ed25519Signer]:
    """Make a signer from a seed of 32 equal bytes."""
    return lambda byte: Ed25519Signer(secret(byte))


@pytest.fixture(scope="session")
def sealer() -> HpkeSealer:
    """Seal as in a real meeting."""
    return HpkeSealer(SystemEntropy())


@pytest.fixture
def refused() -> Callable[..., Any]:
    """`with refused(Code.X):` passes only if that very code is raised."""

    def expect(code: Code) -> Any:
        return pytest.raises(IncameraError, check=lambda error: error.code is code)

    return expect


@pytest.fixture(scope="session")
def generators() -> Callable[[str], Any]:
    """Load a generator of vectors: its fixed people and bodies serve the tests too."""

    def load(name: str) -> Any:
        return importlib.import_module(f"spec.generators.{name}")

    return load


@pytest.fixture(scope="session")
def meetings(generators: Callable[[str], Any]) -> Any:
    """Scenes to try entries in: `Scene`, `signer_of`, `request_body`..."""
    return generators("_scene")


@pytest.fixture
def scene(meetings: Any) -> Any:
    """Ann's meeting with Bob and Cyd inside, at slots 1 and 2."""
    return meetings.Scene().open().seat("bob", "cyd")


@pytest.fixture
def world() -> World:
    """A ledger, a relay and a clock for members' machines."""
    return World()


@pytest.fixture
def meeting(world: World) -> World:
    """A meeting of leader, bob and carol, all inside and checked, and at rest."""
    gather(world, "bob", "carol")
    world.pass_ms(5000)
    return world
