"""Includes run one way: lib <- gateway, lib <- backend, lib <- ctl; never sideways, never back.  A .c file includes
its own header first."""

import re

from lint_common import ROOT, files, finish

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
ALLOWED = {"lib": {"lib"}, "gateway": {"lib", "gateway"}, "backend": {"lib", "backend"}, "ctl": {"lib", "ctl"}}


def check(path):
    text = (ROOT / path).read_text()
    own = path.with_suffix(".h")
    includes = [(text.count("\n", 0, m.start(2)) + 1, m.group(1), m.group(2)) for m in INCLUDE.finditer(text)]
    for line, form, name in includes:
        if form == '"' and name.split("/")[0] not in ALLOWED[path.parts[0]]:
            yield f"{path}:{line}: {path.parts[0]}/ may not include {name}"
        if form == "<" and (ROOT / name).exists():
            yield f"{path}:{line}: a file of the project is included with quotes: {name}"
        if form == '"' and not (ROOT / name).exists():
            yield f"{path}:{line}: not the path from the top of the tree: {name}"
    if path.suffix == ".c" and (ROOT / own).exists() and includes and includes[0][2] != str(own):
        yield f"{path}:{includes[0][0]}: the file's own header, {own}, comes first"


finish([problem for path in files(".c", ".h") for problem in check(path)])
