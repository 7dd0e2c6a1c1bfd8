"""What the figures were measured on, and with which versions."""

import os
import pathlib
import platform
import re
import subprocess


def _said(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    except OSError:
        return None
    return (done.stdout + done.stderr).strip().splitlines()[0] if done.stdout + done.stderr else None


def describe(build):
    cpu = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "commit": _said("git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"),
        "versions": {
            "postern": _said(str(build / "postern-gateway"), "-V"),
            "haproxy": _said("haproxy", "-v"),
            "nginx": _said("nginx", "-v"),
            "sslh": _said("sslh-select", "-V"),
            "hitch": _said("hitch", "--version"),
            "openssl": _said("openssl", "version"),
        },
    }
