# SPDX-License-Identifier: Apache-2.0
"""Write spec/vectors/*.json again from the reference code (spec/acceptance.md).

Each spec/generators/<topic>.py has `build()`, which returns the vectors of one
topic from fixed keys and fixed entropy, so that writing them again changes nothing.
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

GENERATORS = Path(__file__).parent / "generators"
VECTORS = Path(__file__).parent / "vectors"
sys.path.insert(0, str(Path(__file__).parents[1]))  # generators share modules


def topics() -> list[str]:
    """Return the names of all generators."""
    return sorted(path.stem for path in GENERATORS.glob("[a-z]*.py"))


def render(topic: str) -> str:
    """Return the text of one topic's vector file."""
    path = GENERATORS / f"{topic}.py"
    spec = importlib.util.spec_from_file_location(f"generators_{topic}", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    build: Callable[[], dict[str, object]] = module.build
    return json.dumps(build(), indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write every file and say which of them changed."""
    VECTORS.mkdir(exist_ok=True)
    for topic in topics():
        path, text = VECTORS / f"{topic}.json", render(topic)
        same = path.exists() and path.read_text() == text
        path.write_text(text)
        print(f"vectors: {topic}: {'as before' if same else 'written'}")


if __name__ == "__main__":
    main()
