"""Tables of a comparison, and what came out of it in sentences that are computed from the results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from cortexsnn.summary.networks import Rows, counted

__all__ = ["contrast_rows", "correlation_rows", "protocol_sentences", "slope_rows", "verdict"]


def _each(comparison: xr.Dataset, place: str) -> Iterator[tuple[str, xr.Dataset]]:
    """Name and part of every place along a dimension; names may be numbers."""
    for index, name in enumerate(comparison[place].to_numpy().astype(str).tolist()):
        yield name, comparison.isel({place: index})


def _p_value(value: float, exact: bool, error: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g} (exact)" if exact else f"{value:.2g} ± {error:.1g} (sampled)"


def correlation_rows(comparison: xr.Dataset) -> Rows:
    """Rank correlations of the networks and of the cortex, each with n, p and a word of caution.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
    columns = ["what", "n", "Spearman", "p", "Kendall", "p ", "note"]
    rows = []
    for kind, place, sizes in (("order", "network", "layers_used"), ("cortex", "cortex", "cortex_n")):
        for name, one in _each(comparison, place):
            cells = [name if place == "network" else f"cortex, {name}", str(int(one[sizes]))]
            for statistic in ("spearman", "kendall"):
                at = one.sel(statistic=statistic)
                coefficient = float(at[f"{kind}_coefficient"])
                cells.append(f"{coefficient:+.2f}" if np.isfinite(coefficient) else "-")
                cells.append(
                    _p_value(
                        float(at[f"{kind}_p_value"]),
                        bool(at[f"{kind}_p_is_exact"]),
                        float(at[f"{kind}_p_standard_error"]),
                    )
                )
            notes = [str(one[f"{kind}_note"].sel(statistic=s).item()) for s in ("spearman", "kendall")]
            cells.append("; ".join(dict.fromkeys(note for note in notes if note)))
            rows.append(cells)
    return columns, rows


def _number(value: float, digits: int = 2, sign: str = "+") -> str:
    return f"{value:{sign}.{digits}f}" if np.isfinite(value) else "-"


def _between(one: xr.Dataset, name: str, sign: str = "+") -> str:
    """Interval of a variable; a bound that these data do not give is infinite."""
    low, high = float(one[f"{name}_low"]), float(one[f"{name}_high"])
    if np.isnan(low) or np.isnan(high):
        return "-"
    ends = [f"{end:{sign}.2f}" if np.isfinite(end) else ("-∞" if end < 0 else "∞") for end in (low, high)]
    return " to ".join(ends)


def _notes(*notes: object) -> str:
    return "; ".join(dict.fromkeys(str(note) for note in notes if str(note)))


def slope_rows(comparison: xr.Dataset) -> Rows:
    """Slopes of the conditions, the cortex and every network, with intervals, ratios and the difference to the cortex.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    columns : list of str
    rows : list of list of str
        The difference is that to the means of areas.
    """
    columns = ["what", "n", "slope", "interval", "top / bottom", "less cortex", "interval ", "note"]
    rows = []
    for name, one in _each(comparison.sel(cortex="area means"), "condition"):
        rows.append(
            [
                name,
                counted(int(one["condition_networks"]), "network"),
                _number(float(one["condition_slope"])),
                _between(one, "condition_slope"),
                _number(float(one["condition_ratio"]), sign=""),
                _number(float(one["cortex_difference"])),
                _between(one, "cortex_difference"),
                _notes(one["condition_slope_note"].item(), one["cortex_difference_note"].item()),
            ]
        )
    for name, one in _each(comparison, "cortex"):
        rows.append(
            [
                f"cortex, {name}",
                str(int(one["cortex_n"])),
                _number(float(one["cortex_slope"])),
                _between(one, "cortex_slope"),
                _number(float(one["cortex_ratio"]), sign=""),
                "",
                "",
                str(one["cortex_slope_note"].item()),
            ]
        )
    for name, one in _each(comparison, "network"):
        known = np.isfinite(float(one["slope_measured_low"])) or np.isinf(float(one["slope_measured_low"]))
        rows.append(
            [
                name,
                counted(int(one["layers_used"]), "layer"),
                _number(float(one["slope"])),
                _between(one, "slope_measured" if known else "slope"),
                _number(float(one["ratio"]), sign=""),
                _number(float(one["slope"] - one["cortex_slope"].sel(cortex="area means"))),
                "",
                _notes(one["slope_note"].item(), "" if known else "interval of the line: errors are not known"),
            ]
        )
    return columns, rows


def _contrast_row(one: xr.Dataset, kind: str, name: str, question: str, mean: str) -> list[str]:
    exact, error = bool(one[f"{kind}_p_is_exact"]), float(one[f"{kind}_p_standard_error"])
    return [
        name,
        question,
        str(int(one["contrast_pairs"])),
        _number(float(one[mean])),
        _between(one, kind),
        _number(float(one[f"{kind}_d_z"])),
        _between(one, f"{kind}_d_z"),
        _number(float(one[f"{kind}_rank_biserial"])),
        _p_value(float(one[f"{kind}_p_value"]), exact, error),
        _number(float(one[f"{kind}_p_holm"]), 3, ""),
        str(one[f"{kind}_note"].item()),
    ]


