"""`[maker]` in leafward.toml: what the authority of this home works with.

[maker]
database = "postgresql://station-7@inventory.factory.example/maker"   # default: the file maker/maker.db
crl_url = "http://pki.example.com/crl"      # where revocation lists are had; certificates issued from now on name it
ocsp_url = "http://pki.example.com/ocsp"    # who answers for one certificate
crl_days = 7                                # how long a list holds; it is signed anew by half of that
ocsp_hours = 24
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from leafward.authority.crl_shards import Publishing
from leafward.store.settings_file import Table, checked, read_tables

MAX_ADDRESS = 200
_ADDRESS = re.compile(rf"[!-~]{{1,{MAX_ADDRESS}}}")
_SCHEMES = ("postgresql://", "postgresql+psycopg://")


def _server_url(text: str) -> str:
    if not text.startswith(_SCHEMES):
        # The value itself may hold a password, so it is not repeated.
        raise ValueError(f"expected {_SCHEMES[0]}USER@HOST/NAME; leave it out for a database in a file")
    return text


def _plain_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        # A client that had to fetch a list to judge the certificate of the server that has the list goes in circles.
        raise ValueError(f"got {text!r}, expected http://HOST/PATH (what is fetched is signed; RFC 5280 section 8)")
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"got {text!r}, expected ASCII without blanks, at most {MAX_ADDRESS} characters")
    return text.rstrip("/")


class MakerTable(Table):
    """`[maker]`. `database` None is the file of the home; a password belongs into libpq's password file."""

    database: Annotated[str, AfterValidator(_server_url)] | None = Field(default=None, repr=False)
    crl_url: Annotated[str, AfterValidator(_plain_address)] | None = None
    ocsp_url: Annotated[str, AfterValidator(_plain_address)] | None = None
    crl_days: Annotated[int, Field(ge=1, le=365, strict=True)] = 7
    ocsp_hours: Annotated[int, Field(ge=1, le=24 * 31, strict=True)] = 24

    @property
    def publishing(self) -> Publishing:
        """Where revocations are told, and for how long what was said holds."""
        days, hours = timedelta(days=self.crl_days), timedelta(hours=self.ocsp_hours)
        return Publishing(self.crl_url, self.ocsp_url, days, hours)


class _File(Table):
    maker: MakerTable = Field(default_factory=MakerTable)


def read_maker(path: Path) -> MakerTable:
    """The authority's settings; the defaults where there is no file. Raises `SettingsError` for all faults at once."""
    return checked(_File, read_tables(path), path).maker
