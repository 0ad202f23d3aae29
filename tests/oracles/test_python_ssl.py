"""Handshakes with `ssl`, strict as it is by default from Python 3.13 on. It judges servers, and as a server clients."""

import ssl
from pathlib import Path

import pytest

from tests.oracles.buffers import End, StandardEnd, shake_hands
from tests.oracles.case import Case
from tests.oracles.keyring import key_pem
from tests.oracles.stand import write
from tests.oracles.trial import hold


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_chain(version, docket, own, tmp_path):
    """Each kind, key type and depth: **connected**; each control: **refused**"""

    def judging(case: Case) -> End:
        of_server = case.purpose == "server"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if of_server else ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=case.anchor_pem.decode())
        if not of_server:
            context.load_cert_chain(*_files(own, tmp_path))
        return StandardEnd(context, case.host)

    hold("python-ssl", docket, lambda cases: [shake_hands(case, judging) for case in cases])


def _files(case: Case, folder: Path) -> tuple[Path, Path]:
    return write(case.chain_pem, folder), write(key_pem(case.key), folder)
