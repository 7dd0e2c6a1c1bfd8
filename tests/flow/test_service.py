"""As a service manager sees them: told when they are ready, stopped by SIGTERM, logs that can be rotated."""

import os
import signal
import socket
import time

import pytest

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
    assert server.popen.wait(60) == 0
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
        assert before - 2000 <= int(value) <= time.monotonic_ns() // 1000  # the loop's clock counts milliseconds
        assert notified.recv(1000) == b"READY=1"
