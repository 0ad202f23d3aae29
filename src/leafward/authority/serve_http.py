"""What the authority's server is asked and what it answers, as values; and the answers on the wire (RFC 9112).

aiohttp would spend more of the processor on a request than a signature takes. What a certificate authority's clients
send is little: the sans-I/O reader of `wire/http1` is enough for them.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate

from leafward.wire.tls.connection import TlsConnection

REASONS = {
    200: "OK",
    202: "Accepted",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
TEXT = "text/plain; charset=utf-8"


@dataclass(slots=True)  # frozen would cost a microsecond each
class Request:
    """A whole request. `path` is as it came, percent-encoded; header names are in lower case.

    `source` is the client's IP address, `tls` its connection, None over plain HTTP.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    source: str = ""
    tls: TlsConnection | None = field(default=None, repr=False)


@dataclass(slots=True)
class Answer:
    """What goes back. `close`: the connection ends with it."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False


Reply = Callable[[Answer], None]
# Called with each whole request; calls its second argument once, at once or later, in the loop's thread.
Handler = Callable[[Request, Reply], None]
AsyncHandler = Callable[[Request], Awaitable[Answer]]


def text_answer(status: int, text: str, headers: Mapping[str, str] | None = None, *, close: bool = False) -> Answer:
    """An answer for people."""
    return Answer(status, f"{text}\n".encode(), {"Content-Type": TEXT, **(headers or {})}, close)


class Writer:
    """Answers as bytes. An authority has a clock, so each has a Date (RFC 9110 6.6.1), made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""

    def bytes_of(self, answer: Answer, *, close: bool, head_only: bool = False) -> bytes:
        """A whole response; without its body for HEAD (RFC 9110 9.3.2)."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        status = answer.status
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\nDate: {self._date}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if status != 304:
            lines.append(f"Content-Length: {len(answer.body)}")
        if close:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if head_only or status == 304 else head + answer.body
