"""Where requests come from and where certificates go: each form of source, each sink, and what is wrong with them."""

import base64
import io
import json
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.authority.lot_delivery import FolderSink, JsonSink, TarSink, file_name
from leafward.authority.lot_sources import MAX_LINE, Item, Source, open_source
from leafward.errors import AlreadyExists, NotFound
from leafward.pki.pem import write_block
from leafward.store.lots import Made, Rejection
from tests.authority.lot_line import csr, json_line, pem

REQUEST = csr("gateway-1")


def read(source: Source) -> list[Item]:
    return [item for item in source.items if item is not None]


def opened(path: Path, **more: Any) -> list[Item]:
    return read(open_source(str(path), io.BytesIO(), **more))


# ---- sources


def test_a_folder(tmp_path: Path) -> None:
    """Requests by their endings; folders, hidden files and others are passed over, and others are counted."""
    (tmp_path / "one.csr").write_bytes(pem(REQUEST))
    (tmp_path / "two.DER").write_bytes(REQUEST)
    (tmp_path / ".three.csr").write_bytes(REQUEST)
    (tmp_path / "four.key").write_bytes(b"secret")
    (tmp_path / "five.csr").mkdir()
    source = open_source(str(tmp_path), io.BytesIO())
    assert source.length == 2
    found = {item.where: item for item in read(source)}
    assert {name: (item.name, item.fallback) for name, item in found.items()} == {
        "one.csr": (None, "one"),
        "two.DER": (None, "two"),
    }
    assert found["two.DER"].data == REQUEST
    assert source.ignored() == 2
    assert {item.name for item in opened(tmp_path, file_names_first=True)} == {"one", "two"}


def test_a_file_of_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "one.csr").symlink_to(tmp_path / "gone")
    (tmp_path / "two.csr").write_bytes(REQUEST)
    assert [item.where for item in opened(tmp_path)] == ["two.csr"]


def test_a_csv(tmp_path: Path) -> None:
    """With a heading or without; a path beside it, or base64; each bad line is an item with a fault."""
    (tmp_path / "one.csr").write_bytes(pem(REQUEST))
    text = base64.b64encode(REQUEST).decode()
    lines = [
        "name,csr",
        "one,one.csr",
        f'two,"{text}"',
        "three,gone.csr",
        "four",
        ",one.csr",
        "",
        f"five,{text},six",
        f' seven , "{text[:64]}\n{text[64:]}"',
    ]
    (tmp_path / "lot.csv").write_text("\ufeff" + "\r\n".join(lines))
    found = opened(tmp_path / "lot.csv")
    assert [(item.name, item.fault is None) for item in found] == [
        ("one", True),
        ("two", True),
        ("three", False),
        (None, False),
        (None, False),
        (None, False),
        ("seven", True),
    ]
    assert found[0].data == pem(REQUEST)
    assert found[1].data == REQUEST
    assert isinstance(found[2].fault, NotFound)
    assert found[3].where == "lot.csv, line 5"


def test_a_csv_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "lot.csv").write_bytes(b"caf\xe9,one.csr\nb\x00d,one.csr\n" + b'"open')
    found = opened(tmp_path / "lot.csv")
    assert found
    assert all(item.fault for item in found)


def test_json_lines(tmp_path: Path) -> None:
    good = [json_line(REQUEST, "one"), json.dumps({"csr": pem(REQUEST).decode()}) + "\n", "\n"]
    bad = [
        "{no json",
        "[]",
        '{"name": "x"}',
        '{"csr": 7}',
        json.dumps({"csr": "????"}),
        json.dumps({"csr": base64.b64encode(REQUEST).decode(), "name": 7}),
        json.dumps({"csr": base64.b64encode(REQUEST).decode(), "serial": 7}),
        json.dumps({"csr": base64.b64encode(REQUEST).decode(), "name": "a\u0000b"}),
        "{" * 100_000,
        '{"csr": "' + "A" * (3 * MAX_LINE) + '"}',
    ]
    path = tmp_path / "lot.jsonl"
    path.write_text("".join(good) + "\n".join(bad) + "\n" + json_line(REQUEST, "last"))
    found = opened(path)
    assert [item.name for item in found if item.fault is None] == ["one", None, "last"]
    assert [item.data for item in found if item.fault is None] == [REQUEST, pem(REQUEST), REQUEST]
    assert len([item for item in found if item.fault]) == len(bad)
    assert all(len(item.data) <= MAX_LINE + 1 for item in found)


