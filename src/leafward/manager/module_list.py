"""The modules as both APIs list them, and the environment that makes a process one."""

from leafward.manager.callers import Callers
from leafward.manager.listen_address import WORKLOAD, ListenAddress, announced
from leafward.manager.module_sockets import module_socket
from leafward.manager.module_tokens import generation_with_token
from leafward.manager.modules import Modules
from leafward.manager.settings import ManagerSettings
from leafward.store.home import Home
from leafward.store.identity import Identity
from leafward.wire.api_version import LATEST
from leafward.wire.module_details import RUNNING, STOPPED, ModuleDetails, modules_to_json


def details(identity: Identity, callers: Callers) -> ModuleDetails:
    """One module: running while a process of it is attached."""
    since = callers.running_since(identity.module_id or "")
    return ModuleDetails(identity.module_id or "", status=STOPPED if since is None else RUNNING, started=since)


def list_modules(modules: Modules, callers: Callers) -> bytes:
    """The JSON list of all modules."""
    return modules_to_json([details(identity, callers) for identity in modules.all()])


def environment(identity: Identity, settings: ManagerSettings, home: Home) -> dict[str, str]:
    """The `IOTEDGE_*` variables that the SDKs read (`create_from_edge_environment`, `ModuleClient.fromEnvironment`).

    Where the Workload API is to be reached over TCP, the generation id holds the module's token (`module_tokens`).
    """
    gateway = str(settings.hostname)
    uri = _workload_uri(identity, settings, home)
    by_token = not uri.startswith("unix:")
    parent = settings.device.parent_hostname
    nested = {} if parent is None else {"IOTEDGE_PARENTHOSTNAME": str(parent)}
    return {
        "IOTEDGE_WORKLOADURI": uri,
        "IOTEDGE_DEVICEID": identity.device_id,
        "IOTEDGE_MODULEID": identity.module_id or "",
        "IOTEDGE_MODULEGENERATIONID": generation_with_token(identity) if by_token else identity.generation_id,
        # The hub takes tokens for this name beside its own: devices of an IoT hub sign for that.
        "IOTEDGE_IOTHUBHOSTNAME": str(settings.device.iothub_hostname or gateway),
        "IOTEDGE_GATEWAYHOSTNAME": gateway,
        "IOTEDGE_AUTHSCHEME": "sasToken",
        "IOTEDGE_APIVERSION": LATEST,
        **nested,
    }


def _workload_uri(identity: Identity, settings: ManagerSettings, home: Home) -> str:
    """The module's own socket, else what the settings name, else the home's socket."""
    if settings.manager.module_sockets:
        return f"unix://{module_socket(home, settings.manager, identity.module_id or '')}"
    if settings.manager.workload_uri is None:
        return f"unix://{home.workload_socket}"
    address = ListenAddress.of(settings.manager.workload_uri)
    # Port 0 is any free one: the running manager has written down which.
    return address.uri if address.path is not None else announced(home.sockets, WORKLOAD) or address.uri
