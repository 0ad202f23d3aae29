"""What a person calls each kind of certificate."""

ROLE_NAMES = {
    "root_ca": "root CA",
    "intermediate_ca": "intermediate CA",
    "device_ca": "device CA",
    "device_identity": "device identity",
    "workload_ca": "workload CA",
    "hub_server": "hub server",
    "module_server": "module server",
    "module_identity": "module identity",
    "leaf_device": "leaf device",
    "verification": "verification",
}
