"""From files in any mix and order to cases: which part each file plays, and which chain is judged under which roots.

    a chain        a file with an end-entity's certificate: what a server or a leaf device presents
    roots          self-signed certificates in other files, or all of what `--root` names
    CAs            other certificates: they help to build a path, and are not sent
    keys, lists    a key belongs to the first certificate of some file; revocation lists are for all

Where no file has an end-entity, the lowest CA is judged as a CA. The order of the files means nothing, the order inside
of a file does: it is what is sent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward.doctor.case import Case, FileEvidence, FileFault, Limits
from leafward.doctor.file_contents import FileContents
from leafward.doctor.parts import is_end_entity, issued_another, purpose_of, short_name
from leafward.pki.extension import unreadable
from leafward.pki.key_types import PublicKey
from leafward.pki.link import signs_itself
from leafward.pki.paths import Pool, likeliest_path, public_key_bytes
from leafward.pki.rule import Purpose

_WITH_SETTINGS = "a certificate with OpenSSL's trust settings"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a person asks beside naming targets. `purpose` None: worked out from the certificates."""

    now: datetime
    name: str | None = None
    purpose: Purpose | None = None
    limits: Limits = field(default_factory=Limits)
    clock_is_real: bool = True


@dataclass(frozen=True)
class Evidence:
    """Files as read, by what they were named as."""

    targets: tuple[FileContents, ...] = ()
    roots: tuple[FileContents, ...] = ()
    lists: tuple[FileContents, ...] = ()
    unreachable_crls: tuple[tuple[str, str], ...] = ()

    @property
    def all(self) -> tuple[FileContents, ...]:
        """Every file, each once."""
        return tuple(dict.fromkeys((*self.targets, *self.roots, *self.lists)))

    @property
    def crls(self) -> tuple[x509.CertificateRevocationList, ...]:
        """The revocation lists of all files."""
        return tuple(crl for file in self.all for crl in file.crls)


@dataclass(frozen=True)
class _Chain:
    """A file with the certificate in it that is judged."""

    file: FileContents
    leaf: x509.Certificate

    @property
    def leaf_is_first(self) -> bool:
        return self.file.certificates[0] == self.leaf

    @property
    def sent(self) -> tuple[x509.Certificate, ...]:
        """As the file has it; with the leaf first where it is not, so that the rest can be judged all the same."""
        if self.file.a_set:
            return likeliest_path(
                self.leaf, Pool(one for one in self.file.certificates if not unreadable(one)), Pool(())
            )
        if self.leaf_is_first:
            return self.file.certificates
        return (self.leaf, *(one for one in self.file.certificates if one != self.leaf))


def cases_of(target: str, evidence: Evidence, question: Question) -> list[Case]:
    """A case for each chain among the files, a server's before a client's; one without certificates where none is."""
    chains = _chains(evidence.targets)
    used = {id(chain.file) for chain in chains}
    others = [file for file in evidence.targets if id(file) not in used]
    base = Case(
        target=target,
        now=question.now,
        name=question.name,
        limits=question.limits,
        clock_is_real=question.clock_is_real,
        crls=evidence.crls,
        unreachable_crls=evidence.unreachable_crls,
        anchors=anchors_of(evidence, others),
        files=_described(evidence, chains),
    )
    if not chains:
        purpose = question.purpose or "server"
        return [replace(base, purpose=purpose)]
    purposes = _purposes(chains, question)
    cases = [_case(base, chain, evidence, purpose) for chain, purpose in zip(chains, purposes, strict=True)]
    return sorted(cases, key=lambda case: case.purpose != "server")


def _purposes(chains: Sequence[_Chain], question: Question) -> list[Purpose]:
    """What each chain is judged as. What was asked is about the chain that can be it, where there are several."""
    by_themselves = [purpose_of(chain.leaf) for chain in chains]
    asked = question.purpose or ("server" if question.name is not None else None)
    if asked is None or asked in by_themselves:
        return by_themselves
    return [asked] * len(chains)


def anchors_of(evidence: Evidence, others: Iterable[FileContents]) -> tuple[x509.Certificate, ...]:
    """What `--root` names; else the self-signed certificates in files that are no chain; none: not known."""
    if evidence.roots:
        return _unique(one for file in evidence.roots for one in file.certificates)
    found = (one for file in others for one in file.certificates)
    return _unique(one for one in found if not unreadable(one) and signs_itself(one))


def _case(base: Case, chain: _Chain, evidence: Evidence, purpose: Purpose) -> Case:
    material = (one for file in evidence.targets if file is not chain.file for one in file.certificates)
    return replace(
        base,
        presented=chain.sent,
        more=_unique(one for one in material if one not in chain.sent),
        purpose=purpose,
        key=_key_for(chain, evidence.targets),
    )


def _chains(files: Sequence[FileContents]) -> list[_Chain]:
    """One for each end-entity, in the file that has most beside it; else one for the lowest CA."""
    everything = _unique(one for file in files for one in file.certificates if not unreadable(one))
    lowest = [one for one in everything if not issued_another(one, everything)] or list(everything)
    damaged = [one for file in files for one in file.certificates[:1] if unreadable(one)]
    leaves = damaged + [one for one in lowest if is_end_entity(one)]
    found: dict[int, _Chain] = {}
    for leaf in leaves:
        holders = [file for file in files if leaf in file.certificates]
        best = max(holders, key=lambda file: (file.certificates[0] == leaf, len(file.certificates)))
        found.setdefault(id(best), _Chain(best, leaf))
    if found:
        return list(found.values())
    if any(file.locked and not file.certificates for file in files) and all(map(signs_itself, lowest)):
        return []  # what is to be judged is in the file that does not open, and the rest are its roots
    return _ca_chain(files, lowest)


