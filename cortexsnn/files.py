"""Files that are never half-written, and HDF5 files that are never trusted before they are looked at."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from cortexsnn.errors import InputError

__all__ = ["cache_folder", "existing_file", "open_hdf5", "replacing", "write_text"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place only when the block ends without error.

    Parameters
    ----------
    path : path-like
        The file to write. Its folder is made if it is missing.

    Yields
    ------
    pathlib.Path
        Where to write. Removed if the block raises, so that an interrupted write leaves the old file.

    Raises
    ------
    InputError
        If `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise InputError("output file", str(target), "a file name", "a folder of that name exists")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner may read; give the result the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a whole text file in UTF-8, or leave what was there.

    Parameters
    ----------
    path : path-like
        The file to write. Its folder is made if it is missing.
    text : str

    Raises
    ------
    InputError
        If `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "notes" / "today.txt"
    >>> write_text(target, "τ = 20 ms")
    >>> target.read_text(encoding="utf-8")
    'τ = 20 ms'
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def existing_file(path: str | os.PathLike[str], what: str) -> Path:
    """Return `path` if it is a non-empty file, or raise `InputError` naming `what` was looked for.

    Parameters
    ----------
    path : path-like
    what : str
        What the file is to the user, for messages (``"network file"``).

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the file is missing, a folder, or empty.

    Examples
    --------
    >>> existing_file("nowhere.nc", "recording file")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: recording file is 'nowhere.nc'; expected an existing file
    """
    given = Path(path)
    if not given.exists():
        raise InputError(what, str(given), "an existing file")
    if not given.is_file():
        raise InputError(what, str(given), "a file", "this is a folder")
    if given.stat().st_size == 0:
        raise InputError(what, str(given), "a file with content", "this one is empty (0 bytes)")
    return given


def _refuse_links_elsewhere(file: h5py.File, path: Path, what: str) -> None:
    """Walk every link and dataset; refuse what would make HDF5 read outside this file."""
    pending = [file["/"]]
    seen: set[tuple[int, int]] = set()
    while pending:
        group = pending.pop()
        info = h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) in seen:
            continue
        seen.add((info.fileno, info.addr))
        for name in group:
            link = group.get(name, getlink=True)
            where = f"{group.name.rstrip('/')}/{name}"
            if isinstance(link, h5py.ExternalLink):
                raise InputError(f"{what} {path}, entry {where}", link.filename, "data inside the file itself",
                                 "links to other files are refused; copy the data in")  # fmt: skip
            member = group.get(name)
            if isinstance(member, h5py.Group):
                pending.append(member)
            elif isinstance(member, h5py.Dataset) and (member.is_virtual or member.external):
                raise InputError(f"{what} {path}, entry {where}", "virtual or external storage",
                                 "data inside the file itself", "copy the data in")  # fmt: skip


def _unpacked_bytes(file: h5py.File) -> int:
    """How much a file says it holds; a small one can claim to unpack to any size."""
    sizes: list[int] = []

    def add(_: str, member: h5py.Group | h5py.Dataset) -> None:
        if isinstance(member, h5py.Dataset):
            sizes.append(int(member.size or 0) * member.dtype.itemsize)

    file.visititems(add)
    return sum(sizes)


def open_hdf5(path: str | os.PathLike[str], what: str, most_bytes: int = 64 << 30) -> h5py.File:
    """Open an HDF5 file for reading after checking that it keeps all of its data inside.

    Parameters
    ----------
    path : path-like
        The file.
    what : str
        What the file is to the user, for messages (``"spike file"``).
    most_bytes : int
        Largest size of all of its data once unpacked.

    Returns
    -------
    h5py.File
        Open for reading; close it, or use it in a ``with`` block.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, not HDF5, too large, or reads from other files.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "spikes.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["labels"] = [0, 1]
    >>> with open_hdf5(path, "spike file") as file:
    ...     list(file)
    ['labels']
    """
    checked = existing_file(path, what)
    try:
        file = h5py.File(checked, "r")
    except OSError as error:
        raise InputError(what, str(checked), "a complete HDF5 file", f"HDF5 says: {error}") from None
    try:
        _refuse_links_elsewhere(file, checked, what)
        unpacked = _unpacked_bytes(file)
        if unpacked > most_bytes:
            raise InputError(f"unpacked size of {what} {checked}", unpacked, f"at most {most_bytes} bytes")
    except (RuntimeError, KeyError, OSError, TypeError, ValueError) as error:
        file.close()
        raise InputError(what, str(checked), "a complete HDF5 file", f"HDF5 says: {error}") from None
    except InputError:
        file.close()
        raise
    return file


def cache_folder(name: str) -> Path:
    """Folder for things that can be made again, such as compiled programs.

    Parameters
    ----------
    name : str
        What is kept there.

    Returns
    -------
    pathlib.Path
        ``$CORTEXSNN_CACHE/name`` if that variable is set, else ``$XDG_CACHE_HOME/cortexsnn/name`` or
        ``~/.cache/cortexsnn/name``. It is made if it is missing.
    """
    base = os.environ.get("CORTEXSNN_CACHE")
    root = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cortexsnn"
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
