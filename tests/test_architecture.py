# SPDX-License-Identifier: Apache-2.0
"""The shape of the house: who may import whom, how long things are, who prints."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
ROOT = TOP / "src" / "incamera"
MODULES = sorted(ROOT.rglob("*.py"))
PROGRAMS = sorted(
    path
    for folder in ("src", "tests", "bench", "demo", "spec", "tools")
    for path in (TOP / folder).rglob("*.py")
)

BELOW = {
    "__init__": {"errors"},
    "errors": set(),
    "protocol": {"errors"},
    "ledger": {"errors", "protocol"},
    "media": {"errors", "protocol"},
    "node": {"errors", "protocol", "ledger", "media"},
    "cli": {"errors", "node"},
}
IMPURE = {
    *("asyncio", "datetime", "http", "logging", "multiprocessing", "os"),
    *("pathlib", "random", "secrets", "select", "shutil", "signal", "socket", "ssl"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
# Each third-party package, and the only places that may import it.
ALLOWED = {
    "ctypes": ("protocol/secret",),  # overwriting bytes in place
    "cbor2": ("protocol/",),
    "nacl": ("protocol/",),
    "cryptography": ("protocol/", "node/", "ledger/", "media/"),
    "aiortc": ("media/",),
    "aioice": ("media/",),
    "av": ("media/",),
    "pyee": ("media/",),
    "keyring": ("node/keystore",),
    "starlette": ("node/gateway/",),
    "uvicorn": ("node/gateway/",),
    "httpx": ("node/gateway",),
    "websockets": ("node/gateway", "node/relay_connection"),
}
DRAWS = re.compile(r"^(generate\w*|encapsulate|urandom|token_bytes|randombytes\w*)$")
SEALS = re.compile(r"^(seal|encrypt)")
LIBRARY_HPKE = re.compile(r"suite|hpke", re.IGNORECASE)
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module
            if node.module == "incamera":
                yield from (f"incamera.{alias.name}" for alias in node.names)


def wrong_imports(room: str, tree: ast.AST) -> list[str]:
    wrong = []
    for name in imported(tree):
        package, _, rest = name.partition(".")
        if room == "protocol" and package in IMPURE:
            wrong.append(name)
        if package == "incamera" and rest:
            wrong += [] if rest.split(".")[0] in BELOW[room] | {room} else [name]
    return wrong


def called(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield of each call what it is called on (the last name) and its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name):
                    yield "", name
                case ast.Attribute(
                    attr=name, value=ast.Name(id=on) | ast.Attribute(attr=on)
                ):
                    yield on, name
                case ast.Attribute(attr=name):
                    yield "", name


def random_calls(tree: ast.AST) -> list[str]:
    return [
        name
        for on, name in called(tree)
        if DRAWS.match(name) or (LIBRARY_HPKE.search(on) and SEALS.match(name))
    ]


def outside_calls(tree: ast.AST) -> list[str]:
    """What reaches the outside world, or hides what does, without an import."""
    names = {"open", "input", "print", "eval", "exec", "__import__", "breakpoint"}
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [f.id for f in calls if isinstance(f, ast.Name) and f.id in names]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def name_of(path: Path) -> str:
    return str(path.relative_to(TOP))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    assert wrong_imports(room_of(path), tree_of(path)) == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("protocol", "import time"),
        ("protocol", "from incamera.node import store"),
        ("protocol", "from incamera import node"),
        ("ledger", "from incamera.media import mesh"),
        ("media", "from incamera.ledger import base"),
        ("cli", "from incamera.protocol import entry"),
    ],
)
def test_imports_point_downwards_control(room: str, line: str) -> None:
    assert wrong_imports(room, ast.parse(line)) != []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_package_is_imported_only_where_it_belongs(path: Path) -> None:
    inside = path.relative_to(ROOT).as_posix()
    for name in imported(tree_of(path)):
        homes = ALLOWED.get(name.partition(".")[0], ("",))
        assert inside.startswith(homes), f"{inside} imports {name}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("protocol/*.py")), ids=name_of)
def test_the_core_draws_no_randomness(path: Path) -> None:
    assert random_calls(tree_of(path)) == []


@pytest.mark.parametrize(
    "line",
    ["X.generate()", "k.public.encapsulate()", "SUITE.encrypt(b'')", "urandom(3)"],
)
def test_the_core_draws_no_randomness_control(line: str) -> None:
    assert random_calls(ast.parse(line)) != []


@pytest.mark.parametrize("path", sorted(ROOT.glob("protocol/*.py")), ids=name_of)
def test_the_core_calls_nothing_outside(path: Path) -> None:
    assert outside_calls(tree_of(path)) == []


@pytest.mark.parametrize("line", ["open('x')", "__import__('time')", "eval('1')"])
def test_the_core_calls_nothing_outside_control(line: str) -> None:
    assert outside_calls(ast.parse(line)) != []


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_a_file_names_its_licence_and_stays_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    first = lines[1] if lines[0].startswith("#!") else lines[0]
    assert first == "# SPDX-License-Identifier: Apache-2.0"
    assert len(lines) <= LONGEST_MODULE


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_functions_stay_short(path: Path) -> None:
    long = {f.name: length(f) for f in functions(tree_of(path))}
    assert {name: n for name, n in long.items() if n > LONGEST_FUNCTION} == {}


def test_functions_stay_short_control() -> None:
    tree = ast.parse("def long():\n" + "    pass\n" * LONGEST_FUNCTION)
    assert [length(f) > LONGEST_FUNCTION for f in functions(tree)] == [True]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_labels_have_one_home(path: Path) -> None:
    if path != ROOT / "protocol" / "labels.py":
        assert "incamera/0" not in path.read_text()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_terminal_prints_and_only_cli_exits(path: Path) -> None:
    words = set(re.findall(r"\bprint\(|\bsys\.exit\b|\bos\._exit\b", path.read_text()))
    if path == ROOT / "cli" / "terminal.py":
        return
    assert words <= ({"sys.exit"} if room_of(path) == "cli" else set())


# Written in pieces, so that this file passes its own test.
REGISTRIES = "|".join(
    ["py" + "pi", "python" + "hosted", "npm" + "js", "cra" + "tes", "debian" + r"\.org"]
)
FOREIGN = re.compile(
    rf"https?://[^\s/]*(?:{REGISTRIES})|\.\./sha" + r"red\b|(?<![\w.])/wor" + r"k/"
)


def foreign(text: str) -> list[str]:
    return FOREIGN.findall(text)


def test_the_tree_names_nothing_outside_itself() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=TOP,
        check=True,
        capture_output=True,
        text=True,
    )
    names = filter(None, listed.stdout.split("\0"))
    paths = [TOP / name for name in names if (TOP / name).is_file()]
    found = {
        str(path.relative_to(TOP)): foreign(path.read_text(errors="replace"))
        for path in paths
        if path.suffix != ".lock"
    }
    assert len(found) > len(MODULES)
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_the_tree_names_nothing_outside_itself_control() -> None:
    for text in (
        "https://" + "py" + "pi.org/x",
        "see /wor" + "k/x",
        "../sha" + "red/y",
    ):
        assert foreign(text) != []
