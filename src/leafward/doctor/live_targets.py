"""The targets that are no certificate files: servers, connection strings, homes, configurations of IoT Edge.

What is named together is one question. A connection string is judged against the registry of a home, and tried at the
servers; where no server is named, it says itself where the leaf connects, and that is looked at unless it is at fault.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from cryptography import x509

from leafward.doctor import file_reader
from leafward.doctor.case import Case, FileEvidence
from leafward.doctor.case_files import Evidence, Question, anchors_of, cases_of
from leafward.doctor.device_faults import served_faults
from leafward.doctor.device_home import DeviceHome, home_case
from leafward.doctor.device_iotedge import iotedge_case
from leafward.doctor.device_registry import registered_in
from leafward.doctor.live_case import server_case
from leafward.doctor.live_handshake import ClientCredential
from leafward.doctor.live_wire import give_up
from leafward.doctor.locked import Password
from leafward.doctor.noted import Noted
from leafward.doctor.probe import Target
from leafward.doctor.runner import Report, diagnose
from leafward.doctor.settings import PORT, Around, LeafSettings, read_settings, settings_faults
from leafward.doctor.target_kinds import Asked, Watch, is_home, is_settings, is_there, server_of, unwatched
from leafward.errors import UsageError
from leafward.store.home import Home

# Servers looked at side by side.
MOST_AT_ONCE = 64


def examine_others(
    targets: Sequence[str],
    evidence: Evidence,
    question: Question,
    asked: Asked,
    password: Password,
    *,
    watch: Watch = unwatched,
) -> list[Report]:
    """A report for each home, configuration and server; one for the leaf's settings where there is none of them.

    `watch` is told of each server that was looked at. Raises `UsageError` where the leaf's own certificate and key
    cannot be used.
    """
    return [diagnose(case) for case in _Others(targets, evidence, question, asked, password).cases(watch)]


class _Others:
    """The targets sorted, and what is known from all of them together."""

    def __init__(
        self, targets: Sequence[str], evidence: Evidence, question: Question, asked: Asked, password: Password
    ) -> None:
        self._evidence, self._question, self._asked, self._password = evidence, question, asked, password
        paths = [Path(target) for target in targets if is_there(target)]
        self._homes = [DeviceHome(Home(path), password) for path in paths if is_home(path)]
        self._configurations = [path for path in paths if path.is_file()]
        texts = [target for target in targets if not is_there(target) and is_settings(target)]
        texts += [asked.connection_string] if asked.connection_string is not None else []
        self._settings = read_settings(texts) if texts else None
        named = [target for target in targets if not is_there(target) and not is_settings(target)]
        self._servers = [server_of(target, question.name) for target in named]
        self._credential = self._own_credential()
        self._noted = self._settings_noted()

    def cases(self, watch: Watch) -> list[Case]:
        """One for each question."""
        servers = self._servers or self._server_of_the_settings()
        found = _side_by_side(self._server, servers, watch)
        found += [self._home(home, live=not servers) for home in self._homes]
        found += [iotedge_case(path, self._question, self._password) for path in self._configurations]
        if self._settings is not None and not found:
            found.append(replace(self._base(), target=_label(self._settings), noted=self._noted))
        elif found and not servers:
            found[0] = replace(found[0], noted=(*self._noted, *found[0].noted))
        return found

    def _base(self) -> Case:
        known = anchors_of(self._evidence, self._evidence.targets)
        of_homes = tuple(one for home in self._homes for one in home.anchors)
        return Case(
            target="",
            now=self._question.now,
            name=self._question.name,
            anchors=known or tuple(dict.fromkeys(of_homes)),
            limits=self._question.limits,
            clock_is_real=self._question.clock_is_real,
            crls=self._evidence.crls,
            unreachable_crls=self._evidence.unreachable_crls,
            files=_roots_of(self._evidence, self._question),
        )

    def _server(self, where: Target) -> Case:
        login = None
        if self._settings is not None and self._asked.login:
            login = self._settings.login(self._question.now, by_certificate=self._credential is not None)
            told = self._settings.connects_to
            where = where if told is None or self._question.name is not None else replace(where, name=told)
        base = replace(self._base(), noted=self._noted)
        case = server_case(where, base, timeout=self._asked.timeout, credential=self._credential, login=login)
        for home in self._homes:
            current = home.hub.certificate.certificates if home.hub is not None else ()
            case = replace(case, noted=(*case.noted, *served_faults(case.presented, current)))
        return case

    def _home(self, home: DeviceHome, *, live: bool) -> Case:
        return home_case(home, self._question, timeout=self._asked.timeout, live=live)

    def _server_of_the_settings(self) -> list[Target]:
        """Where the leaf itself would connect; nowhere where its settings are at fault, or a home is looked at."""
        told = None if self._settings is None else self._settings.connects_to
        if told is None or self._homes or any(one.severity == "error" for one in self._noted):
            return []
        return [Target(told, PORT, self._question.name or told)]

    def _settings_noted(self) -> tuple[Noted, ...]:
        if self._settings is None:
            return ()
        client, has_key = self._client()
        gateways = {where.name.lower() for where in self._servers} | {where.host.lower() for where in self._servers}
        gateways |= {home.hostname.lower() for home in self._homes if home.hostname is not None}
        registries = [home.home.registry for home in self._homes if home.home.registry.exists()]
        base = self._base()
        around = Around(
            now=self._question.now,
            gateways=frozenset(gateways),
            registered=registered_in(registries[0]) if registries else None,
            client=client,
            has_key=has_key,
            anchors=base.anchors,
            more=tuple(one for file in self._evidence.targets for one in file.certificates),
        )
        return settings_faults(self._settings, around)

    def _client(self) -> tuple[tuple[x509.Certificate, ...], bool]:
        """The leaf's own chain and whether its key is at hand: as options say, or among the files."""
        if self._credential is not None:
            return tuple(self._credential.certificates), True
        if not self._evidence.targets:
            return (), False
        cases = cases_of("", self._evidence, self._question)
        case = next((one for one in cases if one.purpose == "client"), None)
        return ((), False) if case is None else (case.presented, case.key is not None)

    def _own_credential(self) -> ClientCredential | None:
        if (self._asked.certificate is None) != (self._asked.key is None):
            raise UsageError("half a client certificate", why="--certificate and --key belong together")
        if self._asked.certificate is None or self._asked.key is None:
            return None
        return ClientCredential(_own_file(self._asked.certificate), _own_file(self._asked.key))


