"""Work that a report stands on, each with a BibTeX entry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["KNOWN", "Reference", "from_bibtex", "from_doi", "unique"]


@dataclass(frozen=True)
class Reference:
    """A published work.

    Parameters
    ----------
    bibtex : str
        Its whole entry.
    """

    bibtex: str

    def field(self, name: str) -> str:
        """A field of the entry, without braces; empty if it has none."""
        found = re.search(rf"^\s*{name} = {{(.*)}},?$", self.bibtex, re.MULTILINE)
        return re.sub(r"\\[\"'`^~c]\s?|[{}]", "", found[1]).replace("--", "-") if found else ""

    @property
    def key(self) -> str:
        """Key of the entry."""
        found = re.match(r"@\w+{([^,]+),", self.bibtex)
        return found[1] if found else ""

    @property
    def short(self) -> str:
        """Who and when, as in running text.

        Examples
        --------
        >>> KNOWN["10.7554/eLife.47314"].short, KNOWN["10.1038/s41467-018-04725-4"].short
        ('Stimberg et al. 2019', 'Wilting & Priesemann 2018')
        """
        names = [name.split(",")[0].strip() for name in self.field("author").split(" and ")]
        if not names[0]:
            return self.key
        who = names[0] if len(names) == 1 else f"{names[0]} & {names[1]}" if len(names) == 2 else f"{names[0]} et al."
        return f"{who.replace('& others', 'et al.')} {self.field('year')}"

    @property
    def long(self) -> str:
        """Title and where it was published, as in a list."""
        published = self.field("journal") or self.field("publisher")
        place = " ".join(part for part in (published, self.field("volume")) if part)
        pages = self.field("pages")
        parts = [self.field("title"), f"{place}: {pages}" if place and pages else place]
        return ". ".join(part for part in parts if part)

    @property
    def url(self) -> str:
        """Address by DOI; empty if it has none."""
        doi = self.field("doi")
        return f"https://doi.org/{doi}" if doi else ""


def _entry(kind: str, key: str, **fields: str) -> Reference:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return Reference("\n".join([f"@{kind}{{{key},", *lines, "}"]))


_ENTRIES = (
    _entry("article", "stimberg2019", author="Stimberg, Marcel and Brette, Romain and Goodman, Dan F. M.",
           title="Brian 2, an intuitive and efficient neural simulator", journal="eLife", year="2019", volume="8",
           pages="e47314", doi="10.7554/eLife.47314"),
    _entry("article", "paszke2019", author="Paszke, Adam and Gross, Sam and Massa, Francisco and others",
           title="PyTorch: an imperative style, high-performance deep learning library", journal="arXiv", year="2019",
           doi="10.48550/arXiv.1912.01703"),
    _entry("article", "neftci2019", author="Neftci, Emre O. and Mostafa, Hesham and Zenke, Friedemann",
           title="Surrogate gradient learning in spiking neural networks", journal="IEEE Signal Processing Magazine",
           year="2019", volume="36", pages="51--63", doi="10.1109/MSP.2019.2931595"),
    _entry("article", "moro2024", author="Moro, Filippo and others",
           title="The role of temporal hierarchy in spiking neural networks", journal="arXiv", year="2024",
           doi="10.48550/arXiv.2407.18838"),
    _entry("article", "zheng2024", author="Zheng, Hanle and Zheng, Zhong and Hu, Rui and others",
           title="Temporal dendritic heterogeneity incorporated with spiking neural networks for learning "
           "multi-timescale dynamics", journal="Nature Communications", year="2024", volume="15", pages="277",
           doi="10.1038/s41467-023-44614-z"),
    _entry("article", "miyashita1988", author="Miyashita, Yasushi and Chang, Han Soo",
           title="Neuronal correlate of pictorial short-term memory in the primate temporal cortex", journal="Nature",
           year="1988", volume="331", pages="68--70", doi="10.1038/331068a0"),
    _entry("article", "khajehabdollahi2023", author="Khajehabdollahi, Sina and Zeraati, Roxana and others",
           title="Emergent mechanisms for long timescales depend on training curriculum and affect performance in "
           "memory tasks", journal="arXiv", year="2023", doi="10.48550/arXiv.2309.12927"),
    _entry("article", "piet2018", author="Piet, Alex T. and El Hady, Ahmed and Brody, Carlos D.",
           title="Rats adopt the optimal timescale for evidence integration in a dynamic environment",
           journal="Nature Communications", year="2018", volume="9", pages="4265", doi="10.1038/s41467-018-06561-y"),
    _entry("misc", "alpaydin1998", author="Alpaydin, E. and Kaynak, C.",
           title="Optical recognition of handwritten digits", publisher="UCI Machine Learning Repository", year="1998",
           doi="10.24432/C50P49"),
    _entry("article", "cramer2020", author="Cramer, Benjamin and Stradmann, Yannik and Schemmel, Johannes and Zenke, "
           "Friedemann", title="The Heidelberg spiking data sets for the systematic evaluation of spiking neural "
           "networks", journal="IEEE Transactions on Neural Networks and Learning Systems", year="2020",
           doi="10.1109/TNNLS.2020.3044364"),
    _entry("article", "zeraati2022", author="Zeraati, Roxana and Engel, Tatiana A. and Levina, Anna",
           title="A flexible Bayesian framework for unbiased estimation of timescales",
           journal="Nature Computational Science", year="2022", volume="2", pages="193--204",
           doi="10.1038/s43588-022-00214-3"),
    _entry("article", "wilting2018", author="Wilting, Jens and Priesemann, Viola",
           title="Inferring collective dynamical states from widely unobserved systems",
           journal="Nature Communications", year="2018", volume="9", pages="2325", doi="10.1038/s41467-018-04725-4"),
    _entry("article", "wieland2015", author="Wieland, Stefan and Bernardi, Davide and Schwalger, Tilo and Lindner, "
           "Benjamin", title="Slow fluctuations in recurrent networks of spiking neurons",
           journal="Physical Review E", year="2015", volume="92", pages="040901", doi="10.1103/PhysRevE.92.040901"),
    _entry("article", "saravanan2020", author="Saravanan, Varun and Berman, Gordon J. and Sober, Samuel J.",
           title="Application of the hierarchical bootstrap to multi-level data in neuroscience",
           journal="Neurons, Behavior, Data Analysis, and Theory", year="2020", volume="3",
           doi="10.51628/001c.13927"),
)  # fmt: skip

#: By DOI. Cortical tables have their own entries, see `cortexsnn.cortex.citation`.
KNOWN: Mapping[str, Reference] = {entry.field("doi"): entry for entry in _ENTRIES}


def from_bibtex(entry: str) -> Reference:
    """A reference by its BibTeX entry.

    Parameters
    ----------
    entry : str

    Returns
    -------
    Reference

    Examples
    --------
    >>> from cortexsnn import cortex
    >>> from_bibtex(cortex.citation("murray2014")).url
    'https://doi.org/10.1038/nn.3862'
    """
    return Reference(entry)


def from_doi(doi: str, others: Iterable[Reference] = ()) -> Reference:
    """A reference by its DOI; one that says no more than this if the work is not known.

    Parameters
    ----------
    doi : str
    others : iterable of Reference
        To be looked through first.

    Returns
    -------
    Reference

    Examples
    --------
    >>> from_doi("10.7554/eLife.47314").key, from_doi("10.1000/1").bibtex.splitlines()[1].strip()
    ('stimberg2019', 'doi = {10.1000/1},')
    """
    for reference in (*others, *KNOWN.values()):
        if reference.field("doi").lower() == doi.lower():
            return reference
    return _entry("misc", re.sub(r"\W+", "-", doi), doi=doi)


def unique(references: Iterable[Reference]) -> list[Reference]:
    """References in the order of the alphabet, each once.

    Parameters
    ----------
    references : iterable of Reference

    Returns
    -------
    list of Reference
    """
    return sorted({reference.key: reference for reference in references}.values(), key=lambda one: one.short.lower())