def _ca_chain(files: Sequence[FileContents], lowest: Sequence[x509.Certificate]) -> list[_Chain]:
    cas = sorted(lowest, key=signs_itself)[:1]
    return [_Chain(max((f for f in files if ca in f.certificates), key=_size), ca) for ca in cas]


def _size(file: FileContents) -> int:
    return len(file.certificates)


def _key_for(chain: _Chain, files: Sequence[FileContents]) -> PublicKey | None:
    """The key kept for the chain's leaf: the fitting one; else one that fits the first certificate of no file."""
    keys = [key for file in files for key in file.keys]
    if fitting := next((key for key in keys if _belongs(key, chain.leaf)), None):
        return fitting
    firsts = [file.certificates[0] for file in files if file.certificates and file is not chain.file]
    return next((key for key in keys if not any(_belongs(key, one) for one in firsts)), None)


def _belongs(key: PublicKey, certificate: x509.Certificate) -> bool:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public_key_bytes(certificate)


def _unique(certificates: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    return tuple(dict.fromkeys(certificates))


def _described(evidence: Evidence, chains: Sequence[_Chain]) -> tuple[FileEvidence, ...]:
    """Each file with its part in words, its own faults, and those that its part brings."""
    by_file = {id(chain.file): chain for chain in chains}
    nothing_else = not any(file.certificates for file in evidence.targets)
    found = []
    for file in evidence.targets:
        chain = by_file.get(id(file))
        role = _role(file, chain, trusted=not evidence.roots)
        faults = [*file.faults, *_out_of_place(file, nothing_else=nothing_else), *_leaf_not_first(chain)]
        found.append(FileEvidence(file.path, role, tuple(faults)))
    found += [
        _expected(file, "trusted roots", bool(file.certificates), "a root certificate") for file in evidence.roots
    ]
    found += [_expected(file, "revocation list", bool(file.crls), "a revocation list") for file in evidence.lists]
    return tuple(found)


def _role(file: FileContents, chain: _Chain | None, *, trusted: bool) -> str:
    parts = []
    if chain is not None:
        purpose = purpose_of(chain.leaf)
        parts.append({"server": "server chain", "client": "client chain"}.get(purpose, "CA chain"))
    elif file.certificates:
        roots = trusted and all(not unreadable(one) and signs_itself(one) for one in file.certificates)
        others = "certificates" if is_end_entity(file.certificates[0]) else "CA certificates"
        parts.append("trusted roots" if roots else others)
    parts += ["private key"] if file.has_key else []
    parts += ["revocation list"] if file.crls else []
    return ", ".join([*parts, *file.others]) or "nothing of use"


def _out_of_place(file: FileContents, *, nothing_else: bool) -> list[FileFault]:
    """A file that holds another kind of object than any that is of use; or no certificate where no other has one."""
    if file.certificates or (not nothing_else and file.useful) or file.locked:
        return []
    held = [*file.others, *(["a private key"] if file.keys else []), *(["a revocation list"] if file.crls else [])]
    return [_wrong(file, held, "a certificate")] if held else []


def _expected(file: FileContents, role: str, there: bool, expected: str) -> FileEvidence:
    """A file that was named for a purpose, and whether it holds what it was named for."""
    held = [*file.others, *(["a private key"] if file.has_key else [])]
    held += ["a certificate"] if file.certificates else []
    held += ["a revocation list"] if file.crls else []
    faults = list(file.faults)
    if not file.certificates and any(one.code == "key-encrypted" and one.line is None for one in faults):
        # A PKCS#12 file that does not open: it may well hold what it was named for, and need hold no key.
        faults = [one for one in faults if one.code != "file-too-open"]
    elif not there and held:
        faults = [_wrong(file, held, expected), *(one for one in faults if one.code != "key-encrypted")]
    return FileEvidence(file.path, role, tuple(faults))


def _wrong(file: FileContents, held: Sequence[str], expected: str) -> FileFault:
    fix = f"Name the file that holds {expected}; openssl asn1parse -in FILE shows what a file holds."
    if _WITH_SETTINGS in held:
        fix = "Write the certificate without them: openssl x509 -in FILE -out PLAIN."
    return FileFault("wrong-object", file.path, " and ".join(dict.fromkeys(held)), expected, fix)


def _leaf_not_first(chain: _Chain | None) -> list[FileFault]:
    """A server sends its file as it stands, and takes the first certificate for its own."""
    if chain is None or chain.leaf_is_first or chain.file.a_set:
        return []
    is_end = is_end_entity(chain.leaf)
    fix = (
        "Write the file anew, its own certificate first, then the one that signed it, and so on: cat LEAF CA … > CHAIN"
    )
    return [
        FileFault(
            "chain-file-leaf-not-first",
            chain.file.path,
            f"first {short_name(chain.file.certificates[0])}",
            f"first {short_name(chain.leaf)}",
            fix,
            "error" if is_end else "warning",
        )
    ]
