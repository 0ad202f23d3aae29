"""`cryptography`'s path validation with its own defaults, no policy of ours: what our `verify` says, it says."""

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from leafward.pki.names import parse_host
from leafward.pki.verify import verify
from tests.oracles.hierarchies import HOST, KIND_NAMES, KINDS, ours


@pytest.mark.parametrize(("levels", "key_type"), KINDS, ids=KIND_NAMES)
def test_our_own_chains(levels, key_type):
    """The hub: **valid**, and the same path as ours"""
    mine = ours(levels, key_type)
    verifier = PolicyBuilder().store(Store([mine.root])).time(mine.now).build_server_verifier(x509.DNSName(HOST))
    path = verifier.verify(mine.hub.leaf, list(mine.hub.issuers))
    verdict = verify(mine.hub, [mine.root], now=mine.now, name=parse_host(HOST))
    assert verdict.path == tuple(path)


def test_another_name():
    mine = ours(1, "ec-p256")
    verifier = PolicyBuilder().store(Store([mine.root])).time(mine.now).build_server_verifier(x509.DNSName("x.local"))
    with pytest.raises(VerificationError):
        verifier.verify(mine.hub.leaf, list(mine.hub.issuers))
    assert not verify(mine.hub, [mine.root], now=mine.now, name=parse_host("x.local")).valid
