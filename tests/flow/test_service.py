"""As a service manager sees them: told when they are ready, stopped by SIGTERM, logs that can be rotated."""

import ctypes
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from harness.place import AS_ROOT
from harness.ports import reserve_port
from harness.postern import run
from harness.process import BIN, Process
from harness.tcp import listens
from harness.wait import PATIENCE_S, wait_until


@pytest.fixture
def notified(place, monkeypatch):
    """The socket that the programs tell their state to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        path = place.path / "notify"
        sock.bind(str(path))
        path.chmod(0o777)
        sock.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield sock


@pytest.mark.release
@pytest.mark.parametrize("which", ["gateway", "backend"])
def test_ready_and_stopping_are_told(own_site, notified, which):
    server = getattr(own_site(), which)
    server.start()
    assert notified.recv(1000) == b"READY=1"
    server.stop()
    assert notified.recv(1000) == b"STOPPING=1"


@pytest.mark.release
@pytest.mark.parametrize("which", ["gateway", "backend"])
def test_a_log_is_rotated(own_site, which):
    """The file is renamed; after SIGUSR1 a new one is written."""
    site = own_site()
    path = site.place.folder("logs") / "server.log"
    extra = f'log {{ file = "{path}" }}\n'
    server = getattr(site, which)
    server.configure(extra + server.config.read_text().removeprefix(server.common))
    server.log_path = path
    server.start()
    os.rename(path, path.with_suffix(".old"))
    server.signal(signal.SIGUSR1)
    wait_until(path.exists, "there is a new file")
    assert "event=ready" in path.with_suffix(".old").read_text()
    server.signal(signal.SIGTERM)
    assert server.popen.wait(PATIENCE_S) == 0
    assert path.read_text()


@pytest.mark.release
def test_reloads_and_upgrades_are_told(own_site, notified):
    """As Type=notify-reload wants it: when it began, by the clock that is not set, and that it is over."""
    gateway = own_site().gateway
    gateway.start()
    assert notified.recv(1000) == b"READY=1"
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
        before = time.monotonic_ns() // 1000
        gateway.signal(number)
        first, second = notified.recv(1000).decode().split("\n")
        name, _, value = second.partition("=")
        assert first == "RELOADING=1" and name == "MONOTONIC_USEC"
        assert before - 20000 <= int(value) <= time.monotonic_ns() // 1000  # the loop's clock counts ticks
        assert notified.recv(1000) == b"READY=1"


@pytest.mark.release
def test_a_reload_of_the_backend_is_told(own_site, notified):
    backend = own_site().backend
    backend.start()
    assert notified.recv(1000) == b"READY=1"
    for good in (True, False):
        before = time.monotonic_ns() // 1000
        backend.configure(backend.config.read_text().removeprefix(backend.common) if good else "nonsense")
        backend.signal(signal.SIGHUP)
        first, second = notified.recv(1000).decode().split("\n")
        name, _, value = second.partition("=")
        assert first == "RELOADING=1" and name == "MONOTONIC_USEC"
        assert before - 20000 <= int(value) <= time.monotonic_ns() // 1000
        assert notified.recv(1000) == b"READY=1"


PTRACE_ATTACH, PTRACE_DETACH = 16, 17


class Held:
    """One thread of a process stands still."""

    def __init__(self, pid, name):
        tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
        self.tid = next(int(task.name) for task in tasks if (task / "comm").read_text().strip() == name)
        self.ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        if self.ptrace(PTRACE_ATTACH, self.tid, None, None) != 0:
            pytest.skip("this system allows no ptrace")
        os.waitpid(self.tid, 0x40000000)  # __WALL
        return self

    def __exit__(self, *_error):
        self.ptrace(PTRACE_DETACH, self.tid, None, None)


@pytest.mark.release
def test_the_watchdog_hears_of_a_stuck_thread(own_site, notified, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    backend = own_site(backend_extra="shards = 2").backend
    backend.start()
    assert notified.recv(1000) == b"READY=1"
    for _ in range(3):
        assert notified.recv(1000) == b"WATCHDOG=1"
    with Held(backend.pid, "shard-1"):
        backend.wait_log(count=3, event="watchdog", msg="1 of 2 shards do not answer")
        notified.setblocking(False)
        told = []
        with pytest.raises(BlockingIOError):
            while True:
                told.append(notified.recv(1000))
        assert len(told) <= 1  # it had answered the question before
        notified.settimeout(PATIENCE_S)
    assert notified.recv(1000) == b"WATCHDOG=1"


@pytest.mark.release
def test_no_watchdog_unless_it_is_ours(own_site, notified, monkeypatch):
    """Meant for another process: nothing is told but what is always told."""
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    backend = own_site().backend
    backend.start()
    assert notified.recv(1000) == b"READY=1"
    backend.ctl("status")
    backend.stop()
    assert notified.recv(1000) == b"STOPPING=1"


@pytest.mark.release
def test_the_pid_file(own_site):
    site = own_site()
    path = site.backend.run_dir / "backend.pid"
    text = site.backend.config.read_text().removeprefix(site.backend.common)
    site.backend.configure(f'pid-file = "{path}"\n' + text)
    site.backend.start()
    assert path.read_text() == f"{site.backend.pid}\n" and path.stat().st_mode & 0o777 == 0o644
    site.backend.configure(text)
    assert "pid-file: needs restart" in site.backend.ctl("reload", status=1)
    site.backend.stop()
    assert not path.exists()
    site.backend.configure('pid-file = "/nowhere/backend.pid"\n' + text)
    done = run("postern-backend", "-c", site.backend.config)
    assert done.returncode == 1 and "/nowhere/backend.pid" in done.stderr


def minds_hang_ups(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigIgn:", "SigCgt:"))]
    # The one that is set last, and that nohup has not had ignored before.
    return any(mask & 1 << signal.SIGUSR1 - 1 for mask in masks)


@pytest.mark.release
def test_a_hang_up_before_the_start_is_over(own_site):
    """Whoever reloads while the server still starts does not end it."""
    backend = own_site().backend
    Process.start(backend)
    wait_until(lambda: minds_hang_ups(backend.pid), "the program has begun")
    backend.signal(signal.SIGHUP)
    backend.signal(signal.SIGUSR1)
    backend.wait_log(event="ready")


def wake_ups(pid):
    """How often each thread has gone to sleep so far."""
    return {task.name: re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)[1]
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


@pytest.mark.release
@pytest.mark.parametrize("shards", [1, 4])
def test_an_idle_server_sleeps(own_site, shards):
    """Nothing periodic; and it takes little memory, and little time to be ready."""
    backend = own_site(backend_extra=f"shards = {shards}").backend
    backend.start()
    ran_ns = sum(int((task / "schedstat").read_text().split()[0])
                 for task in pathlib.Path(f"/proc/{backend.pid}/task").iterdir())

    def sleeps():
        before = wake_ups(backend.pid)
        time.sleep(2)
        return wake_ups(backend.pid) == before

    wait_until(sleeps, "two seconds in which no thread wakes up")
    if BIN.name == "release":
        rollup = pathlib.Path(f"/proc/{backend.pid}/smaps_rollup").read_text()
        assert int(re.search(r"^Rss:\s+(\d+) kB", rollup, re.M)[1]) <= 6 * 1024  # all of it, as if alone
        assert ran_ns <= 50_000_000


def start_without_root(backend, *capabilities):
    """As whoever we are, or as nobody, with these capabilities; none of the configuration's user."""
    sets = ",".join(["-all", *("+" + name for name in capabilities)])
    prefix = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--inh-caps", sets,
              "--ambient-caps", sets, "--bounding-set", sets] if AS_ROOT else []
    text = re.sub(r'^(gateway-)?user = .*\n', "", backend.config.read_text(), flags=re.M)
    backend.place.write(backend.config.name, text)
    backend.arguments[:0] = prefix
    backend.start()


@pytest.mark.release
def test_no_root_at_any_time(own_site):
    site = own_site()
    start_without_root(site.backend)
    status = pathlib.Path(f"/proc/{site.backend.pid}/status").read_text()
    assert re.search(r"^Uid:\s+[1-9]", status, re.M) or not AS_ROOT
    assert "CapEff:\t0000000000000000" in status
    site.backend.ctl("reload")


@pytest.mark.release
@pytest.mark.skipif(not AS_ROOT, reason="only root can give the right to a low port")
def test_a_low_port_without_root(own_site):
    """The one right is used for the port, and given up."""
    port = reserve_port(700, 1024)
    site = own_site(backend_extra=f'listener "low" {{ address = "127.0.0.1:{port}" }}')
    start_without_root(site.backend, "net_bind_service")
    assert listens(port)
    status = pathlib.Path(f"/proc/{site.backend.pid}/status").read_text()
    assert all(f"{name}:\t0000000000000000" in status for name in ("CapEff", "CapPrm", "CapAmb"))
