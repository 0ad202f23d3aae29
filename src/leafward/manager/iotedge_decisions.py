"""What no file can answer when a gateway moves from IoT Edge to leafward: said once, at the import, in plain words."""

from collections.abc import Iterator, Mapping

from leafward.manager.iotedge_settings import CarriedOver
from leafward.store.home import Home

_STOP = "stop IoT Edge before the first start: two hubs cannot have one port"
_LEAVES = (
    "register the leaf devices, each as the IoT hub knows it: leafward device add ID with --key-file FILE (the key it "
    "has), --auth x509-thumbprint --thumbprint HEX, or --auth x509-ca; or all at once: leafward device import FILE"
)


def decisions(carried: CarriedOver, secrets: Mapping[str, bytes], home: Home) -> Iterator[str]:
    """What somebody has to do or to decide, most pressing first."""
    device = carried.settings.device
    yield _STOP
    if device.device_ca_certificate is None and carried.settings.enrolment is None:
        yield (
            "no device CA comes along, since IoT Edge made one itself: leaf devices trust that one's root, which ends "
            f"with IoT Edge. Put a device CA into {home.manager / 'device-ca'} (leafward ca device) and give leaf "
            "devices its root"
        )
    elif device.trust_bundle is None:
        yield "no trust bundle is named: the device CA's file has to hold the chain up to its self-signed root"
    if device.iothub_hostname is None:
        yield (
            "device.iothub_hostname: the file does not name the IoT hub (a provisioning service does). Set it to what "
            "leaf devices have as HostName, or devices with keys are refused"
        )
    yield _LEAVES
    for name in secrets:
        yield f"a secret of the file is now in {home.root / name}, mode 0600: remove it from the old file"
    if not device.production:
        yield "device.production = true, once this gateway is to refuse a development chain"
