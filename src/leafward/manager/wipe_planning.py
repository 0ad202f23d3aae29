"""Making the plan of a wipe: everything that can be found out, and everything that could stop it, before it begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509

from leafward.errors import LeafwardError
from leafward.manager.settings import ManagerSettings, settings_from
from leafward.manager.time_floor import TimeFloor
from leafward.manager.wipe_contents import doomed, kept_paths, refuse_unreachable
from leafward.manager.wipe_epoch import owner_epoch
from leafward.manager.wipe_facts import gather
from leafward.manager.wipe_maker import MakersHalf, no_receipt
from leafward.manager.wipe_plan import Plan
from leafward.manager.wipe_settings import reduced_settings, spelled_out
from leafward.pki.encoding import certificate_to_pem
from leafward.store.home import Home
from leafward.store.settings_file import read_tables


def make_plan(
    home: Home, time: TimeFloor, *, signed: bool, challenge: str | None = None, config: Path | None = None
) -> Plan:
    """What a wipe of this home does; changes nothing. `signed`: with a list and a receipt. `config`: another settings
    file than the home's, which the manager ran with.

    Raises `NotFound` where there is no home, `SettingsError` for settings that do not say where the maker's half is,
    `KeyUnavailable` where the device CA cannot sign, `StoreError` where something could not be removed.
    """
    tables, settings = _settings(home, config)
    maker = _maker(home, time, settings, signed=signed)
    keep = kept_paths(home, settings)
    going = doomed(home, keep)
    refuse_unreachable(home, going)
    facts = gather(home, going, _device_ca(maker), time.now())
    apart = maker is not None and maker.root_apart
    return Plan(
        owner_epoch=owner_epoch(home),
        begun=time.now().replace(microsecond=0),
        signed=signed,
        challenge=challenge,
        keep=tuple(sorted(keep)),
        settings=reduced_settings(home, tables, settings, root_apart=apart),
        root=certificate_to_pem(maker.issuer.chain.top).decode() if maker is not None and apart else None,
        keys=facts.keys,
        counts=facts.counts,
        retire=facts.retire if signed else (),
    )


def _settings(home: Home, config: Path | None) -> tuple[Mapping[str, Any], ManagerSettings]:
    if config is not None:
        from leafward.manager.settings_source import settings_to_run_with  # noqa: PLC0415 - IoT Edge's are rare

        settings = settings_to_run_with(config.absolute())
        return spelled_out(settings), settings
    tables = read_tables(home.settings)
    return tables, settings_from(tables, source=home.settings)


def _maker(home: Home, time: TimeFloor, settings: ManagerSettings, *, signed: bool) -> MakersHalf | None:
    """The maker's half, proved where it is to sign. Without a receipt it may be missing."""
    try:
        maker = MakersHalf.find(home, time, settings)
    except LeafwardError as error:
        if signed:
            raise no_receipt(error) from error
        return None
    if signed:
        maker.prove(time)
    return maker


def _device_ca(maker: MakersHalf | None) -> x509.Certificate | None:
    return None if maker is None else maker.issuer.chain.leaf
