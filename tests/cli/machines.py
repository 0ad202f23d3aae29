"""The two machines of an offline root, as two homes, and a folder between them that plays the stick."""

from pathlib import Path
from typing import Any, Self

from tests.edge import leafward, leafward_json


class Machines:
    """The two homes and the stick."""

    def __init__(self, folder: Path) -> None:
        self.offline, self.online, self.stick = (folder / name for name in ("offline", "online", "stick"))
        self.folder = folder

    def off(self, *arguments: str) -> Any:
        return leafward_json("ca", *arguments, home=self.offline)

    def on(self, *arguments: str) -> Any:
        return leafward_json("ca", *arguments, home=self.online)

    def ask(self, *options: str, name: str = "Factory CA") -> str:
        """A request on the stick; its digest, as it goes on paper."""
        csr = self.folder / "asked.csr"
        csr.unlink(missing_ok=True)
        self.on("intermediate", name, "--csr-out", str(csr))
        asked = leafward_json("ca", "ceremony", "request", str(self.stick), str(csr), *options, home=self.online)
        return str(asked["digest"])

    def refuse(self, home: Path, *arguments: str, stdin: str = "") -> str:
        """A command that must be refused, and what it said."""
        done = leafward("ca", "ceremony", *arguments, home=home, input=stdin)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr

    def begin(self) -> Self:
        """The root made offline, known online."""
        self.folder.mkdir(exist_ok=True)
        self.off("ceremony", "root", "--cn", "Offline Root", "--by", "A. Person", "--stick", str(self.stick))
        self.on("import", str(self.stick / "root.pem"))
        return self

    def sign(self, digest: str) -> Any:
        """What is asked on the stick, signed offline."""
        people = ("--by", "A. Person", "--by", "B. Witness")
        return self.off("ceremony", "sign", str(self.stick), "--expect", digest, *people, "--yes")

    @property
    def log_key(self) -> str:
        """The public key of the offline machine's log."""
        return str(self.off("log", "key")["key"])
