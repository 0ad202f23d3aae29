"""HTTP/1.1 as bytes: whole, in pieces, one after the other, and everything that could be read in two ways refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.wire.http1 import MAX_HEAD, MAX_HEADERS, Bad, Head, RequestReader, answer, stream_head

POST = b"POST /modules/m/genid/1/sign?api-version=2018-06-28 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"


def read(data: bytes, *, limit: int = 100, step: int | None = None) -> list[object]:
    """What comes out: heads and bodies, until no more is whole."""
    reader, found = RequestReader(), list[object]()
    pieces = [data] if step is None else [data[at : at + step] for at in range(0, len(data), step)]
    in_body = False
    for piece in pieces:
        reader.feed(piece)
        while True:
            got = reader.body(limit=limit) if in_body else reader.head()
            if got is None:
                break
            found.append(got)
            if isinstance(got, Bad):
                return found
            in_body = isinstance(got, Head)
    return found


def test_a_request_and_the_next() -> None:
    head, body, second, empty = read(POST + b"\r\nGET /b HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
    assert isinstance(head, Head)
    assert (head.method, head.path, head.query, head.length) == (
        "POST", "/modules/m/genid/1/sign", "api-version=2018-06-28", 4,
    )  # fmt: skip
    assert (head.headers["host"], head.keep_alive, body) == ("x", True, b"body")
    assert isinstance(second, Head)
    assert (second.method, second.keep_alive, second.length, empty) == ("GET", True, 0, b"")


@settings(max_examples=30)
@given(st.integers(1, len(POST + CHUNKED)))
def test_in_pieces_of_any_size(step: int) -> None:
    whole = read(POST + CHUNKED)
    assert read(POST + CHUNKED, step=step) == whole
    assert whole[1::2] == [b"body", b"abcde"]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a%2Fb?x=%20&y#f", "/a%2Fb", "x=%20&y"),
        (b"http://manager/trust-bundle?a=b", "/trust-bundle", "a=b"),
        (b"HTTP://user@h:80/x", "/x", ""),
    ],
)
def test_targets(target: bytes, path: str, query: str) -> None:
    """Origin form, and absolute form as proxies send it."""
    (head, _) = read(b"GET " + target + b" HTTP/1.1\r\n\r\n")
    assert isinstance(head, Head)
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(
    ("line", "keeps"),
    [("HTTP/1.1", True), ("HTTP/1.0", False)],
)
@pytest.mark.parametrize(("option", "changed"), [("close", False), ("keep-alive", True), ("x, Close", False)])
def test_whether_the_connection_is_kept(line: str, keeps: bool, option: str, changed: bool) -> None:
    (head, _) = read(f"GET / {line}\r\n\r\n".encode())
    assert isinstance(head, Head)
    assert head.keep_alive is keeps
    (head, _) = read(f"GET / {line}\r\nConnection: {option}\r\n\r\n".encode())
    assert isinstance(head, Head)
    assert head.keep_alive is changed


BAD = {
    "no_http": (b"\x16\x03\x01\x02\x00\x01", 400),
    "too_few_words": (b"GET\r\n\r\n", 400),
    "lower_version": (b"GET / HTTP/2.0\r\n\r\n", 505),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n\r\n", 400),
    "authority": (b"CONNECT host:80 HTTP/1.1\r\n\r\n", 400),
    "blank_in_target": (b"GET /a b HTTP/1.1\r\n\r\n", 400),
    "bare_line_feeds": (b"GET / HTTP/1.1\n\n\r\n\r\n", 400),
    "folded_header": (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
    "blank_before_colon": (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
    "control_in_value": (b"GET / HTTP/1.1\r\nA: b\x00\r\n\r\n", 400),
    "no_colon": (b"GET / HTTP/1.1\r\nA\r\n\r\n", 400),
    "two_lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "same_length_twice": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    "length_beside_chunks": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "signed_length": (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
    "length_in_words": (b"POST / HTTP/1.1\r\nContent-Length: one\r\n\r\n", 400),
    "long_length": (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 19 + b"\r\n\r\n", 400),
    "other_coding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "two_hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "endless_head": (b"GET /" + b"a" * MAX_HEAD, 431),
    "many_headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", 431),
}  # fmt: skip


@pytest.mark.parametrize("defect", BAD)
def test_what_is_refused(defect: str) -> None:
    data, status = BAD[defect]
    found = read(data)[-1]
    assert isinstance(found, Bad), found
    assert found.status == status


CHUNKS = {
    "no_length": (b"\r\nabc", 400),
    "no_number": (b"x\r\nabc\r\n0\r\n\r\n", 400),
    "signed": (b"-3\r\nabc", 400),
    "too_short": (b"2\r\nabc\r\n0\r\n\r\n", 400),
    "too_long": (b"4\r\nabc\r\n0\r\n\r\n", 400),
    "huge": (b"ffffffff\r\n", 413),
    "more_than_the_limit": (b"30\r\n" + b"a" * 48 + b"\r\n40\r\n", 413),
    "endless_length": (b"1" * 300, 400),
}


@pytest.mark.parametrize("defect", CHUNKS)
def test_chunks_that_are_refused(defect: str) -> None:
    data, status = CHUNKS[defect]
    found = read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + data)[-1]
    assert isinstance(found, Bad), found
    assert found.status == status


def test_a_body_that_is_too_long_is_known_before_it_comes() -> None:
    assert read(POST, limit=3)[-1] == Bad(413, "the body is longer than 3 bytes")


def test_an_unwanted_body_is_thrown_away() -> None:
    """By length and in chunks; what comes behind it is the next request."""
    for data in (POST, CHUNKED):
        reader = RequestReader()
        reader.feed(data[:-3])
        assert isinstance(reader.head(), Head)
        assert reader.drained(limit=100) is False
        reader.feed(data[-3:] + POST)
        assert reader.drained(limit=100) is True
        assert reader.drained(limit=100) is True
        head = reader.head()
        assert isinstance(head, Head)
        assert reader.body(limit=100) == b"body"


def test_an_unwanted_body_has_its_limit_too() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
    assert isinstance(reader.head(), Head)
    assert reader.drained(limit=999) is None


def test_a_hundred_is_expected() -> None:
    (head,) = read(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
    assert isinstance(head, Head)
    assert head.expects_continue


def test_answers() -> None:
    assert answer(200, b"{}") == b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    assert answer(204, b"x", close=True) == b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    assert b"\r\nAllow: GET\r\n" in answer(405, b"{}", headers={"Allow": "GET"})
    assert answer(299).startswith(b"HTTP/1.1 299 Unknown\r\n")
    assert stream_head("text/event-stream").endswith(b"Connection: close\r\n\r\n")


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_garbage_never_raises(data: bytes) -> None:
    read(data)
    read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + data)


def test_a_head_that_comes_again_is_not_read_again_unless_it_holds_a_credential() -> None:
    reader = RequestReader()
    for line, same in ((b"X: 1", True), (b"Authorization: Basic eA==", False)):
        heads = []
        for _ in range(2):
            reader.feed(b"GET /a HTTP/1.1\r\n" + line + b"\r\n\r\n")
            heads.append(reader.head())
            assert reader.body(limit=1) == b""
        assert heads[0] == heads[1]
        assert (heads[0] is heads[1]) is same


def test_few_heads_are_remembered() -> None:
    reader = RequestReader()
    for number in range(100):
        reader.feed(f"GET /{number} HTTP/1.1\r\n\r\n".encode())
        head = reader.head()
        assert isinstance(head, Head)
        assert (head.path, reader.body(limit=1)) == (f"/{number}", b"")
        assert len(reader._heads) <= 4
