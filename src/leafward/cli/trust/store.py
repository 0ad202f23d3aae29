"""The one interface of every trust store: is a root in it, what puts it in, what takes it out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from leafward.cli.trust.anchor import Anchor
from leafward.cli.trust.steps import Ask, Step

Kind = Literal["system", "nss", "java"]


@dataclass(frozen=True)
class Found:
    """`trusted`: whoever reads the store trusts the root. `ours`: it is there under the label that we give it."""

    trusted: bool
    ours: bool


class TrustStore(ABC):
    """A store that is on this machine. `name` and `where` are for people; `program` must be there to change it."""

    kind: ClassVar[Kind]
    program: ClassVar[str]
    package: ClassVar[str | None] = None  # what has the program, in the words of Debian

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is, as "Debian's certificates"."""

    @property
    @abstractmethod
    def where(self) -> str:
        """Its folder or file."""

    @abstractmethod
    def find(self, anchor: Anchor, ask: Ask) -> Found:
        """Whether the root is in it. Changes nothing; asks the store's own tool where it has to."""

    @abstractmethod
    def install(self, anchor: Anchor) -> list[Step]:
        """What makes the root trusted; to repeat it changes nothing."""

    @abstractmethod
    def uninstall(self, anchor: Anchor) -> list[Step]:
        """What takes out this root, as we put it in, and nothing else."""
