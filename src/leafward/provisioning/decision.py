"""What a registration becomes: hub, substatus, and what of an earlier registration stays. Pure.

                         first time          again, policy never   migrate                   reset
    hub                  by the allocation   stays                 by the allocation         by the allocation
    substatus            initialAssignment   stays                 deviceDataMigrated        deviceDataReset
                                                                   where the hub is another
    generation and twin  new                 stay                  stay                      new

A new generation is another device to a hub: what it kept under the name is not shown to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leafward.provisioning.admission import Admission
from leafward.provisioning.allocation import choose, measures_of
from leafward.store.enrolments import Enrolment, Registration
from leafward.store.enrolments.registrations import SHARED_REGISTRY, Substatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """A registration that is admitted. `token` is fresh and unguessable: its operation and ETag are named by it."""

    admission: Admission
    payload: Any
    token: str

    @property
    def key(self) -> str:
        """The registration id as it is kept."""
        return self.admission.registration_id.lower()


@dataclass(frozen=True, slots=True)
class Hubs:
    """What the service knows of hubs: their names, the one of this gateway, and the operator's measures."""

    names: Sequence[str]
    own: str
    latency: Mapping[str, float]


def decide(wanted: Wanted, before: Registration | None, hubs: Hubs, now: datetime) -> Registration:
    """The new row. `before` is the row that stands."""
    admission, enrolment = wanted.admission, wanted.admission.enrolment
    earlier = before if before is not None and before.status != "failed" else None
    hub = _hub(wanted, earlier, hubs)
    substatus = _substatus(enrolment, earlier, hub)
    anew = earlier is None or substatus == "deviceDataReset" or earlier.device_id != admission.device_id
    generation = admission.generation_id or (wanted.token[:18] if anew or earlier is None else earlier.generation_id)
    return Registration(
        registration_id=wanted.key,
        device_id=admission.device_id,
        hub=hub,
        operation=f"5.{wanted.token}",
        etag=wanted.token[:16],
        auth=admission.auth,
        generation_id=generation,
        created=now if before is None else before.created,
        updated=now,
        enrolment=enrolment.id if enrolment is not None else SHARED_REGISTRY if admission.shared else None,
        grouped=enrolment is not None and enrolment.group,
        substatus=substatus,
        previous_hub=_previous_hub(before, hub),
        previous_generation=None if before is None else before.generation_id,
        primary_key=admission.primary_key,
        secondary_key=admission.secondary_key,
        primary_thumbprint=admission.primary_thumbprint,
        secondary_thumbprint=admission.secondary_thumbprint,
        leaf=admission.leaf,
        payload=None if wanted.payload is None else json.dumps(wanted.payload, separators=(",", ":")),
        challenge=admission.challenge,
        twin=_twin(enrolment, earlier, anew=anew),
    )


def _hub(wanted: Wanted, earlier: Registration | None, hubs: Hubs) -> str:
    enrolment = wanted.admission.enrolment
    if enrolment is None:
        # This gateway's own registry knows it; one that gateways share has a device for any of them.
        return choose("hashed", hubs.names, wanted.key, {}) if wanted.admission.shared else hubs.own
    if earlier is not None and enrolment.reprovision == "never":
        return earlier.hub
    measures = measures_of(wanted.payload, hubs.latency)
    return choose(enrolment.allocation, enrolment.hubs or hubs.names, wanted.key, measures)


def _substatus(enrolment: Enrolment | None, earlier: Registration | None, hub: str) -> Substatus:
    if earlier is None:
        return "initialAssignment"
    policy = "migrate" if enrolment is None else enrolment.reprovision
    if policy == "reset":
        return "deviceDataReset"
    return "deviceDataMigrated" if policy == "migrate" and hub != earlier.hub else earlier.substatus


def _previous_hub(before: Registration | None, hub: str) -> str | None:
    """Where it was before, for that hub to hear of it; kept until it moves again."""
    if before is None:
        return None
    return before.hub if before.hub != hub else before.previous_hub


def _twin(enrolment: Enrolment | None, earlier: Registration | None, *, anew: bool) -> str | None:
    """What the hub is still to be given."""
    if anew:
        return None if enrolment is None else enrolment.initial_twin
    return None if earlier is None else earlier.twin
