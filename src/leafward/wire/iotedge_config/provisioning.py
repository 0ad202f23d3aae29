"""`provisioning`: how the device comes to its identity with IoT Hub, in the words of either file.

Parsed and reported: leafward registers nothing in a cloud. What it takes from here is the device's id.
"""

from leafward.errors import InputError
from leafward.wire.base64_text import decode_base64, encode_base64
from leafward.wire.connection_string import ConnectionString
from leafward.wire.iotedge_config.certificates import file_pair, issuance
from leafward.wire.iotedge_config.table import Table
from leafward.wire.iotedge_config.values import FilePair, Issuance, KeyLocation, Located, Provisioning, Secret

# Keys of each file, for its own sake or for another method: a fault says where they belong.
_MANUAL = ("iothub_hostname", "device_id", "authentication")
_REPROVISIONING = ("dynamic_reprovisioning", "always_reprovision_on_startup")
_NO_CLOUD = "leafward registers with no cloud: it is read, and nothing is done with it"


def yaml_provisioning(table: Table | None) -> Provisioning | None:
    """Of a config.yaml."""
    if table is None:
        return None
    with table:
        source = table.choice("source", ("manual", "dps", "external"), required=True)
        _reprovisioning(table)
        keys = ("device_connection_string", "authentication", "global_endpoint", "scope_id", "registration_id")
        table.known(*keys, "attestation", "endpoint")
        if source is None:
            return None
        if source.value == "manual":
            return _yaml_manual(table, source)
        if source.value == "dps":
            return _dps(table, source, "scope_id")
        return Provisioning(source=source, external_endpoint=table.text("endpoint", required=True))


def toml_provisioning(table: Table | None) -> Provisioning | None:
    """Of a config.toml."""
    if table is None:
        return None
    with table:
        source = table.choice("source", ("manual", "dps", "none"), required=True)
        _reprovisioning(table)
        table.known("connection_string", *_MANUAL, "global_endpoint", "id_scope", "attestation", "payload")
        if source is None:
            return None
        if source.value == "manual":
            return _toml_manual(table, source)
        if source.value == "dps":
            return _dps(table, source, "id_scope")
        return Provisioning(source=source)


def _reprovisioning(table: Table) -> None:
    for name in _REPROVISIONING:
        if table.boolean(name) is not None:
            table.note(name, _NO_CLOUD)


def _yaml_manual(table: Table, source: Located[str]) -> Provisioning:
    inner = table.table("authentication")
    if inner is None:
        return _connection_string(table, source, "device_connection_string")
    table.misplaced(("device_connection_string",), "stands beside authentication, expected one of the two")
    with inner:
        method = inner.choice("method", ("device_connection_string", "x509"), required=True)
        inner.known("device_connection_string", "iothub_hostname", "device_id", "identity_cert", "identity_pk")
        if method is None:
            return Provisioning(source=source)
        if method.value == "device_connection_string":
            return _connection_string(inner, source, "device_connection_string")
        return Provisioning(
            source=source,
            method=method,
            iothub_hostname=inner.text("iothub_hostname", required=True),
            device_id=inner.text("device_id", required=True),
            identity=file_pair(inner, "identity_cert", "identity_pk", required=True),
        )


def _toml_manual(table: Table, source: Located[str]) -> Provisioning:
    if table.has("connection_string"):
        table.misplaced(_MANUAL, "stands beside connection_string, expected one of the two")
        return _connection_string(table, source, "connection_string")
    hub = table.text("iothub_hostname", required=True)
    device_id = table.text("device_id", required=True)
    inner = table.table("authentication")
    if inner is None:
        table.fault("authentication", "missing, expected a connection_string, or a table authentication")
        return Provisioning(source=source, iothub_hostname=hub, device_id=device_id)
    with inner:
        method = inner.choice("method", ("sas", "x509"), required=True)
        inner.known("device_id_pk", "identity_cert", "identity_pk")
        is_sas, is_x509 = ((method is not None and method.value == one) for one in ("sas", "x509"))
        return Provisioning(
            source=source,
            method=method,
            iothub_hostname=hub,
            device_id=device_id,
            symmetric_key=_symmetric_key(inner, "device_id_pk") if is_sas else None,
            identity=_identity(inner) if is_x509 else None,
        )


