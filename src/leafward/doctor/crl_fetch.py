"""Fetching a revocation list by HTTP, bounded in time and bytes. Lists are signed: plain HTTP is usual (RFC 5280 8)."""

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path

from leafward.doctor.file_reader import MAX_BYTES, FileRead

SECONDS = 5.0  # for each step, and twice that for the whole
_CHUNK = 64 * 1024


def fetch(url: str) -> FileRead:
    """The list at `url`, as a file that was read; `why` says what went wrong. Never raises for what the server does."""
    path = Path(url)
    try:
        return FileRead(path, _read(url))
    except urllib.error.HTTPError as error:
        error.close()
        return FileRead(path, why=f"the server answers {error.code} {error.reason}")
    except urllib.error.URLError as error:
        return FileRead(path, why=str(getattr(error.reason, "strerror", None) or error.reason).lower())
    except (OSError, ValueError, http.client.HTTPException) as error:
        return FileRead(path, why=str(error) or type(error).__name__)


def _read(url: str) -> bytes:
    deadline, data = time.monotonic() + 2 * SECONDS, bytearray()
    request = urllib.request.Request(url, headers={"User-Agent": "leafward-doctor"})  # noqa: S310 - http(s) only
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        while chunk := answer.read1(_CHUNK):
            data += chunk
            if len(data) > MAX_BYTES or time.monotonic() > deadline:
                raise TimeoutError(f"the list is larger than {MAX_BYTES} bytes, or comes too slowly")
    return bytes(data)
