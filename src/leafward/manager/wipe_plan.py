"""The plan of a wipe: written down before the first thing is destroyed, and carried out to its end whatever happens.

It holds everything that the receipt is to say of what will be gone by then. No secret is in it.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from leafward import disk
from leafward.errors import Damaged, NotFound
from leafward.pki.receipt import DestroyedKey, RetiredCertificate

# A list of a hundred thousand leaf devices' certificates has some 20 MB.
_MOST = 256 * 1024 * 1024


class Plan(BaseModel):
    """What a wipe does. `keep` are paths relative to the home, everything else in it goes.

    `owner_epoch`: whose time ends. `signed`: the device CA is to sign a list and a receipt, which `copy_to` gets too.
    `settings` and `root`: what the settings file and the kept root hold afterwards (PEM); None: no such file. `retire`:
    what goes on the list. `begun` is aware UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    version: Literal[1] = 1
    owner_epoch: Annotated[int, Field(ge=1)]
    begun: AwareDatetime
    signed: bool
    copy_to: str | None = None
    challenge: str | None = None
    keep: tuple[str, ...]
    settings: str | None = None
    root: str | None = None
    keys: tuple[DestroyedKey, ...] = ()
    counts: dict[str, int | None]
    retire: tuple[RetiredCertificate, ...] = ()


def read_plan(path: Path) -> Plan | None:
    """The plan of a wipe that is not finished; None where there is none. Raises `Damaged`."""
    try:
        return Plan.model_validate_json(disk.read_file(path, limit=_MOST))
    except NotFound:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Damaged(
            f"{path} cannot be read, so the wipe that it is of cannot be finished",
            why=f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}",
            hint=f"remove {path} and begin the wipe anew: leafward manager wipe",
        ) from error


def write_plan(path: Path, plan: Plan) -> None:
    """Keeps the plan, durably. Raises `StoreError`."""
    for leftover in disk.leftovers(path):  # of a command that was killed over and over just here
        disk.remove_file(leftover)
    disk.write_file(path, plan.model_dump_json().encode(), mode=disk.PRIVATE)
