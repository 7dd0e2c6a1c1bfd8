"""Every header compiles alone, and twice."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from lint_common import ROOT, build_folder, commands, files, finish, plain_flags

COMMANDS = commands(build_folder())
# A folder's flags are those of any of its files.
FLAGS = {path.parts[0]: (arguments[0], plain_flags(arguments)) for path, arguments in COMMANDS.items()}


def check(path):
    compiler, flags = FLAGS[path.parts[0]]
    if compiler.endswith("ccache"):
        compiler = "cc"
    source = f'#include "{path}"\n#include "{path}"\n'
    run = subprocess.run(
        [compiler, *flags, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-"],
        input=source, text=True, capture_output=True, cwd=ROOT)
    return [f"{path}:1: does not compile alone:\n{run.stderr}"] if run.returncode else []


with ThreadPoolExecutor(2) as pool:
    finish([problem for problems in pool.map(check, files(".h")) for problem in problems])
