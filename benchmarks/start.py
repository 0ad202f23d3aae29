"""How long a start takes: `leafward up` to ready with a fresh home and with an old one, and to the first leaf message.

    make bench            or: .venv/bin/python -m benchmarks.start --runs 5 --json

Each run is the whole program, started as a person starts it, on a loopback address of its own. Printed are the minimum,
median and maximum of several runs, in seconds, beside the bounds that the product promises.
"""

import argparse
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
BOUNDS = {"fresh home to ready": 2.0, "old home to ready": 1.0, "fresh home to first leaf message": 10.0}


def free_address() -> str:
    """A loopback address on which nobody listens at the MQTT port; the Azure SDKs can use no other port."""
    while True:
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        with socket.socket() as probe:
            try:
                probe.bind((address, 8883))
            except OSError:
                continue
            return address


@contextmanager
def edge(home: Path, *options: str) -> Iterator[IO[str]]:
    """A running `leafward up`; what it prints. It is stopped at the end."""
    process = subprocess.Popen(
        [str(LEAFWARD), "up", "--home", str(home), "--hostname", "gateway.test", "--bind", free_address(), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def seconds_until(words: str, home: Path, *options: str) -> float:
    """From the start of the program to the first line of its output that has `words` in it."""
    begin = time.perf_counter()
    with edge(home, *options) as output:
        for line in output:
            if words in line:
                return time.perf_counter() - begin
    raise SystemExit(f"leafward up ended before it said {words!r}")


def measure(runs: int) -> dict[str, list[float]]:
    """The figures of each run."""
    found: dict[str, list[float]] = {name: [] for name in BOUNDS}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            found["fresh home to ready"].append(seconds_until("is up", home))
            found["old home to ready"].append(seconds_until("is up", home))
        with tempfile.TemporaryDirectory() as folder:
            words = '"reading": 1'
            found["fresh home to first leaf message"].append(seconds_until(words, Path(folder) / "home", "--demo"))
    return found


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.runs)
    if arguments.json:
        print(json.dumps({name: {"bound": BOUNDS[name], "seconds": values} for name, values in found.items()}))
        return
    print(f"{'seconds':<34} {'min':>6} {'median':>7} {'max':>6} {'bound':>6}")
    for name, values in found.items():
        middle = statistics.median(values)
        print(f"{name:<34} {min(values):>6.2f} {middle:>7.2f} {max(values):>6.2f} {BOUNDS[name]:>6.1f}")


if __name__ == "__main__":
    main()
