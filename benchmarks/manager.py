"""What the manager costs: its first start, a signature, a server certificate, memory, and doing nothing.

    make bench            or: .venv/bin/python -m benchmarks.manager --seconds 10 --json

The manager is the whole program (`leafward manager run`), as a service manager starts it, below a P-256 device CA in
files; it is held to one core. It is called as modules call it: HTTP over its unix socket, connections kept open. The
flood is one module that asks on ten connections without a pause, while another measures how long it waits.
"""

import argparse
import base64
import json
import os
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from benchmarks.row import Row, table
from leafward.manager.connection_limits import MOST_REQUESTS

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
VERSION = "2022-08-03"
WARM_UP = 200
STREAMS = 8  # connections that keep the manager busy while signatures are counted
ANSWER_SECONDS = 20.0
USUAL_CERTIFICATES = 500  # what the modules of a gateway ask for in some years


class Caller:
    """One connection to one of the manager's sockets, kept open."""

    def __init__(self, where: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS)
        self.socket.connect(str(where))
        self._waiting = b""

    def ask(self, request: bytes) -> bytes:
        """The answer's body; ends the program for any other status than 200 and 201."""
        self.socket.sendall(request)
        return self.answer()

    def answer(self) -> bytes:
        """The body of the next answer."""
        while b"\r\n\r\n" not in self._waiting:
            self._more()
        head, _, rest = self._waiting.partition(b"\r\n\r\n")
        status = int(head.split(None, 2)[1])
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(rest) < length:
            self._more()
            rest = self._waiting.partition(b"\r\n\r\n")[2]
        self._waiting = rest[length:]
        if status not in (200, 201):
            raise SystemExit(f"the manager answered {status}: {rest[:length]!r}")
        return rest[:length]

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the manager closed a connection")
        self._waiting += data


