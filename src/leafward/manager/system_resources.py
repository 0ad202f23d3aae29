"""What this machine has and how much of it is in use: `GET /systeminfo/resources`, in the daemon's shape."""

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

from leafward.store.home import Home

_UPTIME = Path("/proc/uptime")
_MEMORY = Path("/proc/meminfo")


def system_resources(home: Home) -> dict[str, Any]:
    """Seconds, bytes and percent. What this system does not tell is 0."""
    memory = _memory()
    disk = shutil.disk_usage(home.root)
    return {
        "host_uptime": int(_uptime()),
        "process_uptime": int(time.monotonic() - _BEGAN),
        "used_cpu": _load(),
        "used_ram": memory.get("MemTotal", 0) - memory.get("MemAvailable", 0),
        "total_ram": memory.get("MemTotal", 0),
        "disks": [
            {
                "name": str(home.root),
                "available_space": disk.free,
                "total_space": disk.total,
                "file_system": "",
                "file_type": "",
            }
        ],
        "docker_stats": "{}",  # there are no containers
    }


def _uptime() -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return float(_UPTIME.read_text(encoding="ascii").split()[0])
    return 0.0


def _load() -> float:
    """The load of the last minute as percent of all cores."""
    with contextlib.suppress(OSError, AttributeError):
        return round(min(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0) * 100, 1)
    return 0.0


def _memory() -> dict[str, int]:
    found = {}
    with contextlib.suppress(OSError, ValueError):
        for line in _MEMORY.read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name in ("MemTotal", "MemAvailable"):
                found[name] = int(rest.split()[0]) * 1024
    return found


_BEGAN = time.monotonic()
