"""The time used while the system's clock is behind what is known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from leafward.manager.time_floor import TimeFloor

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Certificate:
    not_valid_before_utc = NOW - timedelta(days=3)


def test_a_right_clock_is_used(tmp_path: Path) -> None:
    time = TimeFloor(tmp_path / "seen", lambda: NOW)
    time.learn([Certificate()])  # type: ignore[list-item]
    assert (time.now(), time.in_use) == (NOW, False)


def test_behind_the_newest_not_before_the_floor_is_used(tmp_path: Path) -> None:
    time = TimeFloor(tmp_path / "seen", lambda: EPOCH)
    assert not time.in_use
    time.learn([Certificate()])  # type: ignore[list-item]
    assert (time.now(), time.in_use) == (NOW - timedelta(days=3), True)


def test_the_last_time_seen_lasts(tmp_path: Path) -> None:
    TimeFloor(tmp_path / "seen", lambda: NOW).save()
    time = TimeFloor(tmp_path / "seen", lambda: EPOCH)
    assert (time.now(), time.in_use) == (NOW, True)
    time.save()
    assert TimeFloor(tmp_path / "seen", lambda: EPOCH).now() == NOW


def test_a_damaged_file_is_no_floor(tmp_path: Path) -> None:
    (tmp_path / "seen").write_text("yesterday")
    assert TimeFloor(tmp_path / "seen", lambda: EPOCH).now() == EPOCH
    (tmp_path / "seen").write_text("2026-06-01T00:00:00")
    assert TimeFloor(tmp_path / "seen", lambda: EPOCH).now() == EPOCH
