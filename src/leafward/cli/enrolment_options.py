"""What the commands for enrolments and their CAs share: options, the open database, and how they are shown."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from leafward.cli import voice
from leafward.errors import EncodingError, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.enrolments import CaBook, Enrolment, EnrolmentBook, RegisteredCa, RegistrationBook

ALLOCATIONS = {"hashed": "hashed", "static": "static", "latency": "geoLatency"}
REPROVISIONS = ("never", "migrate", "reset")
Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)

enrolment_argument = click.argument("enrolment_id", metavar="ID")
group_option = click.option("--group", is_flag=True, help="ID is a group's.")
etag_option = click.option("--etag", metavar="ETAG", help="Only if this is still its version.")


def policy_options(command: Command) -> Command:
    """What a device is given: the same options for `add` and `update`."""
    for option in (
        click.option("--reprovision", type=click.Choice(REPROVISIONS), help="When a device registers again."),
        click.option("--allocation", type=click.Choice(tuple(ALLOCATIONS)), help="How a device gets its hub."),
        click.option("--hub", "hubs", multiple=True, metavar="NAME", help="A hub that devices may get; repeatable."),
        click.option("--twin", metavar="JSON|@FILE", help='Initial twin: {"tags": …, "properties": {"desired": …}}.'),
        click.option(
            "--device-id", metavar="D", help="Of an individual enrolment, where it is not the registration id."
        ),
        click.option("--edge/--no-edge", default=None, help="The device is itself a gateway."),
    ):
        command = option(command)
    return command


def policy_values(asked: dict[str, Any]) -> dict[str, Any]:
    """The fields of an enrolment that these options name; what was not asked for is left out."""
    from leafward.provisioning.enrolment_json import read_twin

    found = {name: asked[name] for name in ("reprovision", "device_id", "edge") if asked[name] is not None}
    if asked["hubs"]:
        found["hubs"] = asked["hubs"]
    if asked["allocation"] is not None:
        found["allocation"] = ALLOCATIONS[asked["allocation"]]
    if asked["twin"] is not None:
        found["initial_twin"] = read_twin(_json(asked["twin"]))
    return found


@dataclass(frozen=True)
class OpenBooks:
    """The provisioning database, open."""

    enrolments: "EnrolmentBook"
    cas: "CaBook"
    registrations: "RegistrationBook"


@contextlib.contextmanager
def opened(home: Home) -> Iterator[OpenBooks]:
    """The database that the settings name, whether the service runs or not."""
    from leafward.provisioning.database import open_provisioning
    from leafward.provisioning.settings import read_settings
    from leafward.store.enrolments import CaBook, EnrolmentBook, RegistrationBook

    engine = open_provisioning(home, read_settings(home.settings))
    try:
        yield OpenBooks(EnrolmentBook(engine), CaBook(engine), RegistrationBook(engine))
    finally:
        engine.dispose()


def say_enrolment(enrolment: "Enrolment", as_json: bool, *, secrets: bool = False) -> None:
    """One enrolment; with `secrets` its symmetric keys too."""
    from leafward.provisioning.enrolment_json import attestation_body, enrolment_body

    facts = enrolment_body(enrolment)
    if secrets:
        facts["attestation"] = attestation_body(enrolment.attestation, group=enrolment.group, secrets=True)
    if as_json:
        voice.say_json(facts)
        return
    for name, value in facts.items():
        if name != "attestation":
            voice.say(f"{name:<20}  {value if isinstance(value, str) else json.dumps(value)}")
    _say_attestation(facts["attestation"])


def _say_attestation(attestation: dict[str, Any]) -> None:
    kind = attestation["type"]
    voice.say(f"{'attestation':<20}  {kind}")
    for name, value in attestation[kind].items():
        if isinstance(value, str):
            voice.say(f"{name:<20}  {value}")
            continue
        for which, one in value.items():
            shown = f"{one['info']['subjectName']}, sha256 {one['info']['sha256Thumbprint']}" if "info" in one else one
            voice.say(f"{f'{which} CA' if name != 'clientCertificates' else which:<20}  {shown}")


def ca_facts(ca: "RegisteredCa") -> dict[str, Any]:
    """A registered CA, without its code."""
    from leafward.pki.chain import fingerprint

    return {
        "name": ca.name,
        "subject": ca.certificate.subject.rfc4514_string(),
        "sha256": fingerprint(ca.certificate),
        "not_after": f"{ca.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "verified": ca.verified,
        "etag": ca.etag,
    }


def say_ca(ca: "RegisteredCa", as_json: bool) -> None:
    """One registered CA."""
    if as_json:
        voice.say_json(ca_facts(ca))
        return
    state = "verified" if ca.verified else "unverified: it admits nobody"
    voice.say(f"{ca.name:<20}  {state:<28}  {ca.certificate.subject.rfc4514_string()}")


def _json(text: str) -> Any:
    from leafward import disk
    from leafward.wire.json_value import read_json

    try:
        return read_json(disk.read_file(Path(text[1:])) if text.startswith("@") else text.encode(), "twin")
    except EncodingError as error:
        raise UsageError(error.what, why=error.why, hint="--twin takes JSON, or @ and a file with it") from error
