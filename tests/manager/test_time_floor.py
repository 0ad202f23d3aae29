"""The time used while the system's clock is behind what is known, and which of two clocks is believed.

`Machine` is a world of its own: a clock that can be set, a count of seconds since its start, perhaps a time server.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leafward.manager.clock_state import ClockState, read_clock_state
from leafward.manager.steady_clock import boot_id, is_synchronised, since_boot, was_synchronised
from leafward.manager.time_floor import BUILT, SET_BACK, TimeFloor

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AHEAD = NOW + 3650 * DAY
MANY = [datetime(year, 1, 19, 3, 14, 8, tzinfo=UTC) for year in (2036, 2038, 2106)]


class Certificate:
    def __init__(self, not_before: datetime) -> None:
        self.not_valid_before_utc = not_before


@dataclass
class Machine:
    """What runs on while the manager is started again and again."""

    path: Path
    clock: datetime = NOW
    seconds: float = 100.0
    boot: str = "first"
    synchronised: bool = False
    starts: list[str] = field(default_factory=list)

    def floor(self) -> TimeFloor:
        return TimeFloor(
            self.path,
            lambda: self.clock,
            steady=lambda: self.seconds,
            synchronised=lambda: self.synchronised,
            boot=self.boot,
        )

    def run(self, duration: timedelta) -> None:
        """Time passes, and the clock with it."""
        self.clock += duration
        self.seconds += duration.total_seconds()

    def reboot(self, clock: datetime) -> None:
        """A start of the machine, at whatever its clock says then."""
        self.boot, self.seconds, self.clock = f"{self.boot}+", 5.0, clock


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "seen")


def used(floor: TimeFloor) -> tuple[datetime, bool]:
    return floor.now(), floor.in_use


def test_a_right_clock_is_used(machine: Machine) -> None:
    floor = machine.floor()
    floor.learn([Certificate(NOW - 3 * DAY)])  # type: ignore[list-item]
    assert used(floor) == (NOW, False)


def test_before_this_program_was_built_it_cannot_be(machine: Machine) -> None:
    """1970, nothing known: the day of the build, counted on from there."""
    machine.clock = EPOCH
    floor = machine.floor()
    assert used(floor) == (BUILT, True)
    machine.run(HOUR)
    assert used(floor) == (BUILT + HOUR, True)


def test_behind_the_makers_newest_not_before_it_is_not_believed(machine: Machine) -> None:
    machine.clock = EPOCH
    floor = machine.floor()
    floor.learn([Certificate(NOW - 3 * DAY), Certificate(NOW - 9 * DAY)])  # type: ignore[list-item]
    assert used(floor) == (NOW - 3 * DAY, True)
    machine.run(1000 * DAY)
    assert floor.in_use  # however long it runs


def test_the_last_time_seen_lasts_and_is_counted_on(machine: Machine) -> None:
    machine.floor().save()
    machine.reboot(EPOCH)
    floor = machine.floor()
    assert used(floor) == (NOW, True)
    machine.run(2 * HOUR)
    floor.save()
    assert floor.now() == NOW + 2 * HOUR
    machine.reboot(EPOCH)
    assert machine.floor().now() == NOW + 2 * HOUR


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-06-01T00:00:00",
        "2026-06-01T00:00:00+00:00\n[]",
        "2026-06-01T00:00:00+00:00\n{",
        "0001-01-01T00:00:00+14:00",
        "x" * 2000,
        '2026-06-01T00:00:00+00:00\n{"weight": "heavy"}',
    ],
)
def test_a_damaged_file_is_no_floor(machine: Machine, text: str) -> None:
    machine.path.write_text(text)
    machine.clock = EPOCH
    assert machine.floor().now() == BUILT


def test_a_file_of_one_line_is_an_older_leafwards(machine: Machine) -> None:
    machine.path.write_text(NOW.isoformat())
    machine.clock = EPOCH
    assert machine.floor().now() == NOW


def test_the_first_line_is_for_other_parts(machine: Machine) -> None:
    machine.floor().save()
    first, second = machine.path.read_text().splitlines()
    assert datetime.fromisoformat(first) == NOW
    assert set(json.loads(second)) == {"firm", "weight", "boot", "steady"}
    assert read_clock_state(machine.path) == ClockState(NOW, boot="first", steady=100.0)


def test_own_certificates_count_where_the_file_is_lost(machine: Machine) -> None:
    """The kill came between the certificate and the file, or somebody removed it."""
    machine.clock = EPOCH
    floor = machine.floor()
    floor.learn_own([Certificate(NOW)])  # type: ignore[list-item]
    assert floor.now() == NOW
    floor.save()
    again = machine.floor()
    again.learn_own([Certificate(AHEAD)])  # type: ignore[list-item]
    assert again.now() == NOW


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(minutes=59)])
def test_a_small_step_back_is_believed_and_carries_nothing_away(machine: Machine, back: timedelta) -> None:
    """Certificates are back-dated by an hour. Many small steps back are a large one."""
    floor = machine.floor()
    assert not floor.in_use
    for _ in range(3):
        machine.clock -= back
        assert floor.in_use == (machine.clock < NOW - HOUR)
    assert floor.lowered == 0


# The clock was ahead by ten years, was believed (a machine may lie without power for so long), and is right again.


def ahead(machine: Machine) -> TimeFloor:
    """The clock is wrong from a start on, for an hour."""
    machine.floor().save()
    machine.reboot(AHEAD)
    floor = machine.floor()
    assert used(floor) == (AHEAD, False)
    machine.run(HOUR)
    floor.save()
    return floor


def test_set_right_by_a_time_server_it_is_believed_at_once(machine: Machine) -> None:
    floor = ahead(machine)
    machine.clock, machine.synchronised = NOW, True
    assert used(floor) == (NOW, False)
    assert floor.lowered == 1
    assert read_clock_state(machine.path) == ClockState(NOW, firm=True, boot="first+", steady=machine.seconds)


def test_set_right_by_hand_it_is_believed_when_it_has_run_on(machine: Machine) -> None:
    floor = ahead(machine)
    wrong = machine.clock
    machine.clock = NOW
    assert used(floor) == (wrong, True)
    machine.run(timedelta(seconds=SET_BACK - 1))
    assert floor.in_use
    machine.run(timedelta(seconds=1))
    assert used(floor) == (machine.clock, False)
    assert floor.lowered == 1


def test_a_clock_that_jumps_about_is_not_believed(machine: Machine) -> None:
    floor = ahead(machine)
    for days in range(20):
        machine.clock = NOW + days * DAY
        assert floor.in_use
        machine.run(timedelta(seconds=SET_BACK / 2))
    assert floor.lowered == 0


def test_set_right_while_the_manager_was_down(machine: Machine) -> None:
    """The same start of the machine: it was believed in it, and is behind now, so somebody has set it."""
    ahead(machine)
    machine.clock = NOW
    floor = machine.floor()
    assert floor.in_use
    machine.run(timedelta(seconds=SET_BACK))
    assert used(floor) == (machine.clock, False)


def test_right_at_the_next_start_it_wins_when_it_has_run_longer(machine: Machine) -> None:
    """A glitch of a battery-backed clock: an hour of 2036 weighs less than a day of 2026."""
    ahead(machine)
    machine.reboot(NOW)
    floor = machine.floor()
    floor.learn_own([Certificate(AHEAD)])  # type: ignore[list-item]
    for _ in range(24):
        assert floor.in_use
        machine.run(HOUR)
    assert used(floor) == (machine.clock, False)
    assert machine.floor().now() == machine.clock


def test_a_right_time_of_long_standing_outweighs_a_clock_that_starts_anew(machine: Machine) -> None:
    """No battery, no time server, years of running: each start at the same wrong day does not outweigh it."""
    floor = machine.floor()
    for _ in range(100):
        machine.run(DAY)
        floor.save()
    seen = machine.clock
    for _ in range(5):
        machine.reboot(BUILT + DAY)
        floor = machine.floor()
        for _ in range(30):
            assert floor.in_use
            machine.run(DAY)
            floor.save()
        seen += 30 * DAY
        assert floor.now() == seen
    assert floor.lowered == 0


def test_what_a_time_server_vouched_for_is_given_up_for_a_time_server_only(machine: Machine) -> None:
    machine.synchronised = True
    machine.floor().save()
    machine.synchronised = False
    machine.reboot(BUILT + DAY)
    floor = machine.floor()
    for _ in range(400):
        machine.run(DAY)
        assert floor.in_use
    assert floor.now() == NOW + 400 * DAY
    machine.synchronised = True
    assert used(floor) == (machine.clock, False)


def test_but_a_hand_may_set_it_too(machine: Machine) -> None:
    """A time server was wrong, or somebody played one: there is no other, and the operator sets the clock."""
    machine.clock, machine.synchronised = AHEAD, True
    machine.floor().save()
    machine.synchronised = False
    machine.reboot(EPOCH)
    floor = machine.floor()
    assert floor.in_use
    machine.clock = NOW
    assert floor.in_use
    machine.run(timedelta(seconds=SET_BACK))
    assert used(floor) == (machine.clock, False)


@pytest.mark.parametrize("wrong", [EPOCH, *MANY])
@pytest.mark.parametrize("synchronised", [True, False])
def test_every_wrong_clock_is_overcome(machine: Machine, wrong: datetime, synchronised: bool) -> None:
    """right -> wrong -> right, across starts of the machine and of the manager: the end is the right time, in use."""
    machine.floor().save()
    machine.reboot(wrong)
    floor = machine.floor()
    assert floor.now() == max(wrong, NOW)
    machine.run(HOUR)
    floor.save()
    machine.reboot(NOW + DAY)
    machine.synchronised = synchronised
    floor = machine.floor()
    for _ in range(25):
        floor.now()
        machine.run(HOUR)
    assert used(floor) == (machine.clock, False)
    assert used(machine.floor()) == (machine.clock, False)


def test_a_full_disk_does_not_stop_it(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.path.mkdir()
    floor = machine.floor()
    floor.save()
    assert "is not kept for the next start" in caplog.text
    assert used(floor) == (NOW, False)


def test_the_facts(machine: Machine) -> None:
    floor = machine.floor()
    floor.learn([Certificate(NOW - DAY)])  # type: ignore[list-item]
    machine.clock = EPOCH
    facts: dict[str, Any] = floor.facts()
    assert facts == {
        "now": NOW - DAY,
        "system": EPOCH,
        "hard_floor": NOW - DAY,
        "seen": BUILT,
        "vouched_for": False,
    }


def test_this_machine() -> None:
    """The real ones: seconds that only grow, a text, and a yes or no."""
    first = since_boot()
    assert since_boot() >= first > 0
    assert boot_id() == boot_id()
    assert is_synchronised() in (True, False)
    assert was_synchronised() in (True, False)


def test_another_clock_than_the_systems_has_no_time_server(tmp_path: Path) -> None:
    clock: Callable[[], datetime] = lambda: NOW  # noqa: E731
    assert TimeFloor(tmp_path / "seen", clock).facts()["vouched_for"] is False
