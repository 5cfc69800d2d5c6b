"""A standalone project of Brian2, C++ or CUDA, as one translation unit, which compiles several times faster.

Brian2 writes some fifty to a hundred small files, and the compiler reads the same large headers for each. Here one file
includes them all. No source is rewritten: names that several files share are kept apart by including each file in a
namespace of its own. All headers come first, outside of the namespaces, so that inside of them their guards make them
empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["cuda_unity_source", "unity_source"]

_RUNS_ONCE = ("before_run_", "after_run_")
_FUNCTION = re.compile(r"\bvoid (\w+)\(")
_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])', flags=re.MULTILINE)
# brian2cuda asks the clock of this name whether a delayed spike is due, whatever clock the network has. With a clock of
# its own, as here, the program would not compile, or hold such spikes back for ever.
_CUDA_CLOCK = "#define defaultclock network_clock"


def unity_source(project: Path) -> str:
    r"""C++ source that includes the whole project.

    What runs once and not in every step is optimised less, which halves the time again: most of it would go into the
    reading and writing of arrays.

    Parameters
    ----------
    project : pathlib.Path
        Folder of a project that `brian2.device.build` has written.

    Returns
    -------
    str
        To be compiled in that folder.

    Examples
    --------
    >>> import tempfile
    >>> project = Path(tempfile.mkdtemp())
    >>> (project / "code_objects").mkdir()
    >>> _ = (project / "code_objects" / "reset.cpp").write_text("#include <cmath>\nvoid reset() {}\n")
    >>> _ = (project / "main.cpp").write_text("int main() { reset(); }\n")
    >>> print(unity_source(project), end="")
    #include <cmath>
    namespace unit_0 {
    #include "code_objects/reset.cpp"
    }
    using namespace unit_0;
    #pragma GCC push_options
    #pragma GCC optimize ("O1")
    #include "main.cpp"
    #pragma GCC pop_options
    """
    units = sorted((project / "code_objects").glob("*.cpp"))
    common = [*sorted((project / "brianlib").glob("*.cpp")), *sorted(project.glob("*.cpp"))]
    lines = _headers([*common, *units], project)
    for number, path in enumerate(units):
        block = [*_in_namespace(number, path), f"using namespace unit_{number};"]
        once = path.name.startswith(_RUNS_ONCE) or "_synapses_create_" in path.name
        lines += _optimised("O1", block) if once else block
    for path in common:
        level = "O0" if path.name == "objects.cpp" else "O1"
        lines += _optimised(level, [f'#include "{path.relative_to(project).as_posix()}"'])
    return "\n".join(lines) + "\n"


def cuda_unity_source(project: Path) -> str:
    r"""CUDA source that includes the whole project.

    Parameters
    ----------
    project : pathlib.Path
        Folder of a project that brian2cuda's `device.build` has written.

    Returns
    -------
    str
        To be compiled in that folder.

    Examples
    --------
    >>> import tempfile
    >>> project = Path(tempfile.mkdtemp())
    >>> (project / "code_objects").mkdir()
    >>> _ = (project / "code_objects" / "reset.h").write_text("void reset();\n")
    >>> _ = (project / "code_objects" / "reset.cu").write_text("#include <cmath>\nvoid reset() {}\n")
    >>> _ = (project / "code_objects" / "after_run_reset.cu").write_text("void after() { reset(); }\n")
    >>> _ = (project / "main.cu").write_text("int main() { reset(); after(); }\n")
    >>> print(cuda_unity_source(project), end="")
    #define defaultclock network_clock
    #include <cmath>
    namespace unit_0 {
    #include "code_objects/reset.h"
    #include "code_objects/reset.cu"
    }
    using unit_0::reset;
    #include "code_objects/after_run_reset.cu"
    #include "main.cu"
    """
    # A file that runs before the others includes not its own header but that of one of them, which has to stand in its
    # own namespace already. Those that run after the others define nothing but the function that main.cu asks for.
    before, after = (sorted((project / "code_objects").glob(f"{once}*.cu")) for once in _RUNS_ONCE)
    units = sorted(set((project / "code_objects").glob("*.cu")) - {*before, *after}) + before
    common = sorted(project.glob("*.cu"))
    lines = [_CUDA_CLOCK, *_headers([*common, *units, *after], project)]
    for number, path in enumerate(units):
        header = path.with_suffix(".h")
        # One name at a time: nvcc mistakes nameless namespaces for each other where two that hold one are in use.
        names = _FUNCTION.findall(header.read_text(encoding="utf-8"))
        lines += [*_in_namespace(number, header, path), *(f"using unit_{number}::{name};" for name in names)]
    lines += [f'#include "{path.relative_to(project).as_posix()}"' for path in [*after, *common]]
    return "\n".join(lines) + "\n"


def _headers(sources: Iterable[Path], project: Path) -> list[str]:
    """All that the sources include, once."""
    headers: dict[str, None] = {}
    for path in sources:
        found = [_from_project(name, path, project) for name in _INCLUDE.findall(path.read_text(encoding="utf-8"))]
        # The header of a code object declares its function, which is defined inside of the namespace.
        headers.update(dict.fromkeys(name for name in found if not name.startswith('"code_objects/')))
    return [f"#include {name}" for name in headers]


def _in_namespace(number: int, *paths: Path) -> list[str]:
    return [f"namespace unit_{number} {{", *(f'#include "code_objects/{path.name}"' for path in paths), "}"]


def _from_project(header: str, path: Path, project: Path) -> str:
    """A header as it is found from the folder of the project: some stand beside the file that includes them."""
    beside = path.parent / header.strip('"')
    if header.startswith('"') and not (project / header.strip('"')).exists() and beside.exists():
        return f'"{beside.relative_to(project).as_posix()}"'
    return header


def _optimised(level: str, lines: list[str]) -> list[str]:
    return ["#pragma GCC push_options", f'#pragma GCC optimize ("{level}")', *lines, "#pragma GCC pop_options"]
