"""`[est]` in leafward.toml: which labels the EST server has, and what each of them issues.

    [est]
    default_label = "leaf_device"      # for paths without a label
    issuer = "factory-ca"              # which authority signs; the last of the only hierarchy where it is left out
    retry_after = 60                   # seconds, told to a device while the authority cannot sign

    [est.labels.pumps]
    profile = "leaf_device"            # leaf_device, device_identity or device_ca
    issuer = "pumps-ca"
    days = 90
    server_keys = false                # whether keys may be made here (serverkeygen)

Without labels of its own the server has one for each profile, called like it.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from leafward.pki.profiles import PROFILES
from leafward.store.device_settings import by
from leafward.store.settings_file import Table, checked, read_tables
from leafward.wire.est.targets import parse_label

# What a device may ask for. A hub's or module's certificate is the manager's to give, a CA above devices a person's.
ENROLLABLE = ("leaf_device", "device_identity", "device_ca")
DEFAULT_LABEL = "leaf_device"

LabelSetting = Annotated[str, by(parse_label)]
Days = Annotated[int, Field(ge=1, le=36500, strict=True)]


class LabelTable(Table):
    """`[est.labels.NAME]`. `days` None is the profile's lifetime; `server_keys` None: yes, but for CAs."""

    profile: str
    issuer: str | None = None
    days: Days | None = None
    server_keys: Annotated[bool | None, Field(strict=True)] = None

    @field_validator("profile")
    @classmethod
    def _enrollable(cls, kind: str) -> str:
        if kind not in ENROLLABLE:
            raise ValueError(f"got {kind!r}, expected one of {', '.join(ENROLLABLE)}")
        return kind

    @property
    def makes_keys(self) -> bool:
        """Whether serverkeygen is offered. The key of a CA should not travel."""
        return not PROFILES[self.profile].ca if self.server_keys is None else self.server_keys


def _one_a_profile() -> dict[str, LabelTable]:
    return {kind: LabelTable(profile=kind) for kind in ENROLLABLE}


class EstTable(Table):
    """`[est]`."""

    default_label: LabelSetting = DEFAULT_LABEL
    issuer: str | None = None
    retry_after: Annotated[int, Field(ge=1, le=86400, strict=True)] = 60
    labels: dict[LabelSetting, LabelTable] = Field(default_factory=_one_a_profile)

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_label not in self.labels:
            raise ValueError(f"default_label is {self.default_label!r}, expected one of {', '.join(self.labels)}")
        return self


class EstFile(Table):
    """What this part reads of the file."""

    est: EstTable = Field(default_factory=EstTable)


def read_est(path: Path) -> EstTable:
    """The settings of the EST server; the defaults where there is no file. Raises `SettingsError` for all faults."""
    return checked(EstFile, read_tables(path), path).est
