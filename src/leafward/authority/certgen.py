"""The convenience scripts' commands: the same files, without their faults.

    command -> dialect and paper -> key -> certificate, judged by the rules -> files, the certificate last

A folder made here can be gone on with by the script, and the other way round. Nothing of it is in the inventory: it is
for trying things out. `leafward ca adopt` takes such a folder over.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward import disk
from leafward.authority.certgen_commands import Command, Paper
from leafward.authority.certgen_dialect import KNOWN_PASSWORD, Dialect
from leafward.authority.certgen_folder import PUBLIC_FOLDER, Files, Folder
from leafward.authority.certgen_issue import Signer, check_root, issue
from leafward.authority.certgen_keys import KeyMaker, open_own_key
from leafward.authority.certgen_passwords import Passwords, Which
from leafward.errors import AlreadyExists, EncodingError, NotFound
from leafward.keys.encrypted_pkcs8 import encrypted_pem
from leafward.keys.serial import new_serial
from leafward.pki.admission import check_key_belongs
from leafward.pki.chain import Chain
from leafward.pki.encoding import (
    certificate_to_pem,
    dump_pkcs12,
    load_certificate,
    load_certificates,
    load_private_key,
    private_key_to_pem,
    request_to_pem,
)
from leafward.pki.key_types import PrivateKey, key_type_of

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """One certificate and its files, or files alone."""

    name: str
    files: tuple[Path, ...]
    chain: Chain | None = None


@dataclass(frozen=True)
class Certgen:
    """The commands in one folder. `now` is aware UTC; `lifetime` is of everything new, capped by the CAs above.

    `key_type` overrides the dialect's. `signer` is another CA than the dialect's: a prefix in the folder, or files.
    """

    folder: Folder
    now: datetime
    lifetime: timedelta
    keys: KeyMaker
    passwords: Passwords = field(default_factory=Passwords)
    key_type: str | None = None
    force: bool = False
    warn: Warn = lambda _: None

    @property
    def dialect(self) -> Dialect:
        """The folder's."""
        return self.folder.dialect

    def hierarchy(self, algorithm: str | None = None) -> list[Made]:
        """A new root and its intermediates. One that a killed run left half-made is finished.

        Raises `AlreadyExists` where a whole one is there, unless `force`: then it and all that it issued goes.
        """
        self._make_room()
        self.folder.prepare()
        word = algorithm or next(iter(self.dialect.keys))
        self.folder.remember_algorithm(word)
        root = self._root(word)
        return [root, *self._intermediates(word, self.passwords)]

    def install(self, certificate: bytes, key: bytes, password: str | None, algorithm: str | None = None) -> list[Made]:
        """Takes somebody's root, and makes the intermediates under it. `key` is PEM, `password` opens it.

        Raises `RuleViolation` for a key that is not the certificate's, and as `hierarchy`.
        """
        root = load_certificate(certificate)
        opened = load_private_key(key, (password or self.passwords.of("root")).encode())
        check_key_belongs(root, opened.public_key())
        check_root(root, self.now)
        files = next(self.folder.authorities())
        self._make_room()
        if files.certificate.exists() and self._existing(files.certificate) != root:
            what = f"{self.folder.path} has another root already"
            raise AlreadyExists(what, why=f"{files.certificate} exists", hint="give --force to remove it")
        self.folder.prepare()
        word = algorithm or next(iter(self.dialect.keys))
        self.folder.remember_algorithm(word)
        disk.write_file(files.key, key, mode=disk.PRIVATE)
        self._write_der(files, root)
        disk.write_file(files.certificate, certificate_to_pem(root), mode=disk.PUBLIC)
        made = Made(self.dialect.root[1], files.every, Chain.of(root))
        return [made, *self._intermediates(word, replace(self.passwords, given=password))]

    def paper(self, paper: Paper, argument: str, signer: Signer | None = None) -> Made:
        """Issues one certificate, by the dialect's CA for it unless `signer` is another."""
        prefix, name = paper.prefix.format(argument), paper.common_name.format(argument)
        files = self.folder.files(prefix, verification=paper.kind == "verification")
        if not self.force:
            self.folder.refuse_existing(files, force=False)
        by = signer or self.signer(paper.signer)
        # A PFX without a password is refused before an RSA key is waited for.
        password = self.passwords.for_new("pfx", self.dialect.pfx_password) if files.pfx else None
        key = self.keys.make(self.key_type_for(paper.kind))
        chain = self._issue(paper.kind, name, key, by)
        self.folder.refuse_existing(files, force=self.force)
        self.folder.prepare()
        self._write(files, prefix, chain, key, key_password=None, pfx_password=password)
        return Made(name, files.every, chain)

    def signer(self, wanted: str, passwords: Passwords | None = None) -> Signer:
        """A CA of the folder: "root", "intermediate", a prefix, a common name. Raises `NotFound`, `EncodingError`."""
        files = self.folder.find_authority(wanted)
        certificate = load_certificates(disk.read_file(files.certificate))[0]
        which: Which = "root" if files.certificate == next(self.folder.authorities()).certificate else "intermediate"
        return Signer(self.folder.chain_of(certificate), self._open(files.key, which, passwords))

    def signer_in_files(self, certificate: Path, key: Path) -> Signer:
        """A CA from anywhere: its chain, leaf first, and its key."""
        chain = Chain.ordered(Chain.from_pem(disk.read_file(certificate)).certificates)
        whole = chain if chain.is_complete else Chain((*chain, *self.folder.chain_of(chain.top).issuers))
        return Signer(whole, self._open(key, "intermediate"))

    def edge_files(self, argument: str) -> Made:
        """Copies a gateway's files to the names that the tutorials use."""
        files = self.folder.files(f"{argument}.ca")
        chain = self.folder.chain_of(self._existing(files.certificate))
        certs, private = self.folder.path / "certs", self.folder.path / "private"
        disk.make_folder(certs, PUBLIC_FOLDER)
        disk.make_folder(private)
        copies = {
            private / "new-edge-device.key.pem": disk.read_file(files.key),
            certs / "azure-iot-test-only.root.ca.cert.pem": certificate_to_pem(chain.top),
            certs / "new-edge-device-full-chain.cert.pem": chain.to_pem(),
            certs / "new-edge-device.cert.pem": certificate_to_pem(chain.leaf),
        }
        for path in copies if not self.force else ():
            if path.exists() and not disk.holds(path, copies[path]):
                raise AlreadyExists(f"{path} exists", why="nothing was changed", hint="give --force to replace it")
        for path, data in copies.items():
            disk.write_file(path, data, mode=disk.PRIVATE if path.parent == private else disk.PUBLIC)
        return Made(f"{argument}.ca", tuple(copies), chain)

    def environment(self, argument: str, hub: str, *, with_intermediate: bool) -> Made:
        """A device's variables as a file for the shell: no command can set those of the shell that calls it."""
        files = self.folder.files(argument)
        chain = self.folder.chain_of(self._existing(files.certificate))
        root, *others = [load_certificates(disk.read_file(one.certificate))[0] for one in self.folder.authorities()]
        sent = [chain.leaf, *(others[:1] if with_intermediate else []), root]
        key = self._open(files.key, "intermediate")
        algorithm = key_type_of(key.public_key()).algorithm
        values = {
            "IOTHUB_CA_X509_PUBLIC": _with_crlf(b"".join(map(certificate_to_pem, sent))),
            "IOTHUB_CA_X509_PRIVATE_KEY": _with_crlf(disk.read_file(files.key)),
            "IOTHUB_CA_CONNECTION_STRING_TO_DEVICE": f"HostName={hub};DeviceId={argument};x509=true",
            "IOTHUB_CA_USE_ECC": "0" if algorithm == "rsa" else "1",
        }
        path = self.folder.path / f"{argument}-environment.sh"
        text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
        disk.write_file(path, text.encode(), mode=disk.PRIVATE)
        return Made(argument, (path,))

    def key_type_for(self, kind: str) -> str:
        """The kind of a new key."""
        keys = self.dialect.keys[self.folder.algorithm()]
        return self.key_type or (keys.ca if kind == "device-ca" else keys.other)

    def _make_room(self) -> None:
        files = list(self.folder.authorities())
        if all(one.certificate.exists() for one in files) and not self.force:
            what = f"{self.folder.path} has a hierarchy already"
            why = f"{files[0].certificate} exists, and nothing was changed"
            hint = "give --force to remove it with all that it issued, or --dir for another folder"
            raise AlreadyExists(what, why=why, hint=hint)
        if self.force:
            self.folder.clear()

    def _root(self, word: str) -> Made:
        prefix, name = self.dialect.root
        files = self.folder.files(prefix, authority=True)
        if files.certificate.exists():
            return Made(name, files.every, Chain.of(self._existing(files.certificate)))
        password = self._password_for_new("root")
        key = self.keys.make(self.key_type or self.dialect.keys[word].ca)
        chain = issue("root", name, key, None, now=self.now, lifetime=self.lifetime, serial=new_serial())
        self._write(files, prefix, chain, key, key_password=password)
        return Made(name, files.every, chain)

    def _intermediates(self, word: str, passwords: Passwords) -> list[Made]:
        made = []
        above = self.dialect.root[0]
        for prefix, name in self.dialect.intermediates:
            made.append(self._intermediate(prefix, name, self.signer(above, passwords), word))
            above = prefix
        return made

    def _intermediate(self, prefix: str, name: str, by: Signer, word: str) -> Made:
        files = self.folder.files(prefix, authority=True)
        password = self._password_for_new("intermediate")
        pfx_password = (self.passwords.for_new("pfx", password or "") if files.pfx else None) or None
        key = self.keys.make(self.key_type or self.dialect.keys[word].ca)
        chain = self._issue("intermediate", name, key, by)
        paths = files.every
        if self.folder.chain_file is not None:
            disk.write_file(self.folder.chain_file, chain.to_pem(), mode=disk.PUBLIC)
            paths = (*paths, self.folder.chain_file)
        self._write(files, prefix, chain, key, key_password=password, pfx_password=pfx_password)
        return Made(name, paths, chain)

    def _issue(self, kind: str, name: str, key: PrivateKey, by: Signer) -> Chain:
        return issue(
            kind,
            name,
            key,
            by,
            now=self.now,
            lifetime=self.lifetime,
            serial=new_serial(),
            server_and_client=self.dialect.server_and_client,
        )

    def _password_for_new(self, which: Which) -> str | None:
        return self.passwords.for_new(which) if self.dialect.encrypts_cas else None

    def _open(self, path: Path, which: Which, passwords: Passwords | None = None) -> PrivateKey:
        data = disk.read_file(path)
        if path.stat().st_mode & 0o077:
            self.warn(f"others on this machine may read the key {path}: chmod 600 {path}")
        given = passwords or self.passwords
        try:
            return open_own_key(data, given.of(which).encode() if b"ENCRYPTED" in data else None)
        except EncodingError as error:
            raise EncodingError(f"the key {path} does not open", why=str(error), hint=error.hint) from error

    def _existing(self, path: Path) -> x509.Certificate:
        try:
            return load_certificates(disk.read_file(path))[0]
        except NotFound as error:
            raise NotFound(f"there is no {path.name}", why=f"no {path}", hint="make it first") from error

    def _write(
        self,
        files: Files,
        prefix: str,
        chain: Chain,
        key: PrivateKey,
        *,
        key_password: str | None,
        pfx_password: str | None = None,
    ) -> None:
        """All files of one certificate, the certificate last."""
        pem = _key_pem(key, key_password)
        disk.write_file(files.key, pem, mode=disk.PRIVATE)
        if files.request:
            disk.write_file(files.request, _request(chain.leaf.subject, key), mode=disk.PUBLIC)
        if len(chain) > 1:
            self.folder.write_index(chain.leaf)
        if files.full_chain:
            disk.write_file(files.full_chain, chain.to_pem(), mode=disk.PUBLIC)
        if files.pfx:
            held = chain.certificates if self.dialect.pfx_has_chain else (chain.leaf,)
            data = dump_pkcs12(prefix, key, held, (pfx_password or "").encode() or None)
            disk.write_file(files.pfx, data, mode=disk.PRIVATE)
        if files.key_and_certificate:
            both = certificate_to_pem(chain.leaf) + pem
            disk.write_file(files.key_and_certificate, both, mode=disk.PRIVATE)
        self._write_der(files, chain.leaf)
        is_der = files.certificate.suffix == ".cer"
        data = chain.leaf.public_bytes(Encoding.DER) if is_der else certificate_to_pem(chain.leaf)
        disk.write_file(files.certificate, data, mode=disk.PUBLIC)

    def _write_der(self, files: Files, certificate: x509.Certificate) -> None:
        if files.der:
            disk.write_file(files.der, certificate.public_bytes(Encoding.DER), mode=disk.PUBLIC)


def _key_pem(key: PrivateKey, password: str | None) -> bytes:
    """Under a password that everybody knows, nothing is won by making it dear to try."""
    if password is None or password == "":
        return private_key_to_pem(key)
    if password == KNOWN_PASSWORD:
        return private_key_to_pem(key, password.encode())
    return encrypted_pem(key, password)


def _request(subject: x509.Name, key: PrivateKey) -> bytes:
    """The request as the script keeps it: a name and the key, and nothing asked for."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request_to_pem(builder.sign(key, key_type_of(key.public_key()).signature_hash))


def _with_crlf(pem: bytes) -> str:
    return pem.decode("ascii").replace("\r\n", "\n").replace("\n", "\r\n")


__all__ = ["Certgen", "Command", "Made"]
