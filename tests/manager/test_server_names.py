"""Who may have which name in a server certificate."""

import pytest

from leafward.errors import AccessDenied, NameFormatError
from leafward.manager.server_names import HUB, ServerNames
from leafward.manager.settings import DeviceSettings
from leafward.pki.names import parse_host

DEVICE = DeviceSettings.model_validate(
    {"hostname": "gw.local", "parent_hostname": "upper.local", "names": ["gateway", "192.0.2.7"]}
)


@pytest.fixture
def names() -> ServerNames:
    return ServerNames(DEVICE)


@pytest.mark.parametrize("wanted", ["gw.local", "GW.LOCAL", "gateway", "192.0.2.7", "edgeHub", "$edgeHub"])
def test_the_hub_gets_all_of_its_names(names: ServerNames, wanted: str) -> None:
    assert names.granted(HUB, wanted) == (parse_host("gw.local"), parse_host("gateway"), parse_host("192.0.2.7"))


@pytest.mark.parametrize("wanted", ["upper.local", "other.local", "192.0.2.8", "modA"])
def test_the_hub_gets_no_other_name(names: ServerNames, wanted: str) -> None:
    with pytest.raises(AccessDenied):
        names.granted(HUB, wanted)


@pytest.mark.parametrize(("module", "wanted"), [("modA", "modA"), ("modA", "moda"), ("$own", "own"), ("mod!b", "modb")])
def test_a_module_gets_its_own_name(names: ServerNames, module: str, wanted: str) -> None:
    assert names.granted(module, wanted) == (parse_host(wanted),)


@pytest.mark.parametrize(
    "wanted", ["gw.local", "GW.local", "gateway", "192.0.2.7", "upper.local", "edgehub", "edgeHub", "modB", "localhost"]
)
def test_a_module_gets_nobody_elses_name(names: ServerNames, wanted: str) -> None:
    with pytest.raises(AccessDenied, match="moda"):
        names.granted("modA", wanted)


@pytest.mark.parametrize("module", ["modA", HUB])
@pytest.mark.parametrize("wanted", ["*", "*.local", "", "a b", "gw.local.", "gw.local\0"])
def test_what_is_no_host_name_is_refused_to_all(names: ServerNames, module: str, wanted: str) -> None:
    with pytest.raises(NameFormatError):
        names.granted(module, wanted)


@pytest.mark.parametrize("module", ["gateway", "Gate!way", "gw.local", "edgeHub", "upper.local", "192.0.2.7"])
def test_a_module_called_like_the_hub_still_gets_nothing(names: ServerNames, module: str) -> None:
    with pytest.raises(AccessDenied):
        names.granted(module, module.replace("!", ""))


@pytest.mark.parametrize("module", ["gateway", "Gate!way", "gw.local", "edgeHub", "upper.local"])
def test_a_module_called_like_the_hub_is_not_registered(names: ServerNames, module: str) -> None:
    with pytest.raises(AccessDenied, match="hub"):
        names.refuse_module(module)


def test_the_hub_and_ordinary_modules_are_registered(names: ServerNames) -> None:
    for module in (HUB, "$edgeAgent", "modA", "192.0.2.9"):
        names.refuse_module(module)
