"""Holds the arrows of the house: who may import whom (`docs/architecture.md`). `make check` runs it; so does a test.

A wing may import the wings listed beside it and its own rooms. The parts never import one another: they talk over
`wire`. Exit code 1 and a line for each wrong arrow.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
PACKAGE = SOURCE / "leafward"

FOUNDATION = {"errors", "disk", "toml_lines", "pki", "keys", "store", "wire"}
PARTS = {"authority", "manager", "hub", "provisioning", "doctor"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "disk": {"errors"},
    "toml_lines": set(),
    "pki": {"errors"},
    "keys": {"errors", "disk", "pki"},
    "store": {"errors", "disk", "toml_lines", "pki"},
    "wire": {"errors", "toml_lines", "pki"},
    **dict.fromkeys(PARTS, FOUNDATION),
    "dashboard": FOUNDATION | PARTS,
    "cli": FOUNDATION | PARTS | {"dashboard"},
    "__main__": {"cli"},
    "__init__": set(),
}
# The pure core: nothing that opens, sleeps, logs, or reads a clock or randomness.
PURE = ("pki", "wire", "toml_lines")
IMPURE_MODULES = {
    "asyncio",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
}


def imports_of(file: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            if node.module == "leafward":
                yield from ((node.lineno, f"leafward.{alias.name}") for alias in node.names)


def wing_of(file: Path) -> str:
    """The wing (folder, or single room at the top) a file stands in."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def wrong_arrows() -> Iterator[str]:
    """A line for each import against the arrows."""
    for file in sorted(PACKAGE.rglob("*.py")):
        wing = wing_of(file)
        for line, module in imports_of(file):
            where = f"{file.relative_to(SOURCE)}:{line}"
            top, _, rest = module.partition(".")
            if top == "leafward" and rest:
                target = rest.split(".")[0]
                if target not in {wing, "__version__", "__built__"} | MAY_IMPORT[wing]:
                    yield f"{where}: {wing} must not import {target}"
            elif wing in PURE and top in IMPURE_MODULES:
                yield f"{where}: {wing} is pure and must not import {top}"


if __name__ == "__main__":
    wrong = list(wrong_arrows())
    print("\n".join(wrong) if wrong else "arrows: all run one way")
    sys.exit(bool(wrong))