def request(method: str, path: str, body: object = None) -> bytes:
    """A request as bytes, ready to be sent again and again."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path}?api-version={VERSION} HTTP/1.1\r\nHost: manager\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


@dataclass(frozen=True)
class Served:
    """A manager that runs."""

    home: Path
    process: int

    @property
    def workload(self) -> Path:
        """The workload socket."""
        return self.home / "run" / "workload.sock"

    @property
    def management(self) -> Path:
        """The management socket."""
        return self.home / "run" / "management.sock"

    def cpu_seconds(self) -> float:
        """What all its threads have used of the processor so far."""
        tasks = Path(f"/proc/{self.process}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def megabytes(self) -> float:
        """Its resident memory."""
        lines = Path(f"/proc/{self.process}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def make_home(home: Path) -> None:
    """A home with a device CA of P-256 in files, and no manager's half yet."""
    environment = {**os.environ, "LEAFWARD_HOME": str(home)}
    home.mkdir()
    (home / "leafward.toml").write_text('[device]\nhostname = "gateway.test"\n')
    for command in (
        ("init", "--cn", "Benchmark Root CA"),
        ("intermediate", "Benchmark Factory CA"),
        ("device", "gateway.ca", "--install"),
    ):
        subprocess.run([str(LEAFWARD), "ca", *command], env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def manager(home: Path) -> Iterator[tuple[Served, float]]:
    """A running manager, and how many seconds it took from the start of the program to the first answer."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(LEAFWARD), "manager", "run", "--home", str(home)], stdout=subprocess.DEVNULL)
    served = Served(home, process.pid)
    try:
        _wait_for(process, served)
        yield served, time.perf_counter() - begin
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", served: Served) -> None:
    while process.poll() is None:
        try:
            Caller(served.workload).ask(request("GET", "/trust-bundle"))
        except OSError:
            time.sleep(0.002)
            continue
        return
    raise SystemExit("the manager did not start")


class Module:
    """This very process as a module of the manager's."""

    def __init__(self, served: Served, name: str) -> None:
        self.served = served
        self.name = name
        operator = Caller(served.management)
        answer = operator.ask(request("POST", f"/modules/{quote(name)}/attach"))
        self.generation = json.loads(answer)["environment"]["IOTEDGE_MODULEGENERATIONID"]

    @property
    def sign(self) -> bytes:
        """The request for a signature over a token's text."""
        data = base64.b64encode(b"gateway.test%2Fdevices%2Fedge-device%2Fmodules%2Ffilter\n1790000000").decode()
        body = {"keyId": "primary", "algo": "HMACSHA256", "data": data}
        return request("POST", f"/modules/{self.name}/genid/{self.generation}/sign", body)

    @property
    def certificate(self) -> bytes:
        """The request for a server certificate."""
        path = f"/modules/{self.name}/genid/{self.generation}/certificate/server"
        return request("POST", path, {"commonName": self.name})


def signatures(module: Module, count: int) -> Row:
    """Several connections at once, so that the manager never waits for us."""
    streams = [Caller(module.served.workload) for _ in range(STREAMS)]
    data = module.sign
    for _ in range(WARM_UP):
        streams[0].ask(data)
    cpu, begin = module.served.cpu_seconds(), time.perf_counter()
    for stream in streams:
        stream.socket.sendall(data)
    for _ in range(count // STREAMS - 1):
        for stream in streams:
            stream.answer()
            stream.socket.sendall(data)
    for stream in streams:
        stream.answer()
    seconds, cpu = time.perf_counter() - begin, module.served.cpu_seconds() - cpu
    asked = count // STREAMS * STREAMS
    details = {"microseconds of CPU a signature": cpu / asked * 1e6, "by CPU time alone, a second": asked / cpu}
    return Row("signatures a second, one core", asked / seconds, 3000, details=details)


def certificates(module: Module, count: int) -> Row:
    """One after another on one connection, each with a key of its own."""
    waits = latencies(Caller(module.served.workload), module.certificate, count)
    return Row("server certificate, p99 in ms", waits[1], 5.0, at_most=True, details={"median in ms": waits[0]})


def latencies(caller: Caller, data: bytes, count: int, warm_up: int = 20) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum of the waiting time, in milliseconds."""
    for _ in range(warm_up):
        caller.ask(data)
    found = []
    for _ in range(count):
        begin = time.perf_counter()
        caller.ask(data)
        found.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(found), statistics.quantiles(found, n=100)[98], max(found)


class Greedy:
    """A module in a process of its own, which floods when it is told to."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.manager", "--greedy", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._told()

    def flood(self, what: str, requests: int) -> Iterator[None]:
        """Once for each moment until every request is answered."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {requests}\n")
        self._process.stdin.flush()
        while not select.select([self._process.stdout], [], [], 0)[0]:
            yield
        self._told()

    def end(self) -> None:
        """It goes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _told(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise SystemExit("the greedy module ended")


def flooded(module: Module, greedy: Greedy, what: str, requests: int) -> Row:
    """How long one module waits for a signature while another floods the manager with `what`."""
    caller, waits = Caller(module.served.workload), []
    quiet = latencies(caller, module.sign, 500)
    begun = time.perf_counter()
    for _ in greedy.flood(what, requests):
        begin = time.perf_counter()
        caller.ask(module.sign)
        waits.append((time.perf_counter() - begin) * 1e3)
    details = {
        "p99 of a quiet manager": quiet[1],
        "maximum": max(waits),
        "requests of the flood": float(requests),
        "seconds that it took": time.perf_counter() - begun,
    }
    p99 = statistics.quantiles(waits, n=100)[98]
    return Row(f"another's signature in a flood of {what}s, p99 in ms", p99, 25.0, at_most=True, details=details)


def be_greedy(home: Path) -> None:
    """The greedy module: ten connections, without a pause."""
    module = Module(Served(home, 0), "greedy")
    print("here", flush=True)
    for line in sys.stdin:
        what, requests = line.split()
        data = getattr(module, what)
        streams = [Caller(module.served.workload) for _ in range(MOST_REQUESTS)]
        for stream in streams:
            stream.socket.sendall(data)
        for _ in range(int(requests) // len(streams) - 1):
            for stream in streams:
                stream.answer()
                stream.socket.sendall(data)
        for stream in streams:
            stream.answer()
            stream.socket.close()
        print("done", flush=True)


def starts(folder: Path, home: Path, runs: int) -> Row:
    """First starts: each on a fresh copy of the home."""
    found = []
    for run in range(runs):
        fresh = folder / f"start-{run}"
        shutil.copytree(home, fresh)
        with manager(fresh) as (_, seconds):
            found.append(seconds)
    details = {"minimum": min(found), "maximum": max(found)}
    return Row("first start to serving, s", statistics.median(found), 0.5, at_most=True, details=details)


def idle(served: Served, seconds: float) -> Row:
    """The share of a core that it uses while nobody calls, in percent."""
    before = served.cpu_seconds()
    time.sleep(seconds)
    used = served.cpu_seconds() - before
    details = {"milliseconds of CPU": used * 1e3, "seconds": seconds}
    return Row("idle, percent of a core", used / seconds * 100, 0.1, at_most=True, details=details)


def measure(seconds: float, count: int, flood: int, runs: int) -> list[Row]:
    """Every row, on one manager after the first starts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home"
        make_home(home)
        rows = [starts(folder, home, runs)]
        with manager(home) as (served, _):
            os.sched_setaffinity(served.process, {min(os.sched_getaffinity(0))})
            operator = Caller(served.management)
            for one in ("filter", "greedy"):
                operator.ask(request("POST", "/modules", {"name": one}))
            started = served.megabytes()
            greedy = Greedy(home)
            rows.append(idle(served, seconds))
            module = Module(served, "filter")
            rows += [signatures(module, count), certificates(module, USUAL_CERTIFICATES)]
            used = served.megabytes()
            rows.append(flooded(module, greedy, "sign", flood))
            rows.append(flooded(module, greedy, "certificate", max(200, flood // 50)))
            greedy.end()
            memory = {"after the first start": started, "after the floods": served.megabytes()}
            rows.append(Row("resident memory in use, MB", used, 60, at_most=True, details=memory))
        return rows


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the idle manager is watched")
    parser.add_argument("--count", type=int, default=20_000, help="signatures")
    parser.add_argument("--flood", type=int, default=20_000, help="a flood's signatures; certificates are a fiftieth")
    parser.add_argument("--runs", type=int, default=5, help="first starts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--greedy", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.greedy:
        be_greedy(Path(arguments.greedy))
        return
    rows = measure(arguments.seconds, arguments.count, arguments.flood, arguments.runs)
    print(json.dumps([row.facts() for row in rows]) if arguments.json else "\n".join(table(rows)))
    if not all(row.holds for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
