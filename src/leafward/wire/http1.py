"""HTTP/1.1 as the manager's sockets speak it (RFC 9112), sans-I/O: bytes in, a request's head and body out.

What it reads is little and strict: a request target in origin form or absolute form, headers of a bounded size, a body
by Content-Length or chunked, one request after the other on a connection that is kept. What could be read in two ways
(two lengths, a length beside chunks, a folded header, a bare line feed) is refused, and the connection ends.

What it does not do for you: it decides no body's limit and no time, and answers nothing by itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_HEAD = 16 * 1024  # bytes of request line and headers
MAX_HEADERS = 64
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    417: "Expectation Failed",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
# A chunk's size line with what clients put behind it; longer is no client of ours.
_MAX_CHUNK_LINE = 256
# Heads that a connection remembers, and how long one may be.
_HEADS_KEPT = 4
_MOST_KEPT = 512


@dataclass(frozen=True, slots=True)
class Bad:
    """What cannot be understood: answered with `status`, and the connection ends."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body. `path` and `query` are as they came, percent-encoded; header names in lower case.

    `length` is the body's in bytes, None where it comes in chunks.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    length: int | None = 0
    keep_alive: bool = True
    expects_continue: bool = False


class RequestReader:
    """The requests of one connection, in their order: `head`, then `body` or `drained`, then the next `head`.

    >>> reader = RequestReader()
    >>> reader.feed(b"POST /sign HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    >>> head = reader.head()
    >>> head.method, head.path, reader.body(limit=100)
    ('POST', '/sign', b'{}')
    """

    __slots__ = ("_body", "_buffer", "_chunk_left", "_head", "_heads", "_trailers", "_undrained")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Head | None = None
        self._body = bytearray()
        self._chunk_left: int | None = None
        self._trailers = False
        self._undrained = 0
        self._heads: dict[bytes, Head] = {}

    @property
    def waiting(self) -> int:
        """How many bytes have come and were not read yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Takes what has come from the peer."""
        self._buffer += data

    def head(self) -> Head | Bad | None:
        """The next request's head; None until it is whole."""
        while self._buffer[:2] == b"\r\n":  # RFC 9112 2.2: an empty line before the request is passed over
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                return Bad(431, f"the request's head is longer than {MAX_HEAD} bytes")
            # Not HTTP at all (TLS, say): said at once, not when the sender has waited for its time to be over.
            return Bad(400, "this is no HTTP request") if _cannot_begin(self._buffer) else None
        text = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        found = self._heads.get(text) or self._parsed(text)
        if isinstance(found, Head):
            self._head = found
            self._body.clear()
            self._chunk_left, self._trailers = 0, False
        return found

    def _parsed(self, text: bytes) -> Head | Bad:
        """A head that did not come lately. A client's requests on one connection differ in a length, if at all; what
        holds a credential is not kept for it.
        """
        found = _parse(text)
        if isinstance(found, Head) and len(text) <= _MOST_KEPT and "authorization" not in found.headers:
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            self._heads[text] = found
        return found

    def body(self, *, limit: int) -> bytes | Bad | None:
        """The body of the head read last; None until it is whole, 413 for one longer than `limit` bytes."""
        head = self._head
        if head is None:
            return b""
        if head.length is not None:
            if head.length > limit:
                return Bad(413, f"the body is longer than {limit} bytes")
            if len(self._buffer) < head.length:
                return None
            body = bytes(self._buffer[: head.length])
            del self._buffer[: head.length]
        else:
            ended = self._dechunk(limit)
            if ended is not True:
                return None if ended is False else ended
            body = bytes(self._body)
        self._head = None
        return body

    def drained(self, *, limit: int) -> bool | None:
        """Throws the body away as it comes: True when it has ended, False until then, None where it is too long."""
        head = self._head
        if head is None:
            return True
        if head.length is None:
            ended = self._dechunk(limit)
            if ended is True:
                self._head = None
            return None if isinstance(ended, Bad) else ended
        if head.length > limit:
            return None
        taken = min(len(self._buffer), head.length - self._undrained)
        del self._buffer[:taken]
        self._undrained += taken
        if self._undrained < head.length:
            return False
        self._head, self._undrained = None, 0
        return True

    def _dechunk(self, limit: int) -> bool | Bad:
        """RFC 9112 7.1. True at the end of the body."""
        while True:
            if self._chunk_left:
                taken = min(self._chunk_left, len(self._buffer))
                self._body += self._buffer[:taken]
                del self._buffer[:taken]
                self._chunk_left -= taken
                if self._chunk_left:
                    return False
                self._chunk_left = None
            end = self._buffer.find(b"\r\n", 0, MAX_HEAD)
            if end < 0:
                return Bad(400, "a chunk without its end") if len(self._buffer) > _MAX_CHUNK_LINE else False
            line = bytes(self._buffer[:end])
            done = self._line(line, limit)
            del self._buffer[: end + 2]
            if done is not None:
                return done

    def _line(self, line: bytes, limit: int) -> bool | Bad | None:
        """One line between chunks: the end of the chunk before, a size, or a trailer, which is passed over."""
        if self._trailers:
            return None if line else True
        if self._chunk_left is None:
            self._chunk_left = 0
            return Bad(400, "a chunk of another length than it says") if line else None
        size = _CHUNK.fullmatch(line)
        if size is None:
            return Bad(400, "a chunk without its length")
        self._chunk_left = int(size[1], 16)
        if len(self._body) + self._chunk_left > limit:
            return Bad(413, f"the body is longer than {limit} bytes")
        self._trailers = self._chunk_left == 0
        return None


