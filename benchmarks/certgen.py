"""How much faster `leafward certgen` is than the convenience script, with the same kind of key, side by side.

    .venv/bin/python -m benchmarks.certgen --script PATH/TO/certGen.sh --runs 15

The script is not part of this: whoever measures fetches it, with its openssl_root_ca.cnf beside it. Both run as whole
programs, by turns, each in a folder of its own. The time that an RSA key takes is chance, so the ratio is of the means,
and the medians are shown beside them.

The bash scripts know RSA alone, and the bound is for that. What remains of either program without the search for primes
is measured with EC keys: the script in a copy with its two settings for the kind of key changed, below CAs that certgen
made for both. That ratio has no bound.
"""

import argparse
import json
import os
import re
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
RSA, EC = "rsa-4096", "ec-p256"
ENVIRONMENT = {"TERM": "xterm", "FORCE_NO_PROD_WARNING": "true"}


def script_in(folder: Path, script: Path, key: str) -> list[str]:
    """A copy of the script with its configuration, in a folder of its own; for EC keys with other settings."""
    folder.mkdir()
    for path in (script, *script.parent.glob("*.cnf")):
        shutil.copy2(path, folder)
    copy = folder / script.name
    if key == EC:
        text = re.sub(
            r'(?mi)^(algorithm)="genrsa"', r'\1="ecparam -genkey -noout -name prime256v1"', script.read_text()
        )
        text = text.replace('"${algorithm}"', "${algorithm}")  # it is several words now
        copy.write_text(re.sub(r"(?mi)^(\w*key_bits_length|rsa_\w+_bits_length)=.*", r'\1=""', text))
    return ["bash", str(copy)]


def seconds(command: list[str], folder: Path) -> float:
    """How long a program takes from its start to its end. It must succeed."""
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **ENVIRONMENT}, check=True, capture_output=True)
    return time.perf_counter() - begin


def measure(script: Path, runs: int, key: str) -> tuple[list[float], list[float]]:
    """(seconds of the script, seconds of ours), by turns."""
    with tempfile.TemporaryDirectory() as temporary:
        theirs, ours = Path(temporary) / "script", Path(temporary) / "leafward"
        ours.mkdir()
        called = script_in(theirs, script, key)
        dialect = "sdk-c" if "OSTYPE" in script.read_text() else "iotedge"
        certgen = [str(LEAFWARD), "certgen", "--dialect", dialect, "--key", key]
        seconds([*certgen, "create_root_and_intermediate"], ours)
        if key == EC:
            shutil.copytree(ours, theirs, dirs_exist_ok=True)
        else:
            seconds([*called, "create_root_and_intermediate"], theirs)
        found: tuple[list[float], list[float]] = ([], [])
        for run in range(runs):
            found[0].append(seconds([*called, COMMAND, f"gateway-{run}"], theirs))
            found[1].append(seconds([*certgen, "--force", COMMAND, f"gateway-{run}"], ours))
        return found


def row(key: str, theirs: list[float], ours: list[float]) -> Row:
    """What was found for one kind of key."""
    details = {
        f"{who}, {what}, s": function(values)
        for who, values in (("script", theirs), ("leafward", ours))
        for what, function in (("mean", statistics.mean), ("median", statistics.median), ("longest", max))
    }
    details["script / leafward, medians"] = statistics.median(theirs) / statistics.median(ours)
    ratio = statistics.mean(theirs) / statistics.mean(ours)
    return Row(f"certgen {COMMAND}, {key}: script / leafward", ratio, BOUND if key == RSA else 0, details=details)


def main() -> int:
    """Prints the table, or JSON. 1 where the bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [row(key, *measure(arguments.script.absolute(), arguments.runs, key)) for key in (RSA, EC)]
    print(json.dumps([one.facts() for one in rows]) if arguments.json else "\n".join(table(rows)))
    return 0 if all(one.holds for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
