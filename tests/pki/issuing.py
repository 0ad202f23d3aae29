"""What the tests of issuing share: other people's verifiers, and how a refusal is read."""

import re
import subprocess
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
)

from leafward.errors import RuleViolation
from leafward.pki.chain import Chain
from leafward.pki.names import parse_host
from leafward.pki.request import CertificateRequest


def openssl_verify(chain: Chain, folder: Path, *options: str, at: datetime) -> str:
    """What `openssl verify -x509_strict` says of a chain with its own root as the only anchor; "OK" when nothing."""
    (folder / "leaf.pem").write_bytes(Chain.of(chain.leaf).to_pem())
    (folder / "root.pem").write_bytes(Chain.of(chain.top).to_pem())
    between = b"".join(Chain.of(one).to_pem() for one in chain.certificates[1:-1])
    (folder / "between.pem").write_bytes(between)
    extra = ["-untrusted", str(folder / "between.pem")] if between else []
    time = ["-attime", str(int(at.timestamp()))]
    command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", *time, "-CAfile", str(folder / "root.pem")]
    done = subprocess.run(
        [*command, *extra, *options, str(folder / "leaf.pem")], capture_output=True, text=True, check=False
    )
    return "OK" if done.returncode == 0 else done.stdout + done.stderr


def pyca_verify(chain: Chain, at: datetime, name: str | None) -> list[x509.Certificate]:
    """The path that pyca's verifier finds. Raises its VerificationError."""
    builder = PolicyBuilder().store(Store([chain.top])).time(at).max_chain_depth(10)
    between = list(chain.certificates[1:-1])
    if name is not None:
        subject = (
            x509.IPAddress(ip_address(name))
            if re.fullmatch(r"[0-9.]+|[0-9a-f:]+:[0-9a-f:]*", name)
            else x509.DNSName(name)
        )
        return builder.build_server_verifier(subject).verify(chain.leaf, between)
    # Its client verifier wants a SAN; most of our client certificates have none, as IoT Hub's have none.
    leaf = ExtensionPolicy.permit_all().require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
    policies = builder.extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=leaf)
    return policies.build_client_verifier().verify(chain.leaf, between).chain


def refused_code(prepare: Any) -> str:
    with pytest.raises(RuleViolation) as refused:
        prepare()
    assert refused.value.hint or refused.value.why
    return refused.value.code


def server(key: Any = None, host: str = "gateway.example", **more: Any) -> CertificateRequest:
    key = key or ec.generate_private_key(ec.SECP256R1())
    return CertificateRequest(public_key=key.public_key(), hosts=(parse_host(host),), **more)
