"""What a certificate over EST costs the server, beside `cfssl serve` signing the same kind of request.

    make bench            or: .venv/bin/python -m benchmarks.est --certificates 500 --rounds 5 --json

EST: simpleenroll over one kept-alive mutual-TLS connection, each certificate durable in inventory and log before its
answer leaves. cfssl (Debian's golang-cfssl): /api/v1/cfssl/sign over one kept-alive plain HTTP connection, nothing
stored. Both issue for P-256 keys by a P-256 CA, and check the request's signature. Rounds alternate, so that whatever
else the machine does hits both. The figure is the server's CPU time a certificate, by the kernel's own account of its
threads; the ratio is to be at most 1. It is not (docs/est.md says where the time goes).
"""

import argparse
import base64
import http.client
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from leafward.pki.encoding import private_key_to_pem

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
DEVICE = "pump-7"
BOUND = 1.0
WARM_UP = 50
_CFSSL_SETTINGS = {"signing": {"default": {"usages": ["digital signature", "client auth"], "expiry": "8760h"}}}


@dataclass
class Served:
    """A server that runs, and how one certificate is asked of it."""

    process: int
    ask: Callable[[x509.CertificateSigningRequest], None]
    costs: list[float]
    waits: list[float]

    def round(self, requests: list[x509.CertificateSigningRequest]) -> None:
        """Asks for a certificate for each request; notes microseconds of CPU and of waiting a certificate."""
        cpu, begin = cpu_nanoseconds(self.process), time.perf_counter()
        for request in requests:
            self.ask(request)
        self.waits.append((time.perf_counter() - begin) / len(requests) * 1e6)
        self.costs.append((cpu_nanoseconds(self.process) - cpu) / len(requests) / 1e3)


def cpu_nanoseconds(process: int) -> int:
    """What all threads of a process have used of the processor so far."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def new_requests(count: int) -> list[x509.CertificateSigningRequest]:
    """Requests with keys of their own, as devices make them."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return [builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()) for _ in range(count)]


@contextmanager
def est(folder: Path) -> Iterator[Served]:
    """`leafward ca serve`, and a device with its identity on one connection."""
    environment = {**os.environ, "LEAFWARD_HOME": str(folder / "home")}
    identity = folder / "identity"
    request = folder / "identity.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    request.write_bytes(_identity_request(key))
    for command in (
        ("init", "--cn", "Benchmark Root CA"),
        ("intermediate", "Benchmark Factory CA"),
        ("leaf", DEVICE, "--profile", "device_identity", "--csr", str(request), "--out", str(identity)),
    ):
        subprocess.run([str(LEAFWARD), "ca", *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    (folder / "identity.key").write_bytes(_pem(key))
    options = ["--bind", "127.0.0.1", "--port", "0", "--http-port", "0", "--name", "localhost", "--json"]
    with _running([str(LEAFWARD), "ca", "serve", *options], environment) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        root = folder / "home/maker/authorities/benchmark-root-ca/certificate.pem"
        tls = ssl.create_default_context(cafile=str(root))
        tls.load_cert_chain(identity / "certificate.pem", folder / "identity.key")
        connection = http.client.HTTPSConnection("localhost", port, context=tls)
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}

        def ask(asked: x509.CertificateSigningRequest) -> None:
            body = base64.b64encode(asked.public_bytes(Encoding.DER))
            _post(connection, "/.well-known/est/simpleenroll", body, headers)

        yield Served(process.pid, ask, [], [])
        connection.close()


@contextmanager
def cfssl(folder: Path) -> Iterator[Served]:
    """`cfssl serve` with a P-256 CA of its own."""
    made = subprocess.run(
        ["cfssl", "gencert", "-initca", "-"],
        input=json.dumps({"CN": "Benchmark CA", "key": {"algo": "ecdsa", "size": 256}}).encode(),
        capture_output=True,
        check=True,
    )
    ca = json.loads(made.stdout)
    paths = {name: folder / name for name in ("ca.pem", "ca.key", "settings.json")}
    paths["ca.pem"].write_text(ca["cert"])
    paths["ca.key"].write_text(ca["key"])
    paths["settings.json"].write_text(json.dumps(_CFSSL_SETTINGS))
    port = _free_port()
    command = ["cfssl", "serve", "-address", "127.0.0.1", "-port", str(port), "-loglevel", "5", "-config"]
    command += [str(paths["settings.json"]), "-ca", str(paths["ca.pem"]), "-ca-key", str(paths["ca.key"])]
    with _running(command, dict(os.environ)) as process:
        connection = _connected(port)

        def ask(asked: x509.CertificateSigningRequest) -> None:
            body = json.dumps({"certificate_request": asked.public_bytes(Encoding.PEM).decode(), "hosts": [DEVICE]})
            _post(connection, "/api/v1/cfssl/sign", body.encode(), {"Content-Type": "application/json"})

        yield Served(process.pid, ask, [], [])
        connection.close()


def measure(certificates: int = 500, rounds: int = 5) -> dict[str, float]:
    """Microseconds of server CPU a certificate (median of the rounds), of waiting, and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with est(folder) as ours, cfssl(folder) as theirs:
            for one in (ours, theirs):
                one.round(new_requests(WARM_UP))
            for one in (ours, theirs):
                one.costs.clear()
                one.waits.clear()
            for _ in range(rounds):
                requests = new_requests(certificates)
                ours.round(requests)
                theirs.round(requests)
            found = {
                "est_cpu": statistics.median(ours.costs),
                "cfssl_cpu": statistics.median(theirs.costs),
                "est_wait": statistics.median(ours.waits),
                "cfssl_wait": statistics.median(theirs.waits),
            }
            ratios = [a / b for a, b in zip(ours.costs, theirs.costs, strict=True)]
    return {**found, "ratio": statistics.median(ratios), "bound": BOUND}


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _post(connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> None:
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise SystemExit(f"{path} answered {response.status}: {text!r}")


def _connected(port: int) -> http.client.HTTPConnection:
    """A connection, as soon as the server listens."""
    last = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > last:
                raise
            time.sleep(0.05)
        else:
            return connection


def _free_port() -> int:

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _identity_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    parts = [(NameOID.COMMON_NAME, DEVICE), (NameOID.SERIAL_NUMBER, "0007")]
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return private_key_to_pem(key)


def main() -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=500, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.certificates, arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{'microseconds a certificate':<28} {'server CPU':>10} {'waiting':>9}")
    print(f"{'EST, mutual TLS, durable':<28} {found['est_cpu']:>10.0f} {found['est_wait']:>9.0f}")
    print(f"{'cfssl serve, HTTP, nothing':<28} {found['cfssl_cpu']:>10.0f} {found['cfssl_wait']:>9.0f}")
    print(f"ratio {found['ratio']:.2f} (bound {found['bound']:.1f})")


if __name__ == "__main__":
    main()
