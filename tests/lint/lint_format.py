"""The tree is formatted by clang-format with the configuration in .clang-format."""

import subprocess
import sys

from lint_common import ROOT, files

paths = [str(path) for path in files(".c", ".h", tests=True)]
run = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], cwd=ROOT)
if run.returncode:
    sys.exit("mend it:  clang-format -i FILE ...")
