"""One broken chain for each code, named after its defect: what the rules must find, and what OpenSSL says of it.

`tests/pki/test_rules.py` asks our rules, `tests/oracles/` asks other people's verifiers about the same chains.
"""

from tests.pki import faults_of_certificates, faults_of_chains
from tests.pki.fault import FAULTS, Fault, crl, whole

__all__ = ["FAULTS", "Fault", "crl", "faults_of_certificates", "faults_of_chains", "whole"]
