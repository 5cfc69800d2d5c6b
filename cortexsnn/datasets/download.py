"""Data sets from the network: resumed where they stopped, checked by hash, and never taken for whole before that."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import lzma
import os
import re
import stat
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, Protocol

from filelock import FileLock
from tqdm.auto import tqdm

from cortexsnn.checks import choice, whole
from cortexsnn.errors import InputError
from cortexsnn.files import cache_folder, existing_file, replacing

__all__ = ["FILES", "MIRRORS", "data_folder", "fetch", "fetch_dataset", "unpack"]

#: Where the authors of the data sets publish them (https://doi.org/10.1109/TNNLS.2020.3044364, CC BY 4.0).
MIRRORS = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")

#: MD5 of the archive of each file, as in tonic (https://github.com/neuromorphs/tonic) and SpikingJelly.
FILES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "shd": {
            "shd_train.h5": "f3252aeb598ac776c1b526422d90eecb",
            "shd_test.h5": "1503a5064faa34311c398fb0a1ed0a6f",
        },
        "ssc": {
            "ssc_train.h5": "d102be95e7144fcc0553d1f45ba94170",
            "ssc_valid.h5": "b4eee3516a4a90dd0c71a6ac23a8ae43",
            "ssc_test.h5": "a35ff1e9cffdd02a20eb850c17c37748",
        },
    }
)

_MOST_BYTES = 16 << 30
_BLOCK_BYTES = 1 << 18
_TIMEOUT_S = 60.0
_RANGE_NOT_SATISFIABLE = 416


def data_folder(name: str) -> Path:
    """Folder of a downloaded data set.

    Parameters
    ----------
    name : str

    Returns
    -------
    pathlib.Path
        ``$CORTEXSNN_DATA/name`` if that variable is set, else ``datasets/name`` in `cortexsnn.files.cache_folder`.
    """
    base = os.environ.get("CORTEXSNN_DATA")
    return (Path(base) if base else cache_folder("datasets")) / name


def fetch_dataset(
    name: str, folder: str | Path | None = None, *, mirrors: Sequence[str] = MIRRORS, progress: bool = True
) -> Path:
    """Make sure that the files of a data set are there; what is missing is downloaded.

    Files that are there already are used as they are, and so are archives (``shd_train.h5.zip``) whose hash is right.

    Parameters
    ----------
    name : {"shd", "ssc"}
        Some 0.2 GB or 1.7 GB to download.
    folder : path-like, optional
        `data_folder` of the name by default. It is made if it is missing.
    mirrors : sequence of str
        Addresses of folders that are tried in turn.
    progress : bool
        Show a bar for what takes longer than five seconds.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        If a file cannot be had, or is not what was published.

    Examples
    --------
    >>> fetch_dataset("shd")  # doctest: +SKIP
    PosixPath('/home/user/.cache/cortexsnn/datasets/shd')
    """
    choice("data set to download", name, FILES)
    place = data_folder(name) if folder is None else Path(folder)
    for file, md5 in FILES[name].items():
        target = place / file
        if target.is_file():
            continue
        place.mkdir(parents=True, exist_ok=True)
        # Another process may be bringing it just now.
        with FileLock(place / f".{file}.lock"):
            if not target.is_file():
                _bring(file, md5, place, mirrors, progress=progress)
    return place


def _bring(file: str, md5: str, place: Path, mirrors: Sequence[str], *, progress: bool) -> None:
    """Download and unpack one file; an archive that the user brought stays."""
    archive = place / f"{file}.zip"
    brought = archive.is_file()
    fetch([f"{mirror.rstrip('/')}/{archive.name}" for mirror in mirrors], archive, md5, progress=progress)
    unpack(archive, place / file, progress=progress)
    if not brought:
        archive.unlink(missing_ok=True)


def fetch(
    urls: Sequence[str],
    path: str | Path,
    md5: str,
    *,
    most_bytes: int = _MOST_BYTES,
    attempts: int = 3,
    pause_s: float = 1.0,
    progress: bool = True,
) -> Path:
    """Download a file.

    What was received is kept beside it as ``*.part``, where the next attempt, or the next call, goes on. The file gets
    its name when its hash is right.

    Parameters
    ----------
    urls : sequence of str
        Where the same file is, tried in turn.
    path : path-like
        Where it goes. A file that is there and has the right hash is not downloaded again.
    md5 : str
        Of the whole file, 32 hexadecimal digits.
    most_bytes : int
        Largest size that is accepted.
    attempts : int
        How often all addresses are tried without receiving anything.
    pause_s : float
        Seconds before they are tried again.
    progress : bool
        Show a bar if it takes longer than five seconds.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    InputError
        If it cannot be had, is too large, or is another file.
    """
    path = Path(path)
    for url in urls:
        if not url.startswith(("https://", "http://")):
            raise InputError("address", url, "one that starts with https:// or http://")
    if not urls:
        raise InputError("addresses", list(urls), "at least one")
    whole("attempts", attempts, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file() and _md5(path) == md5.lower():
            return path
        quiet, reason, left = 0, "", list(urls)
        while left and quiet < attempts:
            if quiet:
                time.sleep(pause_s)
            quiet += 1
            for url in tuple(left):
                before = _size(partial)
                try:
                    _continue(url, partial, most_bytes, progress=progress)
                except (OSError, http.client.HTTPException) as error:
                    reason = f"{url}: {error}"
                    quiet = 0 if _size(partial) > before else quiet
                    continue
                if _md5(partial) == md5.lower():
                    os.replace(partial, path)
                    return path
                reason = f"{url}: its MD5 is {_md5(partial)}, not {md5.lower()}"
                partial.unlink()
                # What was there before may have been of another file; else there is no use in another attempt.
                if not before:
                    left.remove(url)
    raise InputError(f"download of {path}", f"{_size(partial)} bytes", "the whole file",
                     f"{reason}. What was received is kept, and another call goes on")  # fmt: skip


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _continue(url: str, partial: Path, most_bytes: int, *, progress: bool) -> None:
    """Receive the rest of a file, or all of it where the server cannot send a part; OSError if it ends early."""
    have = _size(partial)
    headers = {"User-Agent": "cortexsnn", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _RANGE_NOT_SATISFIABLE and have:
                # Nothing is left to send, or the file there is shorter than what was received.
                if _numbers(error.headers.get("Content-Range"))[-1:] == [have]:
                    return
                partial.unlink()
            raise OSError(f"the server says {error.code} {error.reason}") from None
    with response:
        first, total = _extent(response, have)
        if total is not None and total > most_bytes:
            raise InputError(f"size of {url}", total, f"at most {most_bytes} bytes")
        with (
            partial.open("ab" if first else "wb") as file,
            tqdm(initial=first, total=total, desc=partial.stem, unit="B", unit_scale=True, delay=5,
                 disable=not progress) as bar,
        ):  # fmt: skip
            while block := response.read(_BLOCK_BYTES):
                if file.tell() + len(block) > most_bytes:
                    raise InputError(f"size of {url}", f"more than {file.tell()}", f"at most {most_bytes} bytes")
                file.write(block)
                bar.update(len(block))
    if total is not None and _size(partial) < total:
        raise OSError(f"the connection ended after {_size(partial)} of {total} bytes")


def _extent(response: Any, have: int) -> tuple[int, int | None]:
    """First byte that a server sends, and the size of the whole file where it says so."""
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        numbers = _numbers(response.headers.get("Content-Range"))
        if numbers[:1] != [have]:
            raise OSError(f"the server sends bytes {numbers}, not those from {have}")
        return have, numbers[2] if len(numbers) > 2 else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _numbers(text: str | None) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text or "")]


def unpack(archive: str | Path, target: str | Path, *, most_bytes: int = _MOST_BYTES, progress: bool = True) -> None:
    """Take one file out of an archive; it appears under its name when it is whole.

    Parameters
    ----------
    archive : path-like
        ``*.zip``, which has one file of the name of `target`, in any folder, or ``*.gz``.
    target : path-like
        Where the file goes.
    most_bytes : int
        Largest size of the file.
    progress : bool
        Show a bar if it takes longer than five seconds.

    Raises
    ------
    InputError
        If the archive is damaged, has entries that lead out of its folder, links or encrypted entries, or unpacks to
        more than `most_bytes`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(folder / "train.h5.zip", "w") as made:
    ...     made.writestr("train.h5", "spikes")
    >>> unpack(folder / "train.h5.zip", folder / "train.h5")
    >>> (folder / "train.h5").read_text()
    'spikes'
    """
    source, target = existing_file(archive, "archive"), Path(target)
    try:
        if source.suffix == ".gz":
            with gzip.open(source) as stream:
                _copy(stream, target, source, most_bytes, None, progress=progress)
        else:
            with zipfile.ZipFile(source) as file:
                member = _member(file, source, target.name, most_bytes)
                with file.open(member) as stream:
                    _copy(stream, target, source, most_bytes, member.file_size, progress=progress)
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise InputError("archive", str(source), "a whole archive", str(error)) from None


def _member(file: zipfile.ZipFile, archive: Path, name: str, most_bytes: int) -> zipfile.ZipInfo:
    """The one file of a name, if all entries of the archive are harmless."""
    for entry in file.infolist():
        path, windows = PurePosixPath(entry.filename), PureWindowsPath(entry.filename)
        if path.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
            raise InputError(f"entry of {archive}", entry.filename, "a name inside the folder of the archive")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(f"entry of {archive}", entry.filename, "a file, no link")
        if entry.flag_bits & 1:
            raise InputError(f"entry of {archive}", entry.filename, "a file without a password")
    found = [entry for entry in file.infolist() if PurePosixPath(entry.filename).name == name and not entry.is_dir()]
    if len(found) != 1:
        raise InputError(f"entries of {archive}", file.namelist(), f"one file named {name}")
    if found[0].file_size > most_bytes:
        raise InputError(f"size of {name} in {archive}", found[0].file_size, f"at most {most_bytes} bytes")
    return found[0]


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _copy(
    stream: _Readable, target: Path, archive: Path, most_bytes: int, total: int | None, *, progress: bool
) -> None:
    """Unpack block by block, so that a small archive cannot fill memory or disk."""
    unpacked = 0
    with (
        replacing(target) as temporary,
        temporary.open("wb") as file,
        tqdm(total=total, desc=f"unpacking {target.name}", unit="B", unit_scale=True, delay=5,
             disable=not progress) as bar,
    ):  # fmt: skip
        while block := stream.read(_BLOCK_BYTES):
            unpacked += len(block)
            if unpacked > most_bytes:
                raise InputError(f"size of {target.name} in {archive}", f"more than {most_bytes}",
                                 f"at most {most_bytes} bytes")  # fmt: skip
            file.write(block)
            bar.update(len(block))