def answer(
    status: int,
    body: bytes = b"",
    *,
    content_type: str = "application/json",
    close: bool = False,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A whole response. Without a Date: a gateway may not know it (RFC 9110 6.6.1)."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
    if status != 204:
        lines.append(f"Content-Type: {content_type}\r\nContent-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body if status != 204 else b"")


def stream_head(content_type: str) -> bytes:
    """The head of a response whose body lasts until the connection ends."""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _cannot_begin(data: bytearray) -> bool:
    """Whether these first bytes can be no method."""
    first = data[:32].partition(b" ")[0]
    return bool(data) and re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}", first) is None


def _parse(text: bytes) -> Head | Bad:
    first, *rest = text.split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        return Bad(400, "this is no HTTP request")
    if line[3] != b"1":
        return Bad(505, "expected HTTP/1.1")
    headers = _headers(rest)
    if isinstance(headers, Bad):
        return headers
    target = line[2].decode("ascii")
    if not target.startswith("/"):
        absolute = _ABSOLUTE.match(target)
        target = target[absolute.end() :] if absolute else ""
    if not target.startswith("/"):
        return Bad(400, "the request's target is no path")
    path, _, query = target.partition("#")[0].partition("?")
    length = _length(headers)
    if isinstance(length, Bad):
        return length
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    current = line[4] != b"0"
    return Head(
        method=line[1].decode("ascii"),
        path=path,
        query=query,
        headers=headers,
        length=length,
        keep_alive=("close" not in options) if current else ("keep-alive" in options),
        expects_continue=current and headers.get("expect", "").lower() == "100-continue",
    )


def _headers(lines: list[bytes]) -> dict[str, str] | Bad:
    if len(lines) > MAX_HEADERS:
        return Bad(431, f"more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            return Bad(400, "a header that is none")
        name, value = found[1].decode("ascii").lower(), found[2].decode("latin-1")
        if name in headers:
            if name in {"content-length", "transfer-encoding", "host", "authorization"}:
                return Bad(400, f"the header {name} stands twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _length(headers: Mapping[str, str]) -> int | Bad | None:
    """RFC 9112 6.3. None: chunked."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if length is not None:
            return Bad(400, "Content-Length beside Transfer-Encoding")
        return None if coding.lower() == "chunked" else Bad(501, "expected no other Transfer-Encoding than chunked")
    if length is None:
        return 0
    return int(length) if _LENGTH.fullmatch(length) else Bad(400, "a Content-Length that is no number")
