"""mbedTLS and wolfSSL, as leaf devices have them: real handshakes by our small C programs, both ways.

As a TLS client each judges servers; as a TLS server it judges clients.
"""

import pytest

from tests.oracles.stand import ask_program
from tests.oracles.trial import hold


@pytest.mark.parametrize("judge", ["mbedtls", "wolfssl"])
def test_every_chain(judge, docket, own, c_program, tmp_path):
    """Each kind, key type and depth that it knows: **connected**; each control: **refused**"""
    program = c_program(f"{judge}_judge")
    hold(judge, docket, lambda cases: ask_program([program], cases, own, tmp_path))
