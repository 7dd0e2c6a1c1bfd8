"""What the servers give up once they have started: rights, new privileges, system calls."""

import pathlib

import pytest

from harness.process import BIN

# Sanitizers do without the sandbox: their own run-time needs far more than the program.
SANITIZED = any(mark in (BIN / "postern-gateway").read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def confinement(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {name: fields[name].split()[0] for name in ("Uid", "CapEff", "CapPrm", "NoNewPrivs", "Seccomp")}


@pytest.mark.release
@pytest.mark.parametrize("sandbox", ["true", "false"])
def test_workers_and_backend_are_confined(own_site, sandbox):
    site = own_site(gateway_extra=f"sandbox = {sandbox}", backend_extra=f"sandbox = {sandbox}").start()
    in_force = sandbox == "true" and not SANITIZED
    pids = [worker["pid"] for worker in site.gateway.status()["workers"]] + [site.backend.pid]
    for pid in pids:
        found = confinement(pid)
        assert found["Uid"] != "0"
        assert int(found["CapEff"], 16) == int(found["CapPrm"], 16) == 0
        assert found["Seccomp"] == ("2" if in_force else "0")
        assert found["NoNewPrivs"] == "1" or not in_force
