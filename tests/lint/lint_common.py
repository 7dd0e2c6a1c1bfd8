"""What the checks share: the files, the compiler's flags, and the way to report.  Each check is a script that is
given the build folder, prints what is wrong as FILE:LINE: text, and exits 0 only if nothing is."""

import json
import pathlib
import shlex
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("lib", "gateway", "backend", "ctl")


def build_folder():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} BUILD-FOLDER")
    return pathlib.Path(sys.argv[1]).resolve()


def files(*suffixes, tests=False):
    """The C files of the programs (and of the tests), sorted, as paths relative to the root."""
    places = FOLDERS + (("tests/unit", "tests/fuzz") if tests else ())
    found = [path for place in places for suffix in suffixes for path in (ROOT / place).rglob("*" + suffix)]
    return sorted(path.relative_to(ROOT) for path in found)


def commands(build):
    """Path relative to the root -> the arguments of the compiler, from compile_commands.json."""
    entries = json.loads((build / "compile_commands.json").read_text())
    found = {}
    for entry in entries:
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(ROOT):
            found[path.relative_to(ROOT)] = shlex.split(entry["command"])
    return found


def plain_flags(arguments):
    """The flags that every compiler understands: defines, include folders, the language."""
    kept = []
    for at, argument in enumerate(arguments):
        if argument in ("-isystem", "-I", "-D"):
            kept += [argument, arguments[at + 1]]
        elif argument.startswith(("-I", "-D", "-std=", "-pthread")):
            kept.append(argument)
    return kept


def finish(problems):
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"{len(problems)} problem(s)")
