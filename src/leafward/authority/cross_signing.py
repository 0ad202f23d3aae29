"""Cross-signing: another CA vouches for one that has a certificate already, by the same name and key.

    OTHER ROOT -> NAME (cross-signed) -> what NAME signed        for those who trust the other root
    NAME's own root -> NAME           -> what NAME signed        as before

Nothing that NAME signed changes: its children name their issuer by name and key identifier, and both certificates have
these. The fence and the policies of NAME are repeated, so that the new way round leads past none of them.
"""

from datetime import datetime, timedelta

from leafward.authority.authorities import Authorities, Authority
from leafward.authority.issuance import Issuance
from leafward.errors import NotFound, RuleViolation
from leafward.keys.serial import new_serial
from leafward.pki.chain import Chain
from leafward.pki.extension import path_length as path_length_of
from leafward.pki.key_types import PublicKey
from leafward.pki.paths import Pool, candidate_paths, public_key_bytes
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.validity import FOREVER, NO_EXPIRY

KIND = "cross_certificate"


def cross_sign(
    issuance: Issuance,
    authority: Authority,
    by: Authority,
    *,
    now: datetime,
    lifetime: timedelta | None = None,
    path_length: int | None = None,
) -> Chain:
    """A certificate for `authority`'s name and key signed by `by`, recorded and kept among its further chains.

    It lives as long as the one it repeats, capped by `by`'s end, and has its path length unless another is given.
    Raises `RuleViolation` ("cross-signed-in-a-circle") where `by` hangs below the authority or is the same CA, and what
    the rules refuse; `KeyUnavailable` where `by`'s key is not here.
    """
    leaf = authority.chain.leaf
    _refuse_circle(authority, by)
    left = FOREVER if leaf.not_valid_after_utc == NO_EXPIRY else leaf.not_valid_after_utc - now
    prepared = by.issuer().prepare(
        profile("intermediate_ca"),
        CertificateRequest(public_key=public_key_of(authority), repeats=leaf),
        now=now,
        serial=new_serial(),
        lifetime=left if lifetime is None else min(lifetime, left),
        path_length=path_length_of(leaf) if path_length is None else path_length,
    )
    chain = prepared.sign()
    issuance.record(KIND, chain)
    issuance.authorities.add_further(authority, chain)
    return chain


def chain_through(authorities: Authorities, chain: Chain, root: Authority) -> Chain:
    """The chain of the same leaf that ends with `root`, through cross-signed CAs where needed.

    A server presents it where its clients trust either root: they stop at the one they know. Raises `NotFound`.
    """
    further = [one for authority in authorities for other in authority.further for one in other]
    known = [one for authority in authorities for one in authority.chain]
    path = next(candidate_paths(chain.leaf, Pool((*chain, *further, *known)), Pool([root.chain.leaf])), None)
    if path is None:
        name = chain.leaf.subject.rfc4514_string()
        hint = "leafward ca cross-sign its root --by the other"
        raise NotFound(f"no chain leads from '{name}' to {root.name!r}", why="nothing below it vouches", hint=hint)
    return Chain(path)


def public_key_of(authority: Authority) -> PublicKey:
    """The public key of a CA's certificate."""
    return authority.chain.leaf.public_key()  # type: ignore[return-value]  # the issuer checks its kind


def _refuse_circle(authority: Authority, by: Authority) -> None:
    own = public_key_bytes(authority.chain.leaf)
    if any(public_key_bytes(one) == own for one in by.chain):
        raise RuleViolation(
            "cross-signed-in-a-circle",
            f"{by.name!r} cannot cross-sign {authority.name!r}",
            why=f"it is {authority.name!r} itself, or hangs below it",
            hint="choose a root, or an intermediate of another hierarchy: leafward ca list",
        )
