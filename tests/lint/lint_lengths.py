"""Reports long files and functions (aim: 300 and 50 lines).  Fails for nothing: length is a hint, not a fault."""

import re

from lint_common import ROOT, files

# A function's body opens and closes with a brace in the first column.
BODY = re.compile(r"^(?:[a-z_][^\n]*\b)?(\w+)\([^;{]*\)\n\{\n(.*?)^\}", re.M | re.S)

for path in files(".c", ".h", tests=True):
    text = (ROOT / path).read_text()
    if text.count("\n") > 300:
        print(f"{path}:1: {text.count(chr(10))} lines")
    for match in BODY.finditer(text):
        length = match.group(2).count("\n")
        if length > 50:
            print(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(1)} has {length} lines")
