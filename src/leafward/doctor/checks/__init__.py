"""All checks, one file each: a new diagnosis is a new file here that sets `CHECK` (or `CHECKS`).

Its docstring is its page (`doctor/pages.py`): a title, what it means, then paragraphs that begin with "Comes about:",
"See:" and "Mend:". The files are found by their being here.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from leafward.doctor.check import Check


def _found() -> Iterator[Check]:
    for module in pkgutil.iter_modules(__path__):
        room = importlib.import_module(f"{__name__}.{module.name}")
        yield from getattr(room, "CHECKS", ()) or (room.CHECK,)


CHECKS: tuple[Check, ...] = tuple(sorted(_found(), key=lambda one: (one.order, one.code)))
_BY_CODE = {one.code: one for one in CHECKS}


def check(code: str) -> Check | None:
    """The check of a code; None for a code that is none of ours."""
    return _BY_CODE.get(code)
