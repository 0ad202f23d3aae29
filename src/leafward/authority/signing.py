"""Signing a request of somebody else's: how the holder is called, and where the answer goes."""

from dataclasses import replace
from pathlib import Path

from leafward.authority.authorities import CERTIFICATE
from leafward.errors import AlreadyExists, RequestError
from leafward.pki.names import parse_common_name
from leafward.pki.request import CertificateRequest


def named(request: CertificateRequest, name: str | None) -> CertificateRequest:
    """The request under the name that we give it, or its own. Raises `RequestError`, `NameFormatError`."""
    wanted = name if name is not None else request.common_name
    if wanted is None:
        raise RequestError("the request names nobody", why="it has no common name", hint="give --name NAME")
    return replace(request, common_name=parse_common_name(wanted))


def free_file(out: Path) -> Path:
    """The file that a chain is written to: `certificate.pem` in an `out` that is a folder or has no ending.

    Raises `AlreadyExists`: a certificate is never written over.
    """
    path = out / CERTIFICATE if out.is_dir() or not out.suffix else out
    if path.exists():
        raise AlreadyExists(f"{path} exists", hint="choose another file with --out")
    return path