def _connection_string(table: Table, source: Located[str], name: str) -> Provisioning:
    found = table.parsed(name, _device_string, required=True, show=False)
    if found is None:
        return Provisioning(source=source)
    said, place = found.value, (found.key, found.line)
    assert said.shared_access_key is not None
    return Provisioning(
        source=source,
        method=Located("connection_string", *place),
        iothub_hostname=Located(said.host_name, *place),
        device_id=Located(said.device_id, *place),
        symmetric_key=Located(Secret(encode_base64(said.shared_access_key)), *place),
    )


def _device_string(text: str) -> ConnectionString:
    # IoT Edge takes a key without its '=' at the end.
    parts = [_padded(part) if part.startswith("SharedAccessKey=") else part for part in text.split(";")]
    try:
        found = ConnectionString.parse(";".join(parts))
    except InputError as error:
        raise ValueError(str(error)) from None
    if found.shared_access_key is None or found.module_id is not None:
        raise ValueError("expected HostName=…;DeviceId=…;SharedAccessKey=…")
    return found


def _padded(part: str) -> str:
    _, _, key = part.partition("=")
    return part + "=" * (-len(key) % 4)


def _dps(table: Table, source: Located[str], scope: str) -> Provisioning:
    endpoint = table.text("global_endpoint", required=True)
    id_scope = table.text(scope, required=True)
    payload = _payload(table)
    inner = table.table("attestation")
    if inner is None:
        return _dps_without_attestation(table, source, endpoint, id_scope)
    if table.findings.lenient:
        table.misplaced(("registration_id",), "belongs into attestation")
    with inner:
        method = inner.choice("method", ("symmetric_key", "x509", "tpm"), required=True)
        inner.known("symmetric_key", "identity_cert", "identity_pk")
        kind = None if method is None else method.value
        return Provisioning(
            source=source,
            method=method,
            global_endpoint=endpoint,
            id_scope=id_scope,
            payload=payload,
            registration_id=inner.text("registration_id", required=kind in ("symmetric_key", "tpm")),
            symmetric_key=_symmetric_key(inner, "symmetric_key") if kind == "symmetric_key" else None,
            identity=_identity(inner) if kind == "x509" else None,
        )


def _dps_without_attestation(
    table: Table, source: Located[str], endpoint: Located[str] | None, id_scope: Located[str] | None
) -> Provisioning:
    """1.0 had a registration id alone, which meant a TPM."""
    registration = table.text("registration_id") if table.findings.lenient else None
    if registration is None:
        table.fault("attestation", "missing, expected a table with method and registration_id")
        return Provisioning(source=source, global_endpoint=endpoint, id_scope=id_scope)
    return Provisioning(
        source=source,
        method=Located("tpm", registration.key, registration.line),
        global_endpoint=endpoint,
        id_scope=id_scope,
        registration_id=registration,
    )


def _payload(table: Table) -> Located[str] | None:
    inner = table.table("payload") if not table.findings.lenient else None
    if inner is None:
        return None
    with inner:
        return inner.path("uri", required=True)


def _identity(table: Table) -> FilePair | Issuance | None:
    """A device's identity certificate: a file with its key, or made on demand."""
    if not table.is_table("identity_cert") or table.findings.lenient:
        return file_pair(table, "identity_cert", "identity_pk", required=True)
    inner = table.table("identity_cert")
    assert inner is not None
    table.misplaced(("identity_pk",), "belongs to an identity_cert in a file; the key of this one is made")
    with inner:
        return issuance(inner)


def _symmetric_key(table: Table, name: str) -> Located[Secret] | Located[KeyLocation] | None:
    """A key in the file itself, or where it is."""
    if table.findings.lenient:
        return _inline_key(table, name)
    inner = table.table(name)
    if inner is None:
        if not table.has(name):
            table.fault(name, "missing, expected { value = BASE64 } or { uri = URI }")
        return None
    with inner:
        inner.known("value", "uri")
        if inner.has("uri"):
            inner.misplaced(("value",), "stands beside uri, expected one of the two")
            return inner.key_at("uri")
        return _inline_key(inner, "value")


def _inline_key(table: Table, name: str) -> Located[Secret] | None:
    found = table.secret(name, required=True)
    if found is None:
        return None
    text = found.value.reveal()
    try:
        decode_base64(text + "=" * (-len(text) % 4), "key")
    except InputError as error:
        table.fault(name, f"{error}, expected base64")
        return None
    return found