def test_pem_blocks_and_der(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"a heading\n".join([b"", pem(REQUEST), pem(csr("two")), b"-----BEGIN X-----\n"]))
    path = tmp_path / "bundle.pem"
    path.write_bytes(pem(REQUEST) + b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n" + pem(csr("two")))
    assert [item.where for item in opened(path)] == ["bundle.pem, block 1", "bundle.pem, block 2"]
    (tmp_path / "gateway-9.bin").write_bytes(REQUEST)
    (item,) = opened(tmp_path / "gateway-9.bin")
    assert (item.data, item.fallback) == (REQUEST, "gateway-9")


def test_no_source(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_source(str(tmp_path / "gone"), io.BytesIO())
    (tmp_path / "empty.csv").write_bytes(b"")
    assert opened(tmp_path / "empty.csv") == []


@given(st.binary(max_size=300))
def test_any_file_is_a_source(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever the octets: items or faults, never a crash."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    opened(path)


def test_a_pipe_as_it_flows() -> None:
    """What has come is there at once, though the pipe stays open; a pause is told; half a line waits for its end."""
    reading, writing = os.pipe()
    line = json_line(REQUEST, "one").encode()
    with open(reading, "rb", buffering=0) as stream, open(writing, "wb", buffering=0) as pipe:
        came = open_source("-", stream).items
        pipe.write(line + line[:10])
        first = next(came)
        assert first is not None
        assert first.name == "one"
        assert next(came) is None
        pipe.write(line[10:] + line.rstrip(b"\n"))
        assert next(item for item in came if item is not None).name == "one"
        pipe.close()
        last = [item for item in came if item is not None]
    assert [item.where for item in last] == ["standard input, line 3"]


def test_a_pipe_with_a_line_without_end() -> None:
    """It costs no memory: what is too long is one fault, and the next line is read."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as stream:
        source = open_source("-", stream)

        def feed() -> None:
            with open(writing, "wb") as pipe:
                pipe.writelines(b"A" * MAX_LINE for _ in range(40))
                pipe.write(b"\n" + json_line(REQUEST, "after").encode())

        feeder = threading.Thread(target=feed)
        feeder.start()
        found = read(source)
        feeder.join()
    assert [(item.name, item.fault is None) for item in found] == [(None, False), ("after", True)]
    assert len(found[0].data) <= MAX_LINE


# ---- sinks


ISSUERS = b"-----BEGIN CERTIFICATE-----\nQUFBQQ==\n-----END CERTIFICATE-----\n"


def made(*names: str) -> list[Made]:
    return [Made(name, "1f", "ab" * 32, name.encode() * 20, 0) for name in names]


def content(name: str) -> bytes:
    return write_block("CERTIFICATE", name.encode() * 20) + ISSUERS


def test_files_in_a_folder(tmp_path: Path) -> None:
    names = ["gateway-1", "../gateway", ".hidden", "ü/x", "a" * 64]
    sink = FolderSink(tmp_path / "out", ISSUERS)
    sink.deliver(made(*names))
    sink.settle()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {file_name(name) for name in names}
    assert (tmp_path / "out" / "gateway-1.pem").read_bytes() == content("gateway-1")
    assert (tmp_path / "out" / "gateway-1.pem").stat().st_mode & 0o777 == 0o644


@given(
    st.text(min_size=1, max_size=64).filter(str.isprintable), st.text(min_size=1, max_size=64).filter(str.isprintable)
)
def test_the_files_of_two_names_are_two(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)
    assert "/" not in file_name(one)
    assert not file_name(one).startswith(".")


def test_a_tar_file(tmp_path: Path) -> None:
    """A second run adds to it; one that a kill cut off anywhere is mended."""
    path = tmp_path / "out.tar"
    first = TarSink(path, ISSUERS)
    first.deliver(made("one", "ü" * 32))
    first.settle()
    first.deliver(made("three"))
    first.settle()
    first.close()
    whole = path.read_bytes()
    for length in range(0, len(whole), 128):
        path.write_bytes(whole[:length])
        try:
            sink = TarSink(path, ISSUERS)
        except AlreadyExists:  # less than the first header is left of it
            assert length < tarfile.BLOCKSIZE
            continue
        sink.deliver(made("three", "four"))
        sink.settle()
        sink.close()
        with tarfile.open(path) as archive:
            found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        assert found["four.pem"] == content("four")
        assert found["three.pem"] == content("three")


def test_a_tar_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "out.tar"
    path.write_text("notes that nobody wants to lose" * 100)
    with pytest.raises(AlreadyExists, match="no tar file"):
        TarSink(path, ISSUERS)
    assert path.read_text().startswith("notes")


def test_json_events(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with path.open("wb") as stream:
        sink = JsonSink(stream, "lot", ISSUERS)
        sink.deliver(made('a "quoted" ü\\'))
        sink.reject([Rejection(b"", None, "line 7", "malformed", "why")])
        sink.settle()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    name = 'a "quoted" ü\\'
    assert events == [
        {"event": "lot", "lot": "lot", "issuers": ISSUERS.decode()},
        {
            "event": "issued",
            "name": name,
            "serial": "1f",
            "sha256": "ab" * 32,
            "certificate": write_block("CERTIFICATE", name.encode() * 20).decode(),
        },
        {"event": "rejected", "name": None, "source": "line 7", "code": "malformed", "reason": "why"},
    ]
