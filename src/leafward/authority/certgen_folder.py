"""The folder of a convenience script: where each file lies, the CAs in it, and its index.

A set of files is there when its certificate is: that one is written last. What a killed run leaves is written anew by
the next run, and what is complete is never overwritten unless that was said.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.authority.certgen_dialect import ALGORITHM_FILE, CHAIN, Dialect
from leafward.errors import AlreadyExists, NotFound, UsageError
from leafward.pki.chain import Chain, is_issued_by
from leafward.pki.encoding import certificate_to_pem, load_certificates
from leafward.pki.names import common_name

PUBLIC_FOLDER = 0o755
_MOST_LEVELS = 16


@dataclass(frozen=True, slots=True)
class Files:
    """Where the files of one certificate lie; None for those that a dialect has not."""

    certificate: Path
    key: Path
    request: Path | None = None
    full_chain: Path | None = None
    pfx: Path | None = None
    key_and_certificate: Path | None = None
    der: Path | None = None

    @property
    def every(self) -> tuple[Path, ...]:
        """Those that the dialect has, the certificate last."""
        named = (self.key, self.request, self.full_chain, self.pfx, self.key_and_certificate, self.der)
        return (*(path for path in named if path is not None), self.certificate)


class Folder:
    """A folder in one dialect. Nothing is made before it is written to."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path = path
        self.dialect = dialect

    def files(self, prefix: str, *, authority: bool = False, verification: bool = False) -> Files:
        """The files of a prefix; `authority` for the root and the intermediates.

        Raises `UsageError` for a prefix that would leave the folder.
        """
        if prefix.startswith(".") or any(letter in prefix for letter in "/\\\0"):
            what = f"{prefix!r} cannot be part of a file name"
            raise UsageError(what, why="it has a slash, or begins with a dot", hint="choose another name")
        if self.dialect.flat:
            return self._flat_files(prefix, authority, verification)
        is_root = prefix == self.dialect.root[0]
        signs_chain = self.dialect.chain_file and authority
        certs, private = self.path / "certs", self.path / "private"
        return Files(
            certificate=certs / f"{prefix}.cert.pem",
            key=private / f"{prefix}.key.pem",
            request=None if is_root else self.path / "csr" / f"{prefix}.csr.pem",
            full_chain=None if is_root or signs_chain else certs / f"{prefix}-full-chain.cert.pem",
            pfx=None if is_root or signs_chain else certs / f"{prefix}.cert.pfx",
        )

    def _flat_files(self, prefix: str, authority: bool, verification: bool) -> Files:
        kept = self.path / "private" / f"{prefix}.key.pem"
        if authority:
            is_root = prefix == self.dialect.root[0]
            return Files(self.path / f"{prefix}.pem", kept, der=self.path / f"{prefix}.cer" if is_root else None)
        if verification:
            return Files(self.path / f"{prefix}.cer", kept)
        return Files(
            certificate=self.path / f"{prefix}-public.pem",
            key=self.path / f"{prefix}-private.pem",
            pfx=self.path / f"{prefix}.pfx",
            key_and_certificate=self.path / f"{prefix}-all.pem",
        )

    @property
    def chain_file(self) -> Path | None:
        """The intermediate with the root below it, where the dialect has such a file."""
        return self.path / "certs" / f"{CHAIN}.cert.pem" if self.dialect.chain_file else None

    def authorities(self) -> Iterator[Files]:
        """The files of the root and of the intermediates, from the root down."""
        for prefix, _ in (self.dialect.root, *self.dialect.intermediates):
            yield self.files(prefix, authority=True)

    def refuse_existing(self, files: Files, *, force: bool) -> None:
        """Raises `AlreadyExists` for a certificate that is there; with `force` it goes, and its set is incomplete."""
        if not files.certificate.exists():
            return
        if not force:
            hint = "give --force to replace it, or another name"
            raise AlreadyExists(f"{files.certificate} exists", why="nothing was changed", hint=hint)
        disk.remove_file(files.certificate)

    def prepare(self) -> None:
        """Makes the folders and the index, where they are missing."""
        for name in self.dialect.folders:
            mode = disk.PRIVATE_FOLDER if name == "private" else PUBLIC_FOLDER
            disk.make_folder(self.path / name, mode)
        if self.dialect.serial is not None:
            first = {"index.txt": "", "serial": f"{self.dialect.serial}\n", "index.txt.attr": "unique_subject = no\n"}
            for name, text in first.items():
                if not (self.path / name).exists():
                    disk.write_file(self.path / name, text.encode(), mode=disk.PUBLIC)

    def contents(self) -> list[Path]:
        """What `clear` would remove, as the script does before it makes a new root."""
        names = (*self.dialect.folders, "index.txt", "index.txt.attr", "serial", ALGORITHM_FILE)
        flat = [path for files in self.authorities() for path in files.every] if self.dialect.flat else []
        return [path for path in (*(self.path / name for name in names), *flat) if path.exists()]

    def clear(self) -> None:
        """Removes the hierarchy and all that it issued, the root's certificate first."""
        import shutil  # noqa: PLC0415 - only here, and it brings three compressors along

        disk.remove_file(next(self.authorities()).certificate)
        for path in self.contents():
            with disk.told(f"cannot remove {path}"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def write_index(self, certificate: x509.Certificate) -> None:
        """Adds a certificate to `newcerts` and to the index, as `openssl ca` keeps them."""
        if self.dialect.serial is None:
            return
        number = f"{certificate.serial_number:X}"
        number = number if len(number) % 2 == 0 else f"0{number}"
        path = self.path / "newcerts" / f"{number}.pem"
        disk.write_file(path, certificate_to_pem(certificate), mode=disk.PUBLIC)
        end = f"{certificate.not_valid_after_utc:%Y%m%d%H%M%SZ}"
        end = end if end >= "2050" else end[2:]
        line = f"V\t{end}\t\t{number}\tunknown\t/CN={common_name(certificate.subject)}\n"
        _append(self.path / "index.txt", line.encode())

    def chain_of(self, certificate: x509.Certificate) -> Chain:
        """A CA's chain, as far as the root and the intermediates of this folder lead."""
        known = [load_certificates(disk.read_file(one.certificate))[0] for one in self.authorities() if _there(one)]
        chain = [certificate]
        while len(chain) < _MOST_LEVELS:
            issuer = next((one for one in known if one not in chain and is_issued_by(chain[-1], one)), None)
            if issuer is None:
                break
            chain.append(issuer)
        return Chain(tuple(chain))

    def find_authority(self, wanted: str) -> Files:
        """The files of a CA by its prefix, "root" or "intermediate", or its common name. Raises `NotFound`."""
        named = {"root": self.dialect.root[0], "intermediate": self.dialect.intermediates[0][0]}
        named |= {name: prefix for prefix, name in (self.dialect.root, *self.dialect.intermediates)}
        prefix = named.get(wanted.removeprefix("CN="), named.get(wanted, wanted))
        of_hierarchy = prefix in {self.dialect.root[0], *(one for one, _ in self.dialect.intermediates)}
        files = self.files(prefix, authority=of_hierarchy)
        if files.certificate.exists():
            return files
        made = "New-CACertsCertChain rsa" if self.dialect.is_powershell else "create_root_and_intermediate"
        hint = f"leafward certgen {made}" if of_hierarchy else "give the beginning of its files' names"
        raise NotFound(f"there is no CA {wanted!r} in {self.path}", why=f"no {files.certificate}", hint=hint)

    def algorithm(self) -> str:
        """The script's word for the kind of keys: what the folder remembers, else the dialect's first."""
        path = self.path / ALGORITHM_FILE
        if self.dialect.remembers_algorithm and path.exists():
            word = disk.read_file(path).decode("utf-8-sig", "replace").strip()
            return word if word in self.dialect.keys else next(iter(self.dialect.keys))
        return next(iter(self.dialect.keys))

    def remember_algorithm(self, word: str) -> None:
        """Keeps the word for the commands that follow."""
        if self.dialect.remembers_algorithm:
            disk.write_file(self.path / ALGORITHM_FILE, f"{word}\n".encode(), mode=disk.PUBLIC)


def _there(files: Files) -> bool:
    return files.certificate.exists()


def _append(path: Path, data: bytes) -> None:
    """One write at the end: of several commands in one folder, none loses a line."""
    with disk.told(f"cannot write {path}"):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, disk.PUBLIC)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
