"""A C++ standalone project of Brian2 as one translation unit, which compiles several times faster.

Brian2 writes some fifty to a hundred small files, and the compiler reads the same large headers for each. Here one file
includes them all. No source is rewritten: names that several files share are kept apart by including each file in a
namespace of its own. All headers come first, outside of the namespaces, so that inside of them their guards make them
empty. What runs once and not in every step is optimised less, which halves the time again: most of it would go into
the reading and writing of arrays.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["unity_source"]

_RUNS_ONCE = ("before_run_", "after_run_")
_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])', flags=re.MULTILINE)


def unity_source(project: Path) -> str:
    r"""C++ source that includes the whole project.

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
    headers: dict[str, None] = {}
    for path in [*common, *units]:
        found = [_from_project(name, path, project) for name in _INCLUDE.findall(path.read_text(encoding="utf-8"))]
        # The header of a code object declares its function, which is defined inside of the namespace.
        headers.update(dict.fromkeys(name for name in found if not name.startswith('"code_objects/')))
    lines = [f"#include {name}" for name in headers]
    for number, path in enumerate(units):
        name = f"unit_{number}"
        block = [f"namespace {name} {{", f'#include "code_objects/{path.name}"', "}", f"using namespace {name};"]
        once = path.name.startswith(_RUNS_ONCE) or "_synapses_create_" in path.name
        lines += _optimised("O1", block) if once else block
    for path in common:
        level = "O0" if path.name == "objects.cpp" else "O1"
        lines += _optimised(level, [f'#include "{path.relative_to(project).as_posix()}"'])
    return "\n".join(lines) + "\n"


def _from_project(header: str, path: Path, project: Path) -> str:
    """A header as it is found from the folder of the project: some stand beside the file that includes them."""
    beside = path.parent / header.strip('"')
    if header.startswith('"') and not (project / header.strip('"')).exists() and beside.exists():
        return f'"{beside.relative_to(project).as_posix()}"'
    return header


def _optimised(level: str, lines: list[str]) -> list[str]:
    return ["#pragma GCC push_options", f'#pragma GCC optimize ("{level}")', *lines, "#pragma GCC pop_options"]
