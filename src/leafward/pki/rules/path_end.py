"""Rule 9: the path ends with a self-signed root that the verifier trusts (RFC 5280 6.1.1 (d)).

How it fails to tells what to mend, so one look gives one of six codes. The Azure SDKs, like OpenSSL by default, use no
partial chains: an intermediate among the anchors ends no path.
"""

from collections.abc import Callable, Iterator

from cryptography import x509

from leafward.pki.chain import fingerprint
from leafward.pki.extension import path_length
from leafward.pki.link import Link, loose_name, names_itself, signs_itself
from leafward.pki.rule import Context, Finding, Rule, Step

_TRUST = "Give the leaf the root certificate of this chain (--root, or its trusted certificates), got from the maker."


def _classify(context: Context) -> str | None:
    """The code of how the path ends; None where it ends well, or where another rule says it better."""
    if not context.anchors or context.anchored:
        return None
    top = context.path[-1]
    if top in context.anchors:
        return "anchor-not-self-signed" if any(map(signs_itself, context.anchors)) else "root-file-is-not-root"
    if namesakes := _namesakes(context):
        return None if _key_ids_say_same(top, namesakes) else "root-same-name-different-key"
    if not any(map(signs_itself, context.anchors)):
        return "root-file-is-not-root"
    if names_itself(top):
        return _classify_self_issued(context, top)
    return _classify_open(context, top)


def _classify_self_issued(context: Context, top: x509.Certificate) -> str | None:
    if len(context.path) > 1:
        return "root-not-trusted"
    if signs_itself(top):
        return "root-not-trusted" if context.purpose == "ca" else "self-signed-server"
    return "intermediate-missing"


def _classify_open(context: Context, top: x509.Certificate) -> str:
    """The top names an issuer that is neither presented nor trusted. The likelier code; the finding names the other.

    A leaf alone was sent without its intermediates. Otherwise the missing issuer's own name is the best hint, then the
    place of the top in an edge's hierarchy: device CA and workload CA are seldom signed by a root itself.
    """
    name = " ".join(common_names_of(top.issuer)).lower()
    if len(context.path) == 1 and context.purpose != "ca":
        return "intermediate-missing"
    if "root" in name:
        return "root-not-trusted"
    room = path_length(top)
    if "intermediate" in name or (room is not None and room <= 1):
        return "intermediate-missing"
    return "root-not-trusted"


def common_names_of(name: x509.Name) -> list[str]:
    """The common names of a name, as text."""
    return [str(one.value) for one in name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]


def _namesakes(context: Context) -> list[x509.Certificate]:
    """Anchors with the name of the issuer that is looked for, none of which issued the top."""
    wanted = loose_name(context.path[-1].issuer)
    return [one for one in context.anchors if loose_name(one.subject) == wanted]


def _key_ids_say_same(top: x509.Certificate, namesakes: list[x509.Certificate]) -> bool:
    """The right root by name and key identifier, so that only the signature is wrong: `signature-invalid` says that."""
    return any(Link(top, one).key_ids_match and not names_itself(top) for one in namesakes)


def _self_signed_server(context: Context) -> Finding:
    """The server vouches for itself, and nobody else does."""
    return _SELF_SIGNED_SERVER.finding(
        "error",
        context.leaf,
        got="a certificate signed by its own key",
        expected="one signed by a CA under a trusted root",
        who="operator" if context.purpose == "server" else "leaf",
        fix="Let the hub get its certificate from the manager (leafward manager rotate), and present its whole chain.",
    )


def _root_not_trusted(context: Context) -> Finding:
    top = context.path[-1]
    presented = signs_itself(top)
    return _ROOT_NOT_TRUSTED.finding(
        "error",
        top,
        got=top.issuer.rfc4514_string(),
        expected=_anchor_names(context),
        who="leaf",
        fix=_TRUST,
        alternatives=() if presented else ("intermediate-missing",),
        **({} if presented else {"look": "the issuer's own certificate: self-signed means the root is not trusted"}),
    )


def _intermediate_missing(context: Context) -> Finding:
    top = context.path[-1]
    return _INTERMEDIATE_MISSING.finding(
        "error",
        top,
        got=f"nothing after {top.subject.rfc4514_string() or 'the leaf'}",
        expected=f"the certificate of its issuer, {top.issuer.rfc4514_string()}",
        who="operator" if context.purpose == "server" else "leaf",
        fix="Add the issuer's certificate to the chain file that is presented, after the one it signed (leaf first).",
        alternatives=("root-not-trusted",),
        look="the issuer's own certificate: self-signed means the root is not trusted",
    )


def _root_same_name_different_key(context: Context) -> Finding:
    top, anchor = context.path[-1], _namesakes(context)[0]
    return _ROOT_SAME_NAME.finding(
        "error",
        top,
        got=f"a trusted root of that name whose key did not make the signature, sha256 {fingerprint(anchor)}",
        expected=f"the root {top.issuer.rfc4514_string()} that signed this chain",
        who="leaf",
        fix=f"Two roots share one name: an old one, or another maker's. {_TRUST}",
    )


def _anchor_not_self_signed(context: Context) -> Finding:
    top = context.path[-1]
    return _ANCHOR_NOT_SELF_SIGNED.finding(
        "error",
        top,
        got=f"{top.subject.rfc4514_string()}, issued by {top.issuer.rfc4514_string()}",
        expected="a self-signed root: an intermediate among the trusted certificates ends no path",
        who="leaf",
        fix=_TRUST,
    )


def _root_file_is_not_root(context: Context) -> Finding:
    return _ROOT_FILE.finding(
        "error",
        context.anchors[0],
        got=_anchor_names(context),
        expected="at least one self-signed root among the trusted certificates",
        who="leaf",
        fix=_TRUST,
    )


def _anchor_names(context: Context) -> list[str]:
    """The first few: a system's store has more than a hundred."""
    return [one.subject.rfc4514_string() for one in context.anchors[:5]]


def _rule(code: str, title: str, explain: Callable[[Context], Finding]) -> Rule:
    def check(context: Context) -> Iterator[Finding]:
        if _classify(context) == code:
            yield explain(context)

    return Rule(code=code, title=title, clause="RFC 5280 6.1.1 (d)", step=Step.PATH, check=check, at_issue=False)


_SELF_SIGNED_SERVER = _rule("self-signed-server", "the certificate is self-signed", _self_signed_server)
_ROOT_NOT_TRUSTED = _rule("root-not-trusted", "the chain's root is not trusted", _root_not_trusted)
_INTERMEDIATE_MISSING = _rule("intermediate-missing", "the chain lacks a certificate", _intermediate_missing)
_ROOT_SAME_NAME = _rule(
    "root-same-name-different-key",
    "the trusted root has the right name and the wrong key",
    _root_same_name_different_key,
)
_ANCHOR_NOT_SELF_SIGNED = _rule(
    "anchor-not-self-signed", "the path ends at a trusted certificate that is no root", _anchor_not_self_signed
)
_ROOT_FILE = _rule("root-file-is-not-root", "no trusted certificate is a root", _root_file_is_not_root)

RULES = (
    _SELF_SIGNED_SERVER,
    _ROOT_NOT_TRUSTED,
    _INTERMEDIATE_MISSING,
    _ROOT_SAME_NAME,
    _ANCHOR_NOT_SELF_SIGNED,
    _ROOT_FILE,
)
