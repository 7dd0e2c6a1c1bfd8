"""What the figures were measured on."""

import os
import pathlib
import platform
import re
import subprocess


def said(*argv):
    """The first line that a program writes, or None: of versions."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    except OSError:
        return None
    return (done.stdout + done.stderr).strip().splitlines()[0] if done.stdout + done.stderr else None


def commit():
    return said("git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty")


def describe():
    cpu = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "openssl": said("openssl", "version").partition(" (")[0],
    }
