"""The stand: where chains are presented to other people's TLS programs, one chain a connection, in order.

A judge program is started once. It reads its questions from standard input, a line each with tabs:

    purpose  name  trusted root (file)  own chain (file)  own key (file)  [chain (file)]

and answers each with a line, "accepted" or "refused: why". For "server" it connects as a TLS client and we present the
chain. For "client" it connects too, but plays the TLS server and asks us for a certificate. Its own chain is for that.
"""

import hashlib
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from leafward.wire.tls import lowlevel_context
from tests.oracles.case import ACCEPTED, Case
from tests.oracles.keyring import key_pem

ADDRESS = "127.0.0.1"
TIMEOUT = 90


class Stand:
    """A listener on loopback that presents the cases' chains, the first to the first connection, and so on."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._listener = socket.create_server((ADDRESS, 0))
        self._thread = threading.Thread(target=self._present_all)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> "Stand":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread where the judge left before its time
        self._thread.join()
        self._listener.close()

    def _present_all(self) -> None:
        for case in self._cases:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(None)
                present(case, connection)


def present(case: Case, connection: socket.socket) -> None:
    """One handshake with the case's chain, whatever comes of it: the judge says what."""
    tls = SSL.Connection(presenting(case), connection)
    if case.purpose == "server":
        tls.set_accept_state()
    else:
        tls.set_connect_state()
    with suppress(SSL.Error, OSError):
        tls.do_handshake()
        tls.recv(1)  # until the judge hangs up: in TLS 1.3 it may refuse after we are done


def presenting(case: Case) -> SSL.Context:
    """A TLS context that shows the whole chain, its root included, as the hub does."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(case.chain.leaf)
    for certificate in case.chain.issuers:
        context.add_extra_chain_cert(certificate)
    lowlevel_context.use_key(context, case.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return context


def ask_program(command: Sequence[str], cases: Sequence[Case], own: Case, folder: Path) -> list[str]:
    """The verdicts of a judge program on the cases. Fails where the program breaks."""
    presented = [case for case in cases if case.purpose in ("server", "client")]
    questions = "".join(_question(case, own, folder) for case in cases)
    with Stand(presented) as stand:
        done = subprocess.run(
            [*command, ADDRESS, str(stand.port)],
            input=questions,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert done.returncode == 0, f"{command[0]} broke after {done.stdout[-300:]}: {done.stderr}"
    return [verdict(line) for line in done.stdout.splitlines()]


def verdict(line: str) -> str:
    """What a program's line says, as `Case` has it."""
    if line == "accepted":
        return ACCEPTED
    assert line.startswith("refused: "), line
    return line


def _question(case: Case, own: Case, folder: Path) -> str:
    files = (case.anchor_pem, own.chain_pem, key_pem(own.key), case.chain_pem)
    return "\t".join([case.purpose, case.host or "", *(str(write(one, folder)) for one in files)]) + "\n"


def write(data: bytes, folder: Path) -> Path:
    """A file with this content, written once. Threads may share the folder."""
    file = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.pem"
    if not file.exists():
        new = file.with_suffix(f".{threading.get_ident()}")
        new.write_bytes(data)
        new.replace(file)
    return file
