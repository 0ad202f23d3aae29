"""IoT Edge's own configuration as a target: `config.yaml` (1.0, 1.1) and `config.toml` (1.2 and later).

What it names is read and judged as IoT Edge would use it: the device CA ("Edge CA" since 1.2) with its key and its
chain, the trust bundle, the device's identity. Nothing is written, and no service of IoT Edge is asked.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from leafward.doctor import file_reader
from leafward.doctor.case import Case
from leafward.doctor.case_files import Evidence, Question, cases_of
from leafward.doctor.device_faults import ca_faults, name_faults
from leafward.doctor.file_contents import FileContents, contents
from leafward.doctor.locked import Password, no_password
from leafward.doctor.noted import Noted
from leafward.errors import Fault
from leafward.wire.iotedge_config.reader import read_iotedge_config
from leafward.wire.iotedge_config.values import FilePair, IotEdgeConfig, Located, Quickstart


def iotedge_case(path: Path, question: Question, password: Password = no_password) -> Case:
    """The case of a configuration. Never raises for what the file holds, or names."""
    file = file_reader.read(path)
    if file.data is None:
        return cases_of(str(path), Evidence(targets=(contents(file),)), question)[0]
    reading = read_iotedge_config(file.data, str(path))
    noted = tuple(map(_invalid, reading.faults))
    if reading.config is None:
        return Case(target=str(path), now=question.now, noted=noted, clock_is_real=question.clock_is_real)
    case = _case(path, reading.config, question, password)
    return replace(case, noted=(*noted, *case.noted, *_noted(reading.config)), target=str(path))


def _invalid(fault: Fault) -> Noted:
    """IoT Edge refuses a file for a value it cannot use, and passes over a key that it does not know."""
    unknown = fault.nearest is not None or fault.message.startswith("not known")
    return Noted(
        code="configuration-invalid",
        severity="warning" if unknown else "error",
        got=f"{fault.key}: {fault.message}" if fault.key else fault.message,
        expected=fault.expected or "a value that IoT Edge can use",
        who="operator",
        fix=f"Correct line {fault.line} of {fault.file}." if fault.line else f"Correct {fault.file}.",
        more={"file": fault.file, "line": fault.line},
    )


def _case(path: Path, config: IotEdgeConfig, question: Question, password: Password) -> Case:
    def read(place: str) -> FileContents:
        return contents(file_reader.read(path.parent / place), password)

    hostname = None if config.hostname is None else config.hostname.value
    asked = replace(question, name=question.name or hostname, purpose="ca")
    roots = (read(config.trust_bundle.value),) if config.trust_bundle is not None else ()
    if not isinstance(config.edge_ca, FilePair):
        case = cases_of(str(path), Evidence(roots=roots), asked)[0]
        return replace(case, noted=tuple(_quickstart(config.edge_ca)))
    device_ca = read(config.edge_ca.certificate.value)
    noted = tuple(ca_faults(device_ca, (), now=question.now, production=True, started=True))
    if not device_ca.certificates:
        case = cases_of(str(path), Evidence(roots=roots), asked)[0]
        return replace(case, noted=noted)
    key = config.edge_ca.key.value
    files = (device_ca, read(key.rest)) if key.scheme == "file" else (device_ca,)
    case = cases_of(str(path), Evidence(targets=files, roots=roots), asked)[0]
    return _with_identity(replace(case, noted=noted), config, read)


def _with_identity(case: Case, config: IotEdgeConfig, read: Callable[[str], FileContents]) -> Case:
    """The device's own certificate and key: whether they are there and belong together."""
    identity = None if config.provisioning is None else config.provisioning.identity
    if not isinstance(identity, FilePair):
        return case
    key = identity.key.value
    files = [read(identity.certificate.value), *([read(key.rest)] if key.scheme == "file" else [])]
    described = cases_of("", Evidence(targets=tuple(files)), Question(now=case.now, purpose="client"))[0]
    return replace(case, files=(*case.files, *described.files))


def _quickstart(edge_ca: object) -> Iterator[Noted]:
    if edge_ca is None or isinstance(edge_ca, Quickstart):
        yield Noted(
            code="development-certificate",
            severity="info",
            got="a device CA that IoT Edge makes and signs itself",
            expected="the maker's device CA",
            who="operator",
            fix="Name the device CA of the maker in [edge_ca] cert and pk (1.0 and 1.1: certificates.device_ca_cert "
            "and device_ca_pk), with the root in trust_bundle_cert.",
        )


def _noted(config: IotEdgeConfig) -> Iterator[Noted]:
    if config.hostname is None:
        return
    hostname: Located[str] = config.hostname
    if hostname.value != hostname.value.lower():
        yield Noted(
            code="hostname-case-mismatch",
            severity="warning",
            got=hostname.value,
            expected=hostname.value.lower(),
            who="operator",
            fix=f"Write the hostname in lower case (line {hostname.line}): some clients compare case.",
        )
    yield from name_faults(hostname.value, severity="info")
