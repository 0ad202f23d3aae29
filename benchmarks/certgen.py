"""How much faster `leafward certgen` is than the convenience script, with the same kind of key, side by side.

    .venv/bin/python -m benchmarks.certgen --script PATH/TO/certGen.sh --runs 15

The script is not part of this: whoever measures fetches it, with its openssl_root_ca.cnf beside it. Both run as whole
programs, by turns, each in a folder of its own with a hierarchy that it made itself. The time that an RSA key takes is
chance, so the ratio is of the means, and the medians are shown beside them.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.row import Row, table

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
COMMAND = "create_edge_device_certificate"
BOUND = 5.0
ENVIRONMENT = {"TERM": "xterm", "FORCE_NO_PROD_WARNING": "true"}


def script_in(folder: Path, script: Path) -> list[str]:
    """A copy of the script with its configuration, in a folder of its own."""
    folder.mkdir()
    for path in (script, *script.parent.glob("*.cnf")):
        shutil.copy2(path, folder)
    return ["bash", str(folder / script.name)]


def seconds(command: list[str], folder: Path) -> float:
    """How long a program takes from its start to its end. It must succeed."""
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **ENVIRONMENT}, check=True, capture_output=True)
    return time.perf_counter() - begin


def measure(script: Path, runs: int) -> tuple[list[float], list[float]]:
    """(seconds of the script, seconds of ours), by turns."""
    with tempfile.TemporaryDirectory() as temporary:
        theirs, ours = Path(temporary) / "script", Path(temporary) / "leafward"
        ours.mkdir()
        called = script_in(theirs, script)
        dialect = "sdk-c" if "OSTYPE" in script.read_text() else "iotedge"
        certgen = [str(LEAFWARD), "certgen", "--dialect", dialect, "--force"]
        seconds([*called, "create_root_and_intermediate"], theirs)
        seconds([*certgen, "create_root_and_intermediate"], ours)
        found: tuple[list[float], list[float]] = ([], [])
        for run in range(runs):
            found[0].append(seconds([*called, COMMAND, f"gateway-{run}"], theirs))
            found[1].append(seconds([*certgen, COMMAND, f"gateway-{run}"], ours))
        return found


def main() -> int:
    """Prints the table, or JSON. 1 where the bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    theirs, ours = measure(arguments.script.absolute(), arguments.runs)
    details = {
        f"{who}, {what}, s": function(values)
        for who, values in (("script", theirs), ("leafward", ours))
        for what, function in (("mean", statistics.mean), ("median", statistics.median), ("longest", max))
    }
    ratio = statistics.mean(theirs) / statistics.mean(ours)
    row = Row(f"certgen {COMMAND}, rsa-4096: script / leafward", ratio, BOUND, details=details)
    print(json.dumps(row.facts()) if arguments.json else "\n".join(table([row])))
    return 0 if row.holds else 1


if __name__ == "__main__":
    sys.exit(main())
