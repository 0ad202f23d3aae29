"""Leafward's own tables as they are filled from an IoT Edge configuration, each value with where it came from."""

from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from leafward.errors import Fault, SettingsError
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import Secret
from leafward.keys.pkcs11_uri import Pkcs11Uri
from leafward.wire.iotedge_config.findings import Findings
from leafward.wire.iotedge_config.values import FilePair, KeyLocation, Located, Pkcs11

T = TypeVar("T")


class Tables:
    """`tables` is what `settings_from` reads; `findings` takes faults and notes at places of the IoT Edge file."""

    def __init__(self, source: Path, pkcs11: Pkcs11) -> None:
        self.source = source
        self.tables: dict[str, dict[str, Any]] = {}
        self.findings = Findings(str(source), lenient=False)
        self.pins: dict[str, Secret] = {}
        self._pkcs11 = pkcs11
        self._origins: dict[str, Located[Any]] = {}

    def put(self, key: str, found: Located[T] | None, value: object = None) -> None:
        """Sets `table.key` to what was found; `value` where that is written otherwise here."""
        if found is None:
            return
        table, _, name = key.partition(".")
        self.tables.setdefault(table, {})[name] = found.value if value is None else value
        self._origins[key] = found

    def put_path(self, key: str, found: Located[str] | None) -> None:
        """Sets a path; relative ones are so to the folder of the file."""
        if found is not None:
            self.put(key, found, str(self.source.parent / found.value))

    def put_key(self, key: str, found: Located[KeyLocation] | None) -> None:
        """Sets a key reference; its PIN, if it has one, goes to `pins`."""
        if found is None:
            return
        reference = self.reference(found)
        if reference is not None:
            self.put(key, found, str(reference))

    def put_pair(self, certificate: str, key: str, found: FilePair | None) -> None:
        """Sets a certificate and its key."""
        if found is not None:
            self.put_path(certificate, found.certificate)
            self.put_key(key, found.key)

    def reference(self, found: Located[KeyLocation], *, named: str | None = None) -> KeyReference | None:
        """The reference of a key; `named`: the object in a token that `found` only names the slot of."""
        location = found.value
        if location.scheme == "file":
            return KeyReference("file", str((self.source.parent / location.rest).absolute()))
        path, _, query = location.rest.partition("?")
        if named is not None:
            path = ";".join([part for part in path.split(";") if not part.startswith("object=")] + [f"object={named}"])
        reference = KeyReference("pkcs11", f"{path}?{self._with_library(query)}".removesuffix("?"))
        try:
            token = Pkcs11Uri.parse(reference).token_label
        except SettingsError as error:
            self.fault(found, str(error))
            return None
        if location.pin is not None:
            self.pins[token] = Secret(location.pin.reveal(), f"{self.source}, {found.key}")
        return reference

    def _with_library(self, query: str) -> str:
        library = self._pkcs11.library
        if library is None or "module-path=" in query:
            return query
        return "&".join(filter(None, [query, f"module-path={quote(str(self.source.parent / library.value))}"]))

    def origin(self, key: str) -> Located[Any] | None:
        """Where a setting came from; that of the table's first one for what was not set."""
        while key:
            if key in self._origins:
                return self._origins[key]
            key = key.rpartition(".")[0]
        return None

    def origin_of_table(self, table: str) -> Located[Any] | None:
        """Where the first of a table's settings came from."""
        return next((found for key, found in self._origins.items() if key.startswith(f"{table}.")), None)

    def fault(self, found: Located[Any], message: str) -> None:
        """A fault where `found` stands."""
        self.findings.fault(found.key, found.line, message)

    def note(self, found: Located[Any] | None, message: str) -> None:
        """A note where `found` stands; none where it does not."""
        if found is not None:
            self.findings.note(found.key, found.line, message)

    def faults_of(self, error: SettingsError) -> list[Fault]:
        """The faults of our own tables, told at their places in the IoT Edge file."""
        return [self._moved(fault) for fault in error.faults]

    def _moved(self, fault: Fault) -> Fault:
        origin = self.origin(fault.key) or self.origin_of_table(fault.key.partition(".")[0])
        key, line = (fault.key, None) if origin is None else (origin.key, origin.line)
        return Fault(str(self.source), line, key, fault.message, expected=fault.expected, got=fault.got)
