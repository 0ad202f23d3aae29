"""A factory lot from requests to durable certificates, by the command that a factory runs, with two signing processes.

The rate of `leafward ca lot issue` (inventory and log durable, certificates written as JSON lines) is compared with
twice what one core can do in the same run: 1 / (one verification + one signature), measured before and after. The
memory is that of all its processes together, pages that they share counted once, and is to stay flat.
"""

import base64
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.issuance import ECDSA, SIGNED, new_csr
from benchmarks.row import Row

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
WORKERS = 2
MOST_MEGABYTES = 300
_LIMIT_PIECES = 4000


def measure(quick: bool = False) -> list[Row]:
    """The rate and the memory of a lot of 100,000 requests; 1,000 when `quick`."""
    count = 1000 if quick else 100_000
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        requests = write_requests(Path(folder) / "requests.jsonl", count)
        run(home, "init", "--cn", "Benchmark Root CA")
        run(home, "intermediate", "Benchmark Factory CA")
        run(home, "lot", "open", "--quota", str(count), "--profile", "device_ca", "--lot", "benchmark")
        before = single_core_limit()
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, megabytes = issue(home, requests, Path(folder) / "certificates.jsonl", count)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        limit = WORKERS * (before + single_core_limit()) / 2
    largest, half_way = max(megabytes, default=0.0), megabytes[: max(len(megabytes) // 2, 1)]
    grown = largest - max(half_way, default=0.0)
    microseconds = (used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime) / count * 1e6
    rate = Row(
        f"lot of {count:,} CSRs, {WORKERS} processes, inventory and log durable",
        count / seconds / limit,
        0.5,
        details={
            "certificates, 1/s": count / seconds,
            "twice verification + signature on one core, 1/s": limit,
            "CPU of all processes and their start, us a certificate": microseconds,
            "ratio if these processes had both cores to themselves": WORKERS * 1e6 / microseconds / limit,
        },
    )
    memory = Row(
        f"memory of that lot in parts of {MOST_MEGABYTES} MB",
        largest / MOST_MEGABYTES,
        1.0,
        at_most=True,
        details={"largest, MB": largest, "more than in the first half, MB": grown},
    )
    return [rate, memory]


def run(home: Path, *arguments: str) -> None:
    """A `leafward ca` command that must succeed."""
    environment = {**os.environ, "LEAFWARD_HOME": str(home)}
    subprocess.run([LEAFWARD, "ca", *arguments], env=environment, check=True, capture_output=True)


def write_requests(path: Path, count: int) -> Path:
    """JSON lines with a request of a key of its own each."""
    with path.open("w") as file:
        for number in range(count):
            csr = new_csr(ec.generate_private_key(ec.SECP256R1()), f"device-{number:06}")
            file.write(json.dumps({"name": f"device-{number:06}", "csr": base64.b64encode(csr).decode()}) + "\n")
    return path


def issue(home: Path, requests: Path, out: Path, count: int) -> tuple[float, list[float]]:
    """(seconds that the command itself counts, megabytes seen meanwhile). Its start is not among the seconds."""
    command = [str(LEAFWARD), "ca", "lot", "issue", "benchmark", str(requests), "--workers", str(WORKERS), "--json"]
    with out.open("wb") as file:
        process = subprocess.Popen(command, env={**os.environ, "LEAFWARD_HOME": str(home)}, stdout=file)
        megabytes: list[float] = []
        watching = threading.Thread(target=watch, args=(process, megabytes))
        watching.start()
        if process.wait():
            raise SystemExit(f"the lot failed with exit code {process.returncode}")
        watching.join()
    summary = json.loads(last_line(out))
    if summary["issued"] != count:
        raise SystemExit(f"expected {count} certificates, got {summary}")
    return summary["seconds"], megabytes


def watch(process: "subprocess.Popen[bytes]", megabytes: list[float]) -> None:
    """Notes the memory of a process and its children, twice a second."""
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            everyone = [str(process.pid), *children.read_text().split()]
            megabytes.append(sum(map(proportional_megabytes, everyone)))
        except OSError:  # it has just ended
            return
        time.sleep(0.5)


def proportional_megabytes(process: str) -> float:
    """The memory of a process, its part of shared pages only (PSS)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def last_line(path: Path) -> bytes:
    """The last line of a file, which is the summary."""
    with path.open("rb") as file:
        file.seek(-min(4096, path.stat().st_size), os.SEEK_END)
        return file.read().splitlines()[-1]


def single_core_limit() -> float:
    """Verifications with a signature each that one core does in a second of its time."""
    key = ec.generate_private_key(ec.SECP256R1())
    public_key, signature = key.public_key(), key.sign(SIGNED, ECDSA)
    begin = time.process_time()
    for _ in range(_LIMIT_PIECES):
        public_key.verify(signature, SIGNED, ECDSA)
        key.sign(SIGNED, ECDSA)
    return _LIMIT_PIECES / (time.process_time() - begin)
