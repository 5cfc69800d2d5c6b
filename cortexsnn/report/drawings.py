"""Figures as drawings of a page: vectors whose colours change with the light, and whose names are theirs alone."""

from __future__ import annotations

import colorsys
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib.figure import Figure

__all__ = ["DARK_PAPER", "Drawing", "dark", "dark_rules", "drawing"]

DARK_PAPER = "#1b1b1f"
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_HEX = re.compile(r"#[0-9a-fA-F]{6}\b")
_POINTS_TO_PIXELS = 4 / 3
# WCAG 2 asks for 3 of graphics and 4.5 of text, which has the colour of its condition too.
_ENOUGH_CONTRAST = 4.8
_GREY_SATURATION = 0.12
# Parts that carry their meaning in their colours keep them.
_FIXED = "fixed-"


@dataclass(frozen=True)
class Drawing:
    """A figure on a page.

    Parameters
    ----------
    name : str
        Of the file that it can be taken away as, without its ending.
    svg : markupsafe.Markup
    colours : frozenset of str
        Those that change with the light, as ``#rrggbb``.
    width : float
        In pixels, as it was drawn.
    alt : str
        What it shows, for those who cannot see it.
    caption : str
    """

    name: str
    svg: Markup
    colours: frozenset[str]
    width: float
    alt: str
    caption: str


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(colour: str, other: str) -> float:
    low, high = sorted((_luminance(colour), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def dark(colour: str) -> str:
    """The colour that stands for a colour on dark paper.

    Greys change places, white with the paper. Other colours keep their hue and become lighter until they stand out.

    Parameters
    ----------
    colour : str
        As ``#rrggbb``, made for white paper.

    Returns
    -------
    str
        As ``#rrggbb``.

    Examples
    --------
    >>> dark("#ffffff") == DARK_PAPER
    True
    >>> dark("#222222"), dark("#0072b2"), dark("#e69f00")
    ('#dcdcdc', '#008fe0', '#e69f00')
    """
    if colour.lower() == "#ffffff":
        return DARK_PAPER
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    if saturation < _GREY_SATURATION:
        lightness = 0.97 - 0.8 * lightness

    def at(light: float) -> str:
        return "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hls_to_rgb(hue, light, saturation))

    while _contrast(at(lightness), DARK_PAPER) < _ENOUGH_CONTRAST and lightness < 0.95:
        lightness += 0.01
    return at(lightness)


def dark_rules(drawings: Iterable[Drawing]) -> str:
    """What a style sheet says of the colours of drawings on dark paper.

    Parameters
    ----------
    drawings : iterable of Drawing

    Returns
    -------
    str
        Declarations of custom properties.
    """
    used = sorted({colour for one in drawings for colour in one.colours})
    return " ".join(f"--c{colour[1:]}: {dark(colour)};" for colour in used)


def _adapt(element: ElementTree.Element, prefix: str, colours: set[str], fixed: bool) -> None:
    """Give an element and all in it names of their own, and colours that a style sheet can change."""
    if element.get("id", "").startswith(_FIXED):
        fixed = True
        del element.attrib["id"]

    def changeable(match: re.Match[str]) -> str:
        colour = match[0].lower()
        colours.add(colour)
        return f"var(--c{colour[1:]}, {colour})"

    for name, value in list(element.attrib.items()):
        if name == "id":
            element.set(name, prefix + value)
        elif value.startswith("#") and name.endswith("href"):
            element.set(name, f"#{prefix}{value[1:]}")
        else:
            own = value.replace("url(#", f"url(#{prefix}")
            element.set(name, own if fixed or name != "style" else _HEX.sub(changeable, own))
    for child in element:
        _adapt(child, prefix, colours, fixed)


def drawing(figure: Figure, name: str, alt: str, caption: str) -> Drawing:
    """Put a figure on the page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Parts of it with a gid that begins with ``fixed-`` keep their colours on dark paper.
    name : str
        File name without ending, unique on the page.
    alt, caption : str

    Returns
    -------
    Drawing
        Transparent; ids are unique on the page.
    """
    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", metadata=metadata, dpi=200, transparent=True)
    # Written by matplotlib a line above; comments and the document type are left behind.
    root = ElementTree.fromstring(buffer.getvalue())
    for part in list(root):
        if (
            part.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}defs") and part.find(f"{{{_SVG}}}style") is not None
        ) or part.tag == f"{{{_SVG}}}metadata":
            root.remove(part)
    colours: set[str] = set()
    _adapt(root, f"{name}-", colours, False)
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
    for length in ("width", "height"):
        root.attrib.pop(length)
    width = float(root.get("viewBox", "0 0 0 0").split()[2]) * _POINTS_TO_PIXELS
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    text = ElementTree.tostring(root, encoding="unicode")
    return Drawing(name, Markup(text), frozenset(colours), round(width, 1), alt, caption)
