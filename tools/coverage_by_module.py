# SPDX-License-Identifier: Apache-2.0
"""Check that each protocol module is covered whole by its own test file.

Coverage by the whole suite hides what no test looks at on purpose; so here
tests/protocol/test_x.py alone must reach every branch of protocol/x.py.
"""

import ast
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

TOP = Path(__file__).parents[1]
PROTOCOL = TOP / "src" / "incamera" / "protocol"


def covers(module: str) -> str:
    """Return an empty text if the module is covered, else what is missing."""
    if only_declares(module):
        return ""
    test = TOP / "tests" / "protocol" / f"test_{module}.py"
    if not test.exists():
        return "has no test file"
    with TemporaryDirectory() as folder:
        return _uncovered(module, test, folder)


def only_declares(module: str) -> bool:
    """Return whether a module holds names, constants and interfaces, but no code."""
    tree = ast.parse((PROTOCOL / f"{module}.py").read_text())
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    bodies = (statement for function in functions for statement in function.body)
    return all(isinstance(statement, ast.Expr) for statement in bodies)


def _uncovered(module: str, test: Path, folder: str) -> str:
    # HOME stays away: what somebody has set up for himself must not count
    environment = {"PATH": "/usr/bin:/bin", "COVERAGE_FILE": f"{folder}/data"}
    tests = ["pytest", "-q", "-p", "no:cacheprovider", "--cov", "--cov-branch"]
    done = _run([*tests, "--cov-report=", str(test)], environment)
    if done.returncode != 0:
        return done.stdout[-800:]
    # The whole package was measured, as pyproject.toml says: look at one file of it.
    one = ["coverage", "report", f"--include=*/protocol/{module}.py"]
    done = _run([*one, "--fail-under=100"], environment)
    return "" if done.returncode == 0 else done.stdout[-800:]


def _run(
    arguments: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=TOP,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> None:
    """Check the modules named as arguments, or all."""
    names = sys.argv[1:] or sorted(path.stem for path in PROTOCOL.glob("[a-z]*.py"))
    failed = []
    for name in names:
        missing = covers(name)
        print(f"coverage: {name}: {missing or 'all'}", flush=True)
        failed += [name] if missing else []
    sys.exit(f"coverage: not whole: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
