"""Work in a thread that is waited for even when the task that asked for it is cancelled.

A thread cannot be stopped. Were the databases closed while one still reads, its connection would be left open.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


async def in_thread(work: Callable[Given, Result], *arguments: Given.args, **options: Given.kwargs) -> Result:
    """What `work` returns or raises. A cancellation counts once the work is done."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **options))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # looked at, and told to nobody: who asked is gone
        raise