def contrast_rows(comparison: xr.Dataset) -> Rows:
    """Pairs of conditions: which rises more, and which is nearer to the cortex, with effect sizes.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    columns : list of str
    rows : list of list of str
        Two of each contrast.
    """
    columns = ["conditions", "what", "pairs", "difference", "interval", "d_z", "interval ", "rank-biserial", "p"]
    columns += ["p (Holm)", "note"]
    rows = []
    for name, one in _each(comparison.sel(cortex="area means"), "contrast"):
        rows.append(_contrast_row(one, "contrast", name, "slope", "contrast_slope_difference"))
        rows.append(_contrast_row(one, "toward", "", "nearer to the cortex by", "toward_gain"))
    return columns, rows


def protocol_sentences(comparison: xr.Dataset) -> list[str]:
    """Say whether networks were measured by the protocol of the study, the same for many networks once.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    list of str

    Examples
    --------
    >>> comparison = xr.Dataset(
    ...     {"protocol": ("network", ["differs"] * 2), "protocol_note": ("network", ["differs: bin_ms 10"] * 2)},
    ...     {"network": ["a", "b"]}, {"table": "murray2014"},
    ... )
    >>> protocol_sentences(comparison)
    ['a, b: not measured by the protocol of murray2014 (differs: bin_ms 10).']
    """
    words = {"matched": "measured by the protocol of", "differs": "not measured by the protocol of"}
    names: dict[tuple[str, str], list[str]] = {}
    for name, verdict, note in zip(
        *(comparison[key].to_numpy().astype(str).tolist() for key in ("network", "protocol", "protocol_note")),
        strict=True,
    ):
        names.setdefault((verdict, note), []).append(name)
    return [
        f"{', '.join(members)}: {words.get(verdict, 'not known whether measured by the protocol of')} "
        f"{comparison.attrs.get('table', '')} ({note})."
        for (verdict, note), members in names.items()
    ]


def verdict(comparison: xr.Dataset) -> list[str]:
    """What came out, in sentences that are computed from the results.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    list of str
    """
    means = comparison.sel(cortex="area means")
    sentences = [_of_condition(one, name) for name, one in _each(means, "condition")]
    sentences += [_of_contrast(one, name) for name, one in _each(means, "contrast")]
    slopes = [
        f"{_number(float(comparison['cortex_slope'].sel(cortex=s)))} ({s})" for s in comparison["cortex"].to_numpy()
    ]
    stream = comparison.attrs.get("stream", "")
    sentences.append(f"Cortex, {stream} hierarchy: slope in ln τ from bottom to top {', '.join(slopes)}.")
    said = [str(comparison.attrs.get(name, "")) for name in ("warning", "absolute")]
    return sentences + [f"{words[0].upper()}{words[1:]}." for words in said if words]


def _of_condition(one: xr.Dataset, condition: str) -> str:
    members = one["network_condition"].to_numpy().astype(str) == condition
    found = int(one["layers_used"].to_numpy()[members].sum())
    layers = int(one["layers"].to_numpy()[members].sum())
    tested = int(one["condition_networks"])
    sentence = f"{condition}: {found} of {counted(layers, 'layer')} {_have(found)} a measurable timescale"
    if tested:
        sentence += (
            f"; the slope over depth is positive in {int(one['condition_rising'])} of {counted(tested, 'network')} "
            f"with enough layers (mean {float(one['condition_slope']):+.2f} in ln τ from bottom to top, sign-flip p = "
            f"{float(one['condition_p_value']):.2g})"
        )
    difference = float(one["cortex_difference"])
    if np.isfinite(difference):
        sentence += f", which is {difference:+.2f} against the cortex (interval {_between(one, 'cortex_difference')})"
    return _ended(sentence, str(one["condition_note"].item()))


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _corrected(one: xr.Dataset, kind: str) -> str:
    """P value of a contrast after correction for the number of tests."""
    p_value = float(one[f"{kind}_p_holm"])
    return f"sign-flip p = {p_value:.2g} after Holm's correction" if np.isfinite(p_value) else "too few for a test"


def _of_contrast(one: xr.Dataset, contrast: str) -> str:
    pairs = int(one["contrast_pairs"])
    if not pairs:
        sentence = f"{contrast}: no pair of networks has a slope in both conditions"
        return _ended(sentence, str(one["contrast_note"].item()))
    sentence = (
        f"{contrast}: slopes differ by {float(one['contrast_slope_difference']):+.2f} in "
        f"{counted(pairs, 'pair')} of networks ({_corrected(one, 'contrast')})"
    )
    if np.isfinite(float(one["toward_gain"])):
        sentence += (
            f"; the first is nearer to the slope of the cortex in {int(one['toward_nearer'])} of them (by "
            f"{float(one['toward_gain']):+.2f} on average, {_corrected(one, 'toward')})"
        )
    return _ended(sentence, str(one["contrast_note"].item()))


def _ended(sentence: str, note: str) -> str:
    return f"{sentence}. Note: {note}." if note else f"{sentence}."
