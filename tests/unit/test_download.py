"""Downloads go on where they stopped, are checked by hash, and are never taken for whole before; archives are harmless.

The server is one of this process; no test leaves the machine.
"""

import gzip
import hashlib
import http.server
import io
import re
import stat
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import numpy as np
import pytest

from cortexsnn.datasets import download, heidelberg, layout
from cortexsnn.errors import InputError

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves files of the server object, in the way that its `manner` says."""

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        content = server.files.get(self.path)
        if "once" in server.manner:
            server.files.pop(self.path, None)
        if content is None:
            self.send_error(404)
            return
        wanted = re.match(r"bytes=(\d+)-$", self.headers.get("Range") or "")
        first = int(wanted[1]) if wanted and "no ranges" not in server.manner else 0
        if first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        if first:
            start = first + 1 if "wrong range" in server.manner else first
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if "no length" not in server.manner:
            self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        part = content[first:]
        if "cut" in server.manner:
            part = part[:100_000]
        self.wfile.write(part)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.files, made.manner, made.asked = {"/data": CONTENT}, set(), []
    made.address = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def fetched(server, path, md5=MD5, **options):
    urls = [f"{server.address}{place}" for place in options.pop("places", ["/data"])]
    return download.fetch(urls, path, md5, pause_s=0, progress=False, **options)


def test_a_file_is_received_whole(server, tmp_path):
    assert fetched(server, tmp_path / "new" / "data.bin").read_bytes() == CONTENT
    assert not (tmp_path / "new" / "data.bin.part").exists()
    assert server.asked == [("/data", None)]
    fetched(server, tmp_path / "new" / "data.bin")
    assert len(server.asked) == 1  # it is there


def test_a_cut_connection_goes_on_where_it_stopped(server, tmp_path):
    server.manner = {"cut"}
    assert fetched(server, tmp_path / "data.bin").read_bytes() == CONTENT
    assert [part for _, part in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_another_call_goes_on_where_the_last_one_stopped(server, tmp_path):
    server.manner = {"cut", "once"}
    with pytest.raises(InputError, match=r"is '100000 bytes'; expected the whole file. .* says 404"):
        fetched(server, tmp_path / "data.bin")
    assert not (tmp_path / "data.bin").exists()
    server.manner, server.files["/data"] = set(), CONTENT
    assert fetched(server, tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.asked[-1] == ("/data", "bytes=100000-")


def test_a_partial_download_is_never_taken_for_whole(server, tmp_path):
    # The server stops for good after a part, with and without saying how long the file is.
    for manner in ({"cut"}, {"cut", "no length"}):
        server.manner = manner
        server.files["/data"] = CONTENT[:90_000]
        with pytest.raises(InputError, match=r"download of .*; expected the whole file"):
            fetched(server, tmp_path / "data.bin")
        assert not (tmp_path / "data.bin").exists()


def test_servers_that_cannot_go_on_start_anew(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(b"something else entirely")
    server.manner = {"no ranges"}
    assert fetched(server, tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)])
def test_what_is_left_of_another_file_is_thrown_away(server, tmp_path, left):
    (tmp_path / "data.bin.part").write_bytes(left)
    assert fetched(server, tmp_path / "data.bin").read_bytes() == CONTENT


def test_all_that_was_missing_was_the_name(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    assert fetched(server, tmp_path / "data.bin").read_bytes() == CONTENT


def test_bytes_from_elsewhere_are_not_appended(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    server.manner = {"wrong range"}
    with pytest.raises(InputError, match="not those from 1000"):
        fetched(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin.part").read_bytes() == CONTENT[:1000]


def test_another_file_is_refused(server, tmp_path):
    server.files["/data"] = CONTENT[::-1]
    with pytest.raises(InputError, match=f"its MD5 is .* not {MD5}"):
        fetched(server, tmp_path / "data.bin")
    assert list(tmp_path.glob("data.bin*")) == []
    assert len(server.asked) == 1  # there is no use in asking again


def test_a_mirror_helps_out(server, tmp_path):
    server.files["/mirror"] = CONTENT
    server.files["/bad"] = CONTENT[:-1]
    assert fetched(server, tmp_path / "data.bin", places=["/nowhere", "/bad", "/mirror"]).read_bytes() == CONTENT


def test_a_file_that_is_there_but_damaged_is_replaced(server, tmp_path):
    (tmp_path / "data.bin").write_bytes(CONTENT[:-1])
    assert fetched(server, tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("manner", [set(), {"no length"}])
def test_too_large_files_are_refused(server, tmp_path, manner):
    server.manner = manner
    with pytest.raises(InputError, match=r"size of http.*; expected at most 1000 bytes"):
        fetched(server, tmp_path / "data.bin", most_bytes=1000)
    assert not (tmp_path / "data.bin").exists()


def test_what_cannot_be_had_is_named(server, tmp_path):
    with pytest.raises(
        InputError, match=r"download of .* is '0 bytes'; expected the whole file. .*the server says 404"
    ):
        fetched(server, tmp_path / "data.bin", places=["/nowhere"])
    closed = f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError, match=r"download of .*expected the whole file"):
        download.fetch([f"{closed}/data"], tmp_path / "data.bin", MD5, pause_s=0)
    for address in ("file:///etc/hostname", "ftp://127.0.0.1/data"):
        with pytest.raises(InputError, match=r"address is .*; expected one that starts with https"):
            download.fetch([address], tmp_path / "data.bin", MD5)
    with pytest.raises(InputError, match="addresses is"):
        download.fetch([], tmp_path / "data.bin", MD5)


# --- archives ------------------------------------------------------------------------------------------------------


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def test_archives_are_unpacked(tmp_path):
    download.unpack(zipped(tmp_path / "a.h5.zip", [("data/a.h5", CONTENT), ("note", b"")]), tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
    (tmp_path / "b.h5.gz").write_bytes(gzip.compress(CONTENT))
    download.unpack(tmp_path / "b.h5.gz", tmp_path / "b.h5")
    assert (tmp_path / "b.h5").read_bytes() == CONTENT


def link():
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize("name", ["../a.h5", "/a.h5", "x/../../a.h5", "C:/a.h5", "..\\a.h5", "\\a.h5"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    # Zip slip: even beside the entry that is wanted.
    folder = tmp_path / "in"
    folder.mkdir()
    archive = zipped(folder / "a.zip", [("a.h5", b"1"), (name, b"2")])
    with pytest.raises(InputError, match=r"entry of .*; expected a name inside the folder"):
        download.unpack(archive, folder / "a.h5")
    assert [p.name for p in folder.iterdir()] == ["a.zip"]
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([(link(), "/etc"), ("a.h5", b"1")], "expected a file, no link"),
        ([("b.h5", b"1")], "expected one file named a.h5"),
        ([("x/a.h5", b"1"), ("y/a.h5", b"2")], "expected one file named a.h5"),
        ([], "expected one file named a.h5"),
    ],
)
def test_odd_archives_are_refused(tmp_path, entries, message):
    with pytest.raises(InputError, match=message):
        download.unpack(zipped(tmp_path / "a.zip", entries), tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_bombs_are_refused(tmp_path):
    # 50 MB that pack to 50 kB: refused by what the archive says, or while it is unpacked if it does not say so.
    bomb = bytes(50 << 20)
    zipped(tmp_path / "a.zip", [("a.h5", bomb)])
    (tmp_path / "a.gz").write_bytes(gzip.compress(bomb))
    lying = bytearray((tmp_path / "a.zip").read_bytes())
    size = len(bomb).to_bytes(4, "little")
    while size in lying:
        place = lying.index(size)
        lying[place : place + 4] = (10).to_bytes(4, "little")
    (tmp_path / "lying.zip").write_bytes(lying)
    del bomb
    tracemalloc.start()
    try:
        for name in ("a.zip", "a.gz", "lying.zip"):
            with pytest.raises(InputError, match=r"size of a.h5 in .*; expected at most|a whole archive"):
                download.unpack(tmp_path / name, tmp_path / "a.h5", most_bytes=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gz", "a.zip", "lying.zip"]


def test_damaged_archives_are_refused(tmp_path):
    whole = {"a.zip": zipped(tmp_path / "a.zip", [("a.h5", CONTENT)]).read_bytes(), "a.gz": gzip.compress(CONTENT)}
    for name, content in whole.items():
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 0xFF
        for damaged in (content[: len(content) // 2], bytes(flipped), b"not an archive"):
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(InputError, match=r"archive is .*; expected a whole archive"):
                download.unpack(tmp_path / name, tmp_path / "a.h5")
            assert not (tmp_path / "a.h5").exists()
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"archive is .*; expected an existing file"):
        download.unpack(tmp_path / "nowhere.zip", tmp_path / "a.h5")


# --- data sets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def published(server, tmp_path, monkeypatch):
    """A small data set with the names of the Spiking Heidelberg Digits on the server, and an empty data folder."""
    rng = np.random.default_rng(1)
    hashes = {}
    for file, trials in (("shd_train.h5", 10), ("shd_test.h5", 4)):
        spikes = [rng.uniform(0, 1, 9).astype(np.float16) for _ in range(trials)]
        layout.write(tmp_path / file, spikes, rng.integers(0, 700, (trials, 9)), np.arange(trials) % 2,
                     speaker=np.arange(trials) % 3)  # fmt: skip
        packed = io.BytesIO()
        zipped(packed, [(file, (tmp_path / file).read_bytes())])
        server.files[f"/{file}.zip"] = packed.getvalue()
        hashes[file] = hashlib.md5(packed.getvalue()).hexdigest()
    monkeypatch.setattr(download, "FILES", MappingProxyType({"shd": hashes}))
    monkeypatch.setenv("CORTEXSNN_DATA", str(tmp_path / "data"))
    return tmp_path


def test_a_data_set_is_downloaded_on_first_use(server, published):
    folder = download.fetch_dataset("shd", mirrors=[server.address], progress=False)
    assert folder == published / "data" / "shd"
    assert sorted(p.name for p in folder.glob("[!.]*")) == ["shd_test.h5", "shd_train.h5"]
    assert len(server.asked) == 2
    loaded = heidelberg.load_shd(steps=10)
    assert len(server.asked) == 2
    assert [len(split) for split in (loaded.train, loaded.validation, loaded.test)] == [8, 2, 4]
    # Protects networks from the place where one machine keeps its downloads.
    assert loaded.description["name"] == "shd"
    assert "folder" not in loaded.description


def test_two_at_once_download_each_file_once(server, published):
    # A second one that waits must see what the first has brought; SSC is 1.7 GB.
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(download.fetch_dataset, "shd", mirrors=[server.address], progress=False) for _ in range(4)]
        assert {one.result() for one in asked} == {published / "data" / "shd"}
    assert len(server.asked) == 2


def test_local_copies_are_used(server, published):
    folder = published / "data" / "shd"
    folder.mkdir(parents=True)
    (folder / "shd_train.h5").write_bytes((published / "shd_train.h5").read_bytes())
    (folder / "shd_test.h5.zip").write_bytes(server.files["/shd_test.h5.zip"])
    download.fetch_dataset("shd", mirrors=[server.address], progress=False)
    assert server.asked == []
    assert (folder / "shd_test.h5").read_bytes() == (published / "shd_test.h5").read_bytes()
    assert (folder / "shd_test.h5.zip").exists()  # it was brought, and is not ours to remove
    assert len(heidelberg.load_shd(published, steps=10).test) == 4


def test_data_sets_and_folders_have_names(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="data set to download is 'mnist'; expected one of shd, ssc"):
        download.fetch_dataset("mnist")
    monkeypatch.delenv("CORTEXSNN_DATA", raising=False)
    monkeypatch.setenv("CORTEXSNN_CACHE", str(tmp_path))
    assert download.data_folder("ssc") == tmp_path / "datasets" / "ssc"


def test_hashes_are_hashes():
    # Protects from a slip of the hand: the published names, and 32 hexadecimal digits for each.
    assert {name: sorted(files) for name, files in download.FILES.items()} == {
        "shd": ["shd_test.h5", "shd_train.h5"],
        "ssc": ["ssc_test.h5", "ssc_train.h5", "ssc_valid.h5"],
    }
    hashes = [md5 for files in download.FILES.values() for md5 in files.values()]
    assert len(set(hashes)) == 5
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in hashes)
