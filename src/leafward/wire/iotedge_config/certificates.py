"""Certificates and their keys wherever a configuration names them: in files, issued on demand, renewed by policy."""

from collections.abc import Mapping

from leafward.errors import SettingsError
from leafward.pki.renewal import RenewalPolicy
from leafward.wire.iotedge_config.table import Table
from leafward.wire.iotedge_config.values import AutoRenew, EstAuth, FilePair, Issuance, Located, Secret

METHODS = ("est", "local_ca", "self_signed")
MOST_DAYS = 36_500
_AUTH = (
    "username",
    "password",
    "identity_cert",
    "identity_pk",
    "bootstrap_identity_cert",
    "bootstrap_identity_pk",
)
# What goes with method = "est", beside what every method has.
EST_KEYS = ("url", *_AUTH)


def file_pair(table: Table, certificate: str, key: str, *, required: bool = False) -> FilePair | None:
    """A certificate and its key under two names of a table; one without the other is a fault."""
    wanted = required or table.has(certificate, key)
    chain = table.path(certificate, required=wanted)
    found = table.key_at(key, required=wanted)
    return FilePair(chain, found) if chain is not None and found is not None else None


def auto_renew(table: Table | None) -> AutoRenew | None:
    """`auto_renew`, `identity_auto_renew`."""
    if table is None:
        return None
    with table:
        return AutoRenew(table.boolean("rotate_key"), _policy(table, "threshold"), _policy(table, "retry"))


def issuance(table: Table) -> Issuance | None:
    """A certificate that is made on demand: `method` and what goes with it. `table` is not closed."""
    method = table.choice("method", METHODS, required=True)
    subject = _subject(table)
    days = table.number("expiry_days", least=1, most=MOST_DAYS)
    renew = auto_renew(table.table("auto_renew"))
    table.known(*EST_KEYS)
    if method is None:
        return None
    if method.value != "est":
        misplaced_est_keys(table, repr(method.value))
        return Issuance(method, None, None, subject, days, renew)
    return Issuance(method, est_url(table, "url"), est_auth(table), subject, days, renew)


def misplaced_est_keys(table: Table, got: str) -> None:
    """Refuses what only EST has."""
    table.misplaced(EST_KEYS, f"belongs to method = 'est', got {got}")


def est_auth(table: Table) -> EstAuth | None:
    """Who asks the EST server, from keys of `table`; None where none of them is there. `table` is not closed."""
    table.known(*_AUTH)
    username, password = _name_and_password(table)
    identity = file_pair(table, "identity_cert", "identity_pk")
    bootstrap = file_pair(table, "bootstrap_identity_cert", "bootstrap_identity_pk")
    if not table.has(*_AUTH):
        return None
    return EstAuth(username, password, identity, bootstrap)


def est_url(table: Table, name: str) -> Located[str] | None:
    """The address of an EST server."""
    return table.parsed(name, _est_url, show=False)


def _est_url(text: str) -> str:
    if not text.startswith(("https://", "http://")) or any(letter.isspace() for letter in text):
        raise ValueError("expected https://HOST/.well-known/est")
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError("expected no name or password in the address: they have keys of their own")
    return text


def _name_and_password(table: Table) -> tuple[Located[str] | None, Located[Secret] | None]:
    wanted = table.has("username", "password")
    return table.text("username", required=wanted), table.secret("password", required=wanted)


def _subject(table: Table) -> Mapping[str, Located[str]]:
    name = table.text("common_name")
    parts = table.texts("subject")
    if name is None:
        return parts
    if parts:
        table.fault("common_name", "stands beside subject, expected one of the two")
    return {"CN": name}


def _policy(table: Table, name: str) -> Located[str] | None:
    return table.parsed(name, _policy_text)


def _policy_text(text: str) -> str:
    try:
        RenewalPolicy.parse(text, text)
    except SettingsError as error:
        raise ValueError(error.why or str(error)) from error
    return text
