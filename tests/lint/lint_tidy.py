"""clang-tidy, with the checks of .clang-tidy, on our own files; what has not changed since it was found clean is not
looked at again (a file's mark is the hash of all that it is made of)."""

import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from lint_common import ROOT, build_folder, commands, files, finish, plain_flags

BUILD = build_folder()
COMMANDS = commands(BUILD)
CLEAN = BUILD / "tidy-clean"
CLEAN.mkdir(exist_ok=True)
VERSION = subprocess.run(["clang-tidy", "--version"], capture_output=True).stdout


def mark(path, flags):
    """A file whose existence says: with these contents, path is clean."""
    run = subprocess.run(["clang", *flags, "-MM", str(path)], cwd=ROOT, capture_output=True, text=True)
    parts = run.stdout.replace("\\\n", " ").partition(":")[2].split()
    digest = hashlib.sha256(VERSION + (ROOT / ".clang-tidy").read_bytes() + " ".join(flags).encode())
    for part in parts:
        digest.update(part.encode() + b"\0" + (ROOT / part).read_bytes())
    return CLEAN / f"{path.stem}-{digest.hexdigest()[:32]}" if run.returncode == 0 else None


def check(path):
    flags = plain_flags(COMMANDS[path])
    clean = mark(path, flags)
    if clean and clean.exists():
        return []
    run = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", str(path), "--", *flags], cwd=ROOT,
                         capture_output=True, text=True)
    if run.returncode:
        return [run.stdout + run.stderr]
    if clean:
        for old in CLEAN.glob(path.stem + "-*"):
            old.unlink()
        clean.touch()
    return []


with ThreadPoolExecutor(os.cpu_count()) as pool:
    ours = [path for path in files(".c") if path in COMMANDS]
    finish([problem for problems in pool.map(check, ours) for problem in problems])
