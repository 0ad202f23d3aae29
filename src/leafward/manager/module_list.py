"""The modules as both APIs list them, and the environment that makes a process one."""

from leafward.manager.callers import Callers
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
    """The `IOTEDGE_*` variables that the SDKs read (`create_from_edge_environment`, `ModuleClient.fromEnvironment`)."""
    gateway = str(settings.hostname)
    return {
        "IOTEDGE_WORKLOADURI": f"unix://{home.workload_socket}",
        "IOTEDGE_DEVICEID": identity.device_id,
        "IOTEDGE_MODULEID": identity.module_id or "",
        "IOTEDGE_MODULEGENERATIONID": identity.generation_id,
        "IOTEDGE_IOTHUBHOSTNAME": gateway,
        "IOTEDGE_GATEWAYHOSTNAME": gateway,
        "IOTEDGE_AUTHSCHEME": "sasToken",
        "IOTEDGE_APIVERSION": LATEST,
    }
