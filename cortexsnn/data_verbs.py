"""The verb ``data`` of the command line: fetch, describe and make spikes to learn from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortexsnn.checks import choice

if TYPE_CHECKING:
    from cortexsnn.datasets import Dataset

__all__ = ["add_data_verbs"]

Add = Callable[..., argparse.ArgumentParser]
_FIGURES = (".svg", ".png", ".pdf")
_SPLITS = ("train", "validation", "test")


def _listed(text: str) -> list[str]:
    """An argument type: words between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _fetch(options: argparse.Namespace) -> None:
    from cortexsnn.datasets import download

    folder = download.fetch_dataset(options.name, options.folder, progress=not options.quiet)
    print(f"{options.name}: {folder}")


def _describe(options: argparse.Namespace) -> None:
    from cortexsnn import datasets

    if options.figure is not None:
        choice("ending of the figure's name", options.figure.suffix.lower(), _FIGURES)
    dataset = datasets.load(options.name, seed=options.seed)
    print(dataset.describe())
    if options.figure is not None:
        _draw(dataset, options.split, options.trial, options.figure)
        print(f"raster of trial {options.trial} of the {options.split} split: {options.figure}")


def _draw(dataset: Dataset, split: str, trial: int, path: Path) -> None:
    from matplotlib.figure import Figure

    from cortexsnn import plotting

    with plotting.style():
        figure = Figure(figsize=(6.4, 3.6))
        plotting.trial_raster(figure.subplots(), getattr(dataset, split), dataset.dt_s, trial)
        figure.savefig(path)


def _from_audio(options: argparse.Namespace) -> int:
    from cortexsnn.datasets.sound import convert_folder

    report = convert_folder(
        options.folder, options.out, labels=options.labels, pattern=options.pattern, classes=options.classes,
        speakers=options.speakers, without_speakers=options.without_speakers, seed=options.seed,
        processes=options.processes, overwrite=options.overwrite, progress=not options.quiet,
    )  # fmt: skip
    for name, reason in report.skipped.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    print(f"{report.converted} sounds, {len(report.skipped)} skipped: {report.path}")
    return report.exit_code


def _speak(options: argparse.Namespace) -> int:
    from cortexsnn.datasets.sound import speak

    reports = speak(
        options.out, languages=options.languages, speakers=options.speakers, test_speakers=options.test_speakers,
        repeats=options.repeats, seed=options.seed, processes=options.processes, audio_only=options.audio_only,
        progress=not options.quiet,
    )  # fmt: skip
    for split, report in reports.items():
        print(f"{split}: {report.converted} words: {report.path}")
    return max((report.exit_code for report in reports.values()), default=0)


def add_data_verbs(
    add: Add, quiet: argparse.ArgumentParser, seeded: argparse.ArgumentParser, whole: Callable[[int], Any]
) -> None:
    """Add ``data`` and its own verbs.

    Parameters
    ----------
    add : callable
        Makes the parser of a verb.
    quiet, seeded : argparse.ArgumentParser
        Parents with ``--quiet``, and with ``--seed``.
    whole : callable
        Gives the argument type of whole numbers of at least so much.
    """
    show = argparse.ArgumentDefaultsHelpFormatter
    verbs = add("data", help="spikes to learn from: fetch, describe, from-audio, speak").add_subparsers(
        dest="data_verb", required=True, metavar="VERB"
    )
    fetch = verbs.add_parser("fetch", parents=[quiet], help="download SHD or SSC", formatter_class=show)
    fetch.add_argument("name", choices=("shd", "ssc"), help="data set of the Heidelberg group")
    fetch.add_argument("--folder", type=Path, default=None, help="where to; the cache if not given")
    fetch.set_defaults(run=_fetch)

    describe = verbs.add_parser("describe", parents=[seeded], help="sizes, rates and a raster", formatter_class=show)
    describe.add_argument("name", help="name of a task or data set, or a folder with spike files")
    describe.add_argument("--figure", type=Path, default=None, help="raster of one trial to draw (.svg, .png, .pdf)")
    describe.add_argument("--split", choices=_SPLITS, default="train", help="split of that trial")
    describe.add_argument("--trial", type=whole(0), default=0, help="which trial of the split")
    describe.set_defaults(run=_describe)

    audio = verbs.add_parser("from-audio", parents=[quiet, seeded], help="folder of sounds -> spike file",
                             formatter_class=show)  # fmt: skip
    audio.add_argument("folder", type=Path, help="folder with wav and flac files")
    audio.add_argument("--out", type=Path, required=True, help="spike file to write (.h5)")
    audio.add_argument("--labels", default="name", help="name, folder, or a table: where the class of a sound stands")
    audio.add_argument("--pattern", default=None, help="regular expression with the group label, and maybe speaker")
    audio.add_argument("--classes", type=_listed, default=None, help="classes in order: A,B,...; sorted if not given")
    audio.add_argument("--speakers", type=_listed, default=None, help="only these speakers: A,B,...")
    audio.add_argument("--without-speakers", type=_listed, default=(), help="all but these speakers: A,B,...")
    audio.add_argument("--processes", type=whole(1), default=None, help="as many as cores if not given")
    audio.add_argument("--overwrite", action="store_true", help="make it anew although it is there")
    audio.set_defaults(run=_from_audio)

    speak = verbs.add_parser("speak", parents=[quiet, seeded], help="spoken digits by espeak-ng -> spike files",
                             formatter_class=show)  # fmt: skip
    speak.add_argument("--out", type=Path, required=True, help="folder to write")
    speak.add_argument("--languages", type=_listed, default=("en", "de"), help="en, de")
    speak.add_argument("--speakers", type=whole(2), default=12, help="number of voices")
    speak.add_argument("--test-speakers", type=whole(1), default=3, help="voices that only the test file has")
    speak.add_argument("--repeats", type=whole(1), default=10, help="of each digit by each voice")
    speak.add_argument("--processes", type=whole(1), default=None, help="as many as cores if not given")
    speak.add_argument("--audio-only", action="store_true", help="sounds, but no spikes")
    speak.set_defaults(run=_speak)
