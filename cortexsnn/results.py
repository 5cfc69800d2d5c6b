"""Result tables on disk: netCDF files that say what they hold and are checked before they are believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from cortexsnn.errors import InputError
from cortexsnn.files import open_hdf5, replacing

__all__ = ["load_dataset", "save_dataset"]

# Results are summaries.
_LARGEST_BYTES = 2**30


def save_dataset(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a result to netCDF, all of it or nothing.

    Parameters
    ----------
    dataset : xarray.Dataset
        With an attribute ``schema`` that names its kind.
    path : path-like

    Raises
    ------
    InputError
        If the dataset does not say what it is.
    """
    if not isinstance(dataset.attrs.get("schema"), str):
        raise InputError("schema of the result", dataset.attrs.get("schema"), "a name for the kind of result",
                         "save what estimate or compare returned")  # fmt: skip
    with replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")


def load_dataset(path: str | Path, *, what: str, schema: str, required: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    """Read a result into memory and check that it is whole.

    Parameters
    ----------
    path : path-like
    what : str
        What the file is to the user (``"timescales file"``).
    schema : str
        The kind of result expected.
    required : mapping
        Dimensions of every variable that must be there.

    Returns
    -------
    xarray.Dataset
        Strings are of fixed width, as they were before saving.

    Raises
    ------
    InputError
        If the file is missing, truncated, reads from other files, is too large, or is not such a result.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "result.nc"
    >>> save_dataset(xr.Dataset({"status": ("layer", ["ok", "too_short"])}, attrs={"schema": "example-1"}), path)
    >>> back = load_dataset(path, what="example file", schema="example-1", required={"status": ("layer",)})
    >>> back["status"].to_numpy()
    array(['ok', 'too_short'], dtype='<U9')
    """
    open_hdf5(path, what, _LARGEST_BYTES).close()
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            dataset = opened.load()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(what, str(path), "a netCDF file that cortexsnn wrote, undamaged", str(error)) from None
    if dataset.attrs.get("schema") != schema:
        raise InputError(f"schema of {what} {path}", dataset.attrs.get("schema"), f"'{schema}'")
    for name, dimensions in required.items():
        if name not in dataset.variables:
            raise InputError(f"variables of {what} {path}", list(map(str, dataset.variables)), f"one named '{name}'")
        if dataset[name].dims != dimensions:
            raise InputError(f"dimensions of '{name}' in {what} {path}", dataset[name].dims, f"{dimensions}")
    # Strings come back from HDF5 as Python objects.
    strings = [name for name, variable in dataset.variables.items() if variable.dtype == object]
    return dataset.assign_coords({n: dataset[n].astype(str) for n in strings if n in dataset.coords}).assign(
        {n: dataset[n].astype(str) for n in strings if n in dataset.data_vars}
    )
