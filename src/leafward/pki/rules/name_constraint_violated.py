"""Rule 10: every name lies inside the name constraints of the CAs above it (RFC 5280 4.2.1.10, 6.1.3 (b), (c)).

DNS names, addresses, mail addresses, URIs and directory names are judged. A constraint on any other kind of name is a
violation as soon as a name of that kind is met, because it cannot be judged (OpenSSL does the same).
"""

from collections.abc import Callable, Iterator

from cryptography import x509

from leafward.pki.extension import value
from leafward.pki.link import loose_name, names_itself
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each name of a certificate outside of what a CA above it allows; self-issued CAs are exempt, a leaf never is."""
    for height, ca in enumerate(context.path):
        constraints = value(ca, x509.NameConstraints)
        if constraints is None or ca not in context.cas:
            continue
        for depth, certificate in enumerate(context.path[:height]):
            if depth and names_itself(certificate):
                continue
            for name in _names(certificate):
                why = _violation(name, constraints)
                if why is not None:
                    yield RULE.finding(
                        "error",
                        certificate,
                        got=_text(name),
                        expected=why,
                        who=context.who(ca),
                        fix=f"Use a name that {ca.subject.rfc4514_string()} may certify, or issue that CA again: "
                        f"{context.reissue(ca)}",
                    )


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.subject)
    yield from value(certificate, x509.SubjectAlternativeName) or ()


def _violation(name: x509.GeneralName, constraints: x509.NameConstraints) -> str | None:
    """What was expected of a name; None where it is allowed."""
    excluded = [base for base in constraints.excluded_subtrees or () if isinstance(base, type(name))]
    permitted = [base for base in constraints.permitted_subtrees or () if isinstance(base, type(name))]
    within = _WITHIN.get(type(name))
    if within is None:
        return "no constraint on a kind of name that cannot be judged" if excluded or permitted else None
    if any(within(name.value, base.value) for base in excluded):
        return f"a name outside of {', '.join(map(_text, excluded))}"
    if permitted and not any(within(name.value, base.value) for base in permitted):
        return f"a name inside {', '.join(map(_text, permitted))}"
    return None


def _dns_within(name: str, base: str) -> bool:
    """The base itself and everything below it; with a leading dot only what is below; an empty base is everything."""
    name, base = name.lower().rstrip("."), base.lower()
    if not base:
        return True
    return name.endswith(base) if base.startswith(".") else name == base or name.endswith(f".{base}")


def _mail_within(name: str, base: str) -> bool:
    """One mailbox, all of one host, or (leading dot) all hosts below a domain."""
    host = name.rpartition("@")[2].lower()
    if "@" in base:
        return name.rpartition("@")[0] == base.rpartition("@")[0] and host == base.rpartition("@")[2].lower()
    return host.endswith(base.lower()) if base.startswith(".") else host == base.lower()


def _uri_within(name: str, base: str) -> bool:
    """The host part of the URI, as a mail host."""
    authority = name.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return _mail_within(authority.partition(":")[0], base)


def _address_within(name: object, base: object) -> bool:
    return name in base  # type: ignore[operator]  # an address in a network of the same or the other family


def _directory_within(name: x509.Name, base: x509.Name) -> bool:
    """The base is where the name begins, part by part (RFC 5280 7.1)."""
    wanted = loose_name(base)
    return loose_name(name)[: len(wanted)] == wanted


_WITHIN: dict[type, Callable[..., bool]] = {
    x509.DNSName: _dns_within,
    x509.RFC822Name: _mail_within,
    x509.UniformResourceIdentifier: _uri_within,
    x509.IPAddress: _address_within,
    x509.DirectoryName: _directory_within,
}


def _text(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return f"directory:{name.value.rfc4514_string()}"
    return f"{_KINDS.get(type(name), type(name).__name__)}:{name.value}"


_KINDS: dict[type, str] = {x509.DNSName: "DNS", x509.IPAddress: "IP", x509.RFC822Name: "email"}

RULE = Rule(
    code="name-constraint-violated",
    title="a name lies outside of a CA's name constraints",
    clause="RFC 5280 4.2.1.10",
    step=Step.NAME_CONSTRAINTS,
    check=check,
)
