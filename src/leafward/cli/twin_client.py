"""The commands' side of twins, over the hub's own socket."""

from typing import Any

from leafward.cli.hub_client import ask, segment
from leafward.store.home import Home
from leafward.wire.api_fields import to_json
from leafward.wire.twins import Document

Twin = dict[str, Any]


def read(home: Home, device_id: str, module_id: str | None) -> Twin:
    """The twin in IoT Hub's form.

    Raises `PeerUnavailable` where no hub answers, `NotFound` for an identity that is not registered.
    """
    what = f"the twin of {_label(device_id, module_id)} cannot be read"
    return ask(home, "GET", _path(device_id, module_id), what=what).json()


def change(
    home: Home,
    device_id: str,
    module_id: str | None,
    *,
    desired: Document | None,
    tags: Document | None,
    etag: str | None = None,
    replace: bool = False,
) -> Twin:
    """Merges (or replaces by) what is given, and returns the twin; None is left as it is.

    `etag`: only where the twin still has it. Raises as `read`, `InputError` for properties that no twin may have, and
    `LeafwardError` where the twin has changed meanwhile.
    """
    if replace and (desired is None or tags is None):
        # IoT Hub's PUT replaces both: what was not given is sent back as it is, unless somebody changes it meanwhile.
        now = read(home, device_id, module_id)
        desired = now["properties"]["desired"] if desired is None else desired
        tags = now["tags"] if tags is None else tags
        etag = etag or now["etag"]
    body: Document = {}
    if desired is not None:
        body["properties"] = {"desired": desired}
    if tags is not None:
        body["tags"] = tags
    answer = ask(
        home,
        "PUT" if replace else "PATCH",
        _path(device_id, module_id),
        what=f"the twin of {_label(device_id, module_id)} was not changed",
        body=to_json(body),
        headers={} if etag is None else {"If-Match": etag},
    )
    return answer.json()


def _path(device_id: str, module_id: str | None) -> str:
    path = f"/twins/{segment(device_id)}"
    return path if module_id is None else f"{path}/modules/{segment(module_id)}"


def _label(device_id: str, module_id: str | None) -> str:
    return device_id if module_id is None else f"{device_id}/{module_id}"
