"""Certificates of CAs from elsewhere, brought into the maker's hierarchy: `leafward ca import`.

What each one is, is worked out: the answer to a request that waits here, a newer or cross-signed certificate of a CA
that is known, or a CA whose key is elsewhere. All of it is checked before the first is kept. The files may hold several
chains, in any order; issuers that are known already need not be given again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from leafward.authority.authorities import Authorities, Authority, Request, short_name
from leafward.authority.elsewhere import check_answer, is_answer, prove_key, refuse_unfit
from leafward.errors import EncodingError, InputError, RuleViolation
from leafward.keys.key_store import KeyReference, open_key
from leafward.pki.chain import Chain, fingerprint, is_issued_by, is_self_signed
from leafward.pki.encoding import load_certificates, load_pkcs7
from leafward.pki.extension import says_ca, unreadable
from leafward.pki.names import common_name
from leafward.pki.paths import Pool, candidate_paths, public_key_bytes


@dataclass(frozen=True)
class Imported:
    """One CA and what the import made of it: "completed", "added", "renewed", "cross-signed" or "known"."""

    authority: Authority
    how: str


def import_files(
    authorities: Authorities,
    files: Sequence[bytes],
    *,
    now: datetime,
    key: KeyReference | None = None,
    name: str | None = None,
) -> list[Imported]:
    """Imports every CA certificate of the files, roots first. `key` is the reference of one of their keys, `name` the
    short name for the lowest CA. `now` is aware UTC. Importing the same again changes nothing.

    Raises `EncodingError` for what holds no certificates, `InputError` for one that is no CA, `RuleViolation` for what
    the rules refuse, an issuer that is missing ("intermediate-missing") or a key that is none of theirs.
    """
    given = _certificates(files)
    chains = sorted(_chains(given, authorities), key=len)
    owner = _owner(chains, key) if key is not None else None
    plan = [(chain, _judged(chain, authorities, now)) for chain in chains]
    lowest = chains[-1]
    return [
        _take(
            authorities,
            chain,
            request,
            key=key if chain is owner else None,
            name=name if chain is lowest else None,
        )
        for chain, request in plan
    ]


def _certificates(files: Iterable[bytes]) -> list[x509.Certificate]:
    found = list(dict.fromkeys(one for data in files for one in _load(data)))
    for certificate in found:
        if why := unreadable(certificate):
            raise EncodingError("a certificate cannot be read", why=why, hint="get it again from its issuer")
        if not says_ca(certificate):
            what = f"'{certificate.subject.rfc4514_string()}' is no CA"
            hint = "import the certificates of CAs alone; what they sign needs no import"
            raise InputError(what, why="its basicConstraints do not say CA:TRUE", hint=hint)
    return found


def _load(data: bytes) -> list[x509.Certificate]:
    try:
        return load_certificates(data)
    except EncodingError as error:
        try:
            return load_pkcs7(data)
        except EncodingError:
            raise error from None


def _chains(given: Sequence[x509.Certificate], authorities: Authorities) -> Iterator[Chain]:
    """The chain of each certificate up to a root, out of all that is given or known."""
    known = [one for authority in authorities for one in authority.chain]
    everything = [*given, *known]
    roots = Pool(one for one in everything if is_self_signed(one))
    for certificate in given:
        path = next(candidate_paths(certificate, Pool(everything), roots), None)
        if path is None:
            raise RuleViolation(
                "intermediate-missing",
                f"the issuers of '{certificate.subject.rfc4514_string()}' are not complete",
                why=f"'{_missing(certificate, everything)}' is neither in the files nor known here",
                hint="give the files of all issuers up to the root in the same command",
            )
        yield Chain(path)


def _missing(certificate: x509.Certificate, everything: Sequence[x509.Certificate]) -> str:
    """The name of the first issuer that is not at hand."""
    seen = [certificate]
    while issuer := next((one for one in everything if one not in seen and is_issued_by(seen[-1], one)), None):
        seen.append(issuer)
    return seen[-1].issuer.rfc4514_string()


def _owner(chains: Sequence[Chain], key: KeyReference) -> Chain:
    public_key = open_key(key).public_key()
    for chain in chains:
        if chain.leaf.public_key() == public_key:
            return chain
    names = ", ".join(f"'{chain.leaf.subject.rfc4514_string()}'" for chain in chains)
    what = f"the key {key.label} is of none of these certificates"
    raise RuleViolation("key-mismatch", what, why=f"got {names}", hint="give the key that was made for one of them")


def _judged(chain: Chain, authorities: Authorities, now: datetime) -> Request | None:
    """The request that this chain answers, if one waits for it; refuses what is not fit to be kept."""
    request = next((one for one in authorities.requests() if is_answer(one, chain.leaf)), None)
    if request is not None:
        check_answer(request, chain, now=now)
    else:
        refuse_unfit(chain, now=now, depth_below=0)
    return request


def _take(
    authorities: Authorities, chain: Chain, request: Request | None, *, key: KeyReference | None, name: str | None
) -> Imported:
    if request is not None:
        if request.key is not None:
            prove_key(chain, request.key)
        return Imported(authorities.complete(request, chain), "completed")
    held = next((one for one in authorities if _is_same_ca(one.chain.leaf, chain.leaf)), None)
    if held is None:
        wanted = name or short_name(common_name(chain.leaf.subject) or chain.leaf.subject.rfc4514_string())
        return Imported(authorities.add_known(authorities.free_name(wanted), chain, key), "added")
    if key is not None and held.key is None:
        held = authorities.attach_key(held, key)
    return _add_to(authorities, held, chain)


def _add_to(authorities: Authorities, held: Authority, chain: Chain) -> Imported:
    """Another certificate of a CA that is known: the same one, a newer one by the same issuer, or another issuer's."""
    if fingerprint(chain.leaf) in {fingerprint(one.leaf) for one in (held.chain, *held.further)}:
        return Imported(held, "known")
    if _same_issuer(held.chain, chain) and chain.leaf.not_valid_after_utc > held.chain.leaf.not_valid_after_utc:
        return Imported(authorities.renew(held, chain), "renewed")
    authorities.add_further(held, chain)
    return Imported(authorities.get(held.name), "cross-signed")


def _is_same_ca(one: x509.Certificate, other: x509.Certificate) -> bool:
    """The same name for the same key (RFC 5280 6.1): another certificate for the same CA."""
    return one.subject == other.subject and public_key_bytes(one) == public_key_bytes(other)


def _same_issuer(one: Chain, other: Chain) -> bool:
    """Whether the same CA signed both; self-signed ones by their own key."""
    above, other_above = (chain.certificates[min(1, len(chain) - 1)] for chain in (one, other))
    return _is_same_ca(above, other_above)
