"""Faults under load: what is hit is hit, and everything else goes on."""

import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from harness.nginx import Nginx
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.tcp import client_hello, connect, read_exactly, read_to_end
from harness.upstream import Upstream
from harness.wait import PATIENCE_S, wait_until

SILENT = pathlib.Path(__file__).parent / "harness/silent.py"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BLOCK = bytes(range(256)) * 256

CONFIG = """
{extra}
listener "public" {{ address = "127.0.0.1:{port}" }}
upstream "server" {{ server = "127.0.0.1:{server}" }}
route "tls" {{ sni = "*.example" proxy = "server" }}
route "http" {{ protocol = "http" proxy = "server" }}
"""


def gateway_for(place, server, extra=""):
    port = reserve_port()
    gateway = Gateway(place, CONFIG.format(extra=extra, port=port, server=server))
    gateway.port = port
    return gateway.start()


class Crowd:
    """Silent clients in several processes, for one holds few descriptors; each has an address of its own."""

    def __init__(self, port, count, first=b"", processes=4):
        self.processes = [
            subprocess.Popen([sys.executable, SILENT, str(port), str(count // processes), f"127.0.1.{i + 1}",
                              *([first.hex()] if first else [])],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for i in range(processes)]
        for process in self.processes:
            assert process.stdout.readline() == "held\n"

    def end(self):
        for process in self.processes:
            process.stdin.close()
            process.wait(PATIENCE_S)
            process.stdout.close()


def echo_request(sock):
    read_exactly(sock, len(REQUEST))
    sock.sendall(b"answered")


def echo_what_comes(sock):
    """As far as it comes: some are cut off."""
    try:
        echo_request(sock)
    except (AssertionError, OSError):
        pass


def ask(port, source=None):
    with connect(port, source=source) as client:
        client.sendall(REQUEST)
        return read_to_end(client) == (b"answered", "end")


def count(gateway, *names):
    stats = gateway.stats()[""]
    return sum(stats[name] for name in names)


@pytest.mark.release
@pytest.mark.parametrize("first", [b"", client_hello("a.example")[:100]], ids=["silent", "half-a-hello"])
def test_twenty_thousand_clients_that_do_not_go_on(place, first):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    crowd_size = min(20000, hard // 4 * 4)  # four workers hold half as many each
    with Upstream(echo_request) as upstream:
        gateway = gateway_for(place, upstream.address[1],
                              "workers = 4\nmax-connections = 9000\nmax-probing = 9000\npeek-timeout = 5m\n")
        crowd = Crowd(gateway.port, crowd_size, first)
        wait_until(lambda: sum(worker["probing"] for worker in gateway.status()["workers"]) == crowd_size,
                   "all are accepted")
        assert all(ask(gateway.port) for _ in range(20))
        before = [ticks(worker["pid"]) for worker in gateway.status()["workers"]]
        time.sleep(0.5)  # in which nothing happens, and nothing is done
        after = [ticks(worker["pid"]) for worker in gateway.status()["workers"]]
        assert sum(after) - sum(before) <= 5
        assert count(gateway, "close_overload", "accept_faults") == 0
        crowd.end()
        wait_until(lambda: sum(worker["connections"] for worker in gateway.status()["workers"]) == 0, "all are gone")
        assert ask(gateway.port)
        gateway.stop()


def ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.release
def test_dripped_hellos_hold_nobody_up(place):
    """Slow loris: hellos that come byte by byte, more of them than may stay undecided."""
    hello = client_hello("a.example")
    with Upstream(echo_what_comes) as upstream:
        gateway = gateway_for(place, upstream.address[1], "max-probing = 100\npeek-timeout = 2s\n")
        drips = [connect(gateway.port) for _ in range(150)]
        for i in range(60):
            for client in drips:
                try:
                    client.send(hello[i:i + 1])
                except OSError:
                    pass  # decided meanwhile: half a hello is TLS, and the server has ended
            if i % 20 == 0:
                assert ask(gateway.port)
        wait_until(lambda: count(gateway, "probing_hurried") >= 50, "the oldest are decided early")
        wait_until(lambda: gateway.status()["workers"][0]["probing"] == 0, "the others at their deadline")
        assert ask(gateway.port)
        for client in drips:
            client.close()
        gateway.stop()


class Load(threading.Thread):
    """One client after another until it is stopped; counts those that were answered and those that were not."""

    def __init__(self, port, source):
        super().__init__(daemon=True)
        self.source = source
        self.port, self.answered, self.failed, self.stopped = port, 0, 0, False
        self.start()

    def run(self):
        while not self.stopped:
            try:
                good = ask(self.port, self.source)
            except OSError:
                good = False
            self.answered += good
            self.failed += not good

    def stop(self):
        self.stopped = True
        self.join()


@pytest.mark.release
def test_workers_killed_under_load(place):
    with Upstream(echo_what_comes) as upstream:
        gateway = gateway_for(place, upstream.address[1], "workers = 2\n")
        loads = [Load(gateway.port, f"127.0.2.{i + 1}") for i in range(4)]
        deaths = 5
        for death in range(deaths):
            wait_until(lambda: all(worker["ready"] for worker in gateway.status()["workers"]), "two workers")
            target = sum(load.answered for load in loads) + 40
            wait_until(lambda: sum(load.answered for load in loads) >= target, "clients are answered")
            os.kill(gateway.status()["workers"][death % 2]["pid"], signal.SIGKILL)
            wait_until(lambda: count(gateway, "worker_deaths") == death + 1, "the death is noticed")
        for load in loads:
            load.stop()
        # A worker takes along what it had at that moment: one connection of each client at most.
        assert sum(load.failed for load in loads) <= deaths * len(loads)
        gateway.stop()


def test_a_server_killed_in_the_middle_comes_back(place):
    """What it had sent arrives, then the end that the kernel sends for it; the next download works."""
    cert, key = place.certificate("site", ["a.example"])
    nginx = Nginx(place, cert, key, servers="server {{ listen 127.0.0.1:{port}; root {path}/www; }}".format(
        port=(port := reserve_port()), path=place.path))
    big = place.path / "www" / "big"
    with open(big, "wb") as file:
        file.truncate(1 << 30)
    nginx.start()
    gateway = gateway_for(place, port)
    request = b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    clients = [connect(gateway.port) for _ in range(4)]
    for client in clients:
        client.sendall(request)
        read_exactly(client, 1 << 20)
    nginx.kill()
    for client in clients:
        assert len(read_to_end(client)[0]) < 1 << 29
        client.close()
    (place.path / "nginx.pid").unlink(missing_ok=True)
    nginx.start()
    gateway.close_lines(4, route="http")
    with connect(gateway.port) as client:
        client.sendall(request.replace(b"/big", b"/index.html"))
        assert b"the website" in read_to_end(client)[0]
    gateway.stop()


@pytest.mark.release
def test_bulk_goes_on_beside_a_flood_of_newcomers(place):
    """Two thousand short connections while data flows both ways: every byte arrives, in order."""
    total = 40 * len(BLOCK)

    def mirror(sock):
        if sock.recv(len(REQUEST), socket.MSG_WAITALL) != REQUEST:
            return
        sock.sendall(b"answered")
        while data := sock.recv(65536):
            sock.sendall(data)

    with Upstream(mirror) as upstream:
        gateway = gateway_for(place, upstream.address[1], "workers = 2\n")
        results = []

        def bulk():
            with connect(gateway.port) as client:
                client.sendall(REQUEST)
                assert read_exactly(client, 8) == b"answered"
                writer = threading.Thread(target=lambda: [client.sendall(BLOCK) for _ in range(40)], daemon=True)
                writer.start()
                got = read_exactly(client, total)
                writer.join()
                results.append(got == BLOCK * 40)

        streams = [threading.Thread(target=bulk, daemon=True) for _ in range(3)]
        for stream in streams:
            stream.start()
        for i in range(2000):
            with connect(gateway.port, source=f"127.0.4.{i % 20 + 1}") as client:
                client.sendall(REQUEST)
                assert read_exactly(client, 8) == b"answered"
        for stream in streams:
            stream.join(PATIENCE_S)
        assert results == [True] * 3
        gateway.stop()