def _side_by_side(look: Callable[[Target], Case], servers: Sequence[Target], watch: Watch) -> list[Case]:
    """Each looked at in a thread of its own, no more than `MOST_AT_ONCE` at a time; in the order of the servers."""
    if len(servers) < 2:
        return [look(where) for where in servers]
    with ThreadPoolExecutor(min(MOST_AT_ONCE, len(servers))) as pool:
        looks = [pool.submit(look, where) for where in servers]
        try:
            for done, _ in enumerate(as_completed(looks), start=1):
                watch(done, len(looks))
        except BaseException:  # somebody pressed Ctrl-C
            give_up()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [one.result() for one in looks]


def _own_file(path: str) -> bytes:
    read = file_reader.read(Path(path))
    if read.data is None:
        raise UsageError(f"{path} cannot be read", why=read.why, hint="name a PEM file")
    return read.data


def _label(settings: LeafSettings) -> str:
    """A target's name without its secret."""
    told = settings.connection
    return "the leaf's settings" if told is None else f"the connection string of {told.device_id}"


def _roots_of(evidence: Evidence, question: Question) -> tuple[FileEvidence, ...]:
    """The files that were named with --root and --crl, with their faults."""
    if not evidence.roots and not evidence.lists:
        return ()
    return cases_of("", replace(evidence, targets=()), question)[0].files
