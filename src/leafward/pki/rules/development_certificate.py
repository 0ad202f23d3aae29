"""A chain for development says so in its names; it has no place in a product.

Its keys lie beside the gateway's own, or in a folder of scripts with a password that is in the manual. Known by their
names: what `leafward up` makes, what the convenience scripts make, and the quickstart of IoT Edge.
"""

import re
from collections.abc import Iterator

from cryptography import x509

from leafward.pki.extension import common_names
from leafward.pki.link import signs_itself
from leafward.pki.rule import Context, Finding, Rule, Step

_NAMES = re.compile(r"\bdevelopment\b|test[ _]?only|^test edge (owner|device) ca$|quickstart")
# From 1.2 on the quickstart's CA signs itself; a maker's is never self-signed under these names.
_QUICKSTART_ROOTS = ("aziot-edge ca", "iotedged workload ca")


def check(context: Context) -> Iterator[Finding]:
    """The highest certificate of the path with such a name: one is enough."""
    found = next((one for one in reversed(context.path) if is_for_development(one)), None)
    if found is not None:
        yield RULE.finding(
            "info",
            found,
            got=", ".join(common_names(found)),
            expected="a chain of the maker's, where this is a product",
            who="maker",
            fix="For a product, have the device CA issued by the maker (leafward ca device), and set production = true "
            "in the settings.",
        )


def is_for_development(certificate: x509.Certificate) -> bool:
    """Whether the common name says that it is meant for development."""
    names = [name.lower() for name in common_names(certificate)]
    if any(_NAMES.search(name) for name in names):
        return True
    return any(name.startswith(_QUICKSTART_ROOTS) for name in names) and signs_itself(certificate)


RULE = Rule(
    code="development-certificate",
    title="the chain is for development",
    clause="certificates of an edge gateway: development and production",
    step=Step.ADVICE,
    check=check,
    at_issue=False,
)
