"""Limits: of each source in all workers, of those that wait to be decided, of descriptors; and that honest clients pass."""

import os
import signal
import socket
import subprocess

import pytest

from harness.crowd import raise_descriptor_limit
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.tcp import client_hello, read_exactly, read_to_end
from harness.wait import PATIENCE_S, wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

CONFIG = """
peek-timeout = 10m
{extra}
listener "public" {{ address = {{"127.0.0.1:{port}", "[::1]:{port}"}} {listener} }}
upstream "server" {{ server = "{server}" }}
backend "xmpp" {{ inlet = "{path}/inlet" handoff-timeout = 20s }}
route "xmpp" {{ alpn = "xmpp-client" handoff = "xmpp" }}
route "tls" {{ protocol = "tls" proxy = "server" }}
route "http" {{ protocol = "http" proxy = "server" }}
{routes}
"""


class Front:
    """A gateway before a server that the test plays; clients choose their addresses in 127.0.0.0/8."""

    def __init__(self, extra="", listener="", routes="", limit=None):
        self.place, self.port = Place(), reserve_port()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.server.settimeout(PATIENCE_S)
        if "drain-timeout" not in extra:
            extra = f"drain-timeout = 100ms\n{extra}"
        self.gateway = Gateway(self.place, CONFIG.format(
            extra=extra, listener=listener, routes=routes, port=self.port, path=self.place.path,
            server="%s:%d" % self.server.getsockname()))
        self.held = []
        if limit is not None:
            self.gateway.arguments = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *self.gateway.arguments]
        self.gateway.start()

    def connect(self, source="127.0.0.2"):
        """A connection, or None: it was reset at once."""
        host = "::1" if ":" in source else "127.0.0.1"
        try:
            sock = socket.create_connection((host, self.port), PATIENCE_S, (source, 0))
        except ConnectionResetError:
            return None
        self.held.append(sock)
        return sock

    def hold(self, source="127.0.0.2", before=b"", first=REQUEST):
        """The client's end of a proxied connection, or None: it was turned away."""
        client = self.connect(source)
        if client is None:
            return None
        try:
            client.sendall(before + first)
            client.settimeout(0.01)
            while True:
                self.server.settimeout(0.01)
                try:
                    server = self.server.accept()[0]
                    break
                except TimeoutError:
                    pass
                try:
                    assert client.recv(1) == b""
                    return None
                except TimeoutError:
                    pass
        except (ConnectionResetError, BrokenPipeError):
            return None
        server.settimeout(PATIENCE_S)
        client.settimeout(PATIENCE_S)
        assert read_exactly(server, len(first)) == first
        self.held.append(server)
        return client

    def count_held(self, tries, source="127.0.0.2", before=b""):
        return sum(self.hold(source, before) is not None for _ in range(tries))

    def turned_away(self, source="127.0.0.2"):
        client = self.connect(source)
        return client is None or read_to_end(client) == (b"", "reset")

    def total(self, name):
        return self.gateway.stats()[""][name]

    def worker_sum(self, name):
        return sum(worker.get(name, 0) for worker in self.gateway.status()["workers"])

    def stop(self):
        for sock in self.held:
            sock.close()
        try:
            if self.gateway.running():
                self.gateway.stop()
            self.gateway.check_clean()
        finally:
            self.gateway.kill()
            self.server.close()
            self.place.remove()


@pytest.fixture
def front():
    made = []

    def make(**arguments):
        made.append(Front(**arguments))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.release
def test_connections_of_a_source_over_all_workers(front):
    one = front(extra='workers = 2\nmax-connections-per-source = 6\nunlimited-sources = {"127.0.0.9", "::1"}')
    assert one.count_held(8) == 6
    assert one.total("close_source_connections") == 2
    line = one.gateway.close_lines(reason="source_connections")[0]
    assert line["peer"].startswith("127.0.0.2:") and line["listener"] == "public"
    # Others are not touched, and some have no limit.
    assert one.count_held(1, "127.0.0.3") == 1
    assert one.count_held(8, "127.0.0.9") == 8
    assert one.count_held(8, "::1") == 8
    assert one.worker_sum("connections") == 23
    # Who has left makes room for one.
    one.held[0].close()
    one.held[1].close()
    one.gateway.close_lines(count=1, reason="done")
    assert one.count_held(3) == 1
    assert one.total("close_source_connections") == 4


@pytest.mark.release
def test_the_rate_of_a_source_over_all_workers(front):
    one = front(extra='workers = 2\nconnection-rate-per-source = "1/h"\nconnection-burst-per-source = 5')
    assert one.count_held(8) == 5
    assert one.total("close_source_rate") == 3
    assert one.count_held(8, "127.0.0.3") == 5


def test_a_rate_gives_back(front):
    one = front(extra='connection-rate-per-source = "10/s"\nconnection-burst-per-source = 1')
    assert one.hold() is not None
    wait_until(lambda: one.hold() is not None, "another one after a tenth of a second")


@pytest.mark.release
def test_undecided_connections_of_a_source(front):
    one = front(extra="workers = 2\nmax-probing-per-source = 3")
    waiting = [one.connect() for _ in range(3)]
    wait_until(lambda: one.worker_sum("probing") == 3, "they wait")
    assert one.turned_away()
    assert one.count_held(2, "127.0.0.3") == 2
    # Decided ones count no more, however long they last; nor do those that have ended.
    waiting[0].sendall(REQUEST)
    one.held.append(one.server.accept()[0])
    waiting[1].close()
    wait_until(lambda: one.worker_sum("probing") == 1, "one is decided, one has ended")
    assert one.count_held(5) == 5
    assert one.total("close_source_probing") == 1


@pytest.mark.release
def test_a_killed_worker_leaves_no_counts(front):
    one = front(extra="max-connections-per-source = 4")
    assert one.count_held(6) == 4
    killed = one.gateway.status()["workers"][0]["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: (worker := one.gateway.status()["workers"][0])["ready"] and worker["pid"] != killed, "a new worker")
    assert one.worker_sum("connections") == 0
    assert one.count_held(6) == 4


@pytest.mark.release
def test_a_reload_forgets_neither_counts_nor_rates(front):
    """Those who stay with the old workers count in the new ones."""
    one = front(extra='drain-timeout = 10m\nmax-connections-per-source = 4\nconnection-rate-per-source = "1/h"\n'
                      "connection-burst-per-source = 6")
    assert one.count_held(6) == 4
    assert one.count_held(8, "127.0.0.3") == 4
    one.gateway.signal(signal.SIGHUP)
    one.gateway.wait_log(event="reloaded")
    assert one.turned_away()
    assert one.total("close_source_connections") == 7
    for sock in one.held[:8]:
        sock.close()
    one.gateway.close_lines(count=4, reason="done")
    assert one.count_held(4) == 2
    assert one.total("close_source_rate") == 2


@pytest.mark.release
def test_circuits_of_tor_are_sources(front):
    """All of them come from this machine, as Tor's HiddenServiceExportCircuitID haproxy tells them apart."""
    one = front(extra="max-connections-per-source = 2", listener='proxy-protocol-from = "127.0.0.1"')

    def circuit(number):
        return f"PROXY TCP6 fc00:dead:beef:4dad::{number:x} ::1 65535 42\r\n".encode()

    assert one.count_held(4, "127.0.0.1", circuit(1)) == 2
    assert one.count_held(4, "127.0.0.1", circuit(2)) == 2
    # Elsewhere a /64 is one source.
    for network, wanted in (("2001:db8:0:1", 2), ("2001:db8:0:2", 2)):
        held = [one.hold("127.0.0.1", f"PROXY TCP6 {network}::{i} ::1 1 2\r\n".encode()) for i in range(1, 4)]
        assert sum(sock is not None for sock in held) == wanted
    # Tor itself is nobody's source: connections that do not say whose they are have no limit.
    assert one.count_held(4, "127.0.0.1", b"PROXY UNKNOWN\r\n") == 4
    assert one.total("close_source_connections") == 6


@pytest.mark.release
def test_handed_off_connections_are_the_backends(front):
    one = front(extra="max-connections-per-source = 2")
    path = one.place.path / "inlet"
    one.place.path.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as inlet:
        inlet.bind(str(path))
        path.chmod(0o777)
        inlet.listen(5)
        inlet.settimeout(PATIENCE_S)
        for count in range(1, 6):
            one.connect().sendall(client_hello("a.example", ["xmpp-client"]))
            one.gateway.close_lines(count=count, reason="handed_off")
        channel = inlet.accept()[0]
        with channel:
            for _ in range(5):
                for passed in socket.recv_fds(channel, 4096, 4)[1]:
                    os.close(passed)
    assert one.total("close_source_connections") == 0


@pytest.mark.release
def test_too_many_undecided_cost_the_oldest_their_time(front):
    one = front(extra="max-probing = 10")
    silent = [one.connect(f"127.0.1.{i}") for i in range(30)]
    wait_until(lambda: one.total("close_probing_hurried") == 20, "the oldest are closed")
    assert one.worker_sum("probing") == 10
    for sock in silent[:20]:
        assert read_to_end(sock)[0] == b""
    # Those left are as good as any, and so are newcomers.
    silent[29].sendall(REQUEST)
    assert one.server.accept()[0].recv(100) == REQUEST
    assert one.count_held(20) == 20
    assert one.total("probing_hurried") >= 20
    for i in range(100):
        one.connect(f"127.0.2.{i}")
    one.gateway.wait_log(event="lines_held_back")


@pytest.mark.release
def test_hurried_ones_get_the_verdict_of_their_deadline(front):
    """Silence and half a hello have their routes, only sooner."""
    one = front(extra="max-probing = 2", routes='route "silent" { on-timeout = true proxy = "server" }')
    one.connect()
    one.connect().sendall(client_hello("a.example")[:100])
    wait_until(lambda: one.worker_sum("probing_bytes") == 100, "both wait")
    for _ in range(2):
        one.connect()
    wait_until(lambda: one.total("probing_hurried") == 2 and one.total("routed") == 2, "two are hurried")
    stats = one.gateway.stats()
    assert (stats["silent"]["routed"], stats["tls"]["routed"], one.total("close_probing_hurried")) == (1, 1, 0)


@pytest.mark.release
def test_bytes_left_in_the_kernel_are_bounded(front):
    one = front(extra="probing-memory = 64k\npeek-limit = 16k")
    hello = b"\x16\x03\x01\x3f\x00\x01\x00\x3e\xfc" + b"\3\3" + bytes(9989)
    one.connect("127.0.0.7")  # holds nothing: spared, though it is the oldest
    wait_until(lambda: one.worker_sum("probing") == 1, "it waits")
    for _ in range(20):
        one.connect().sendall(hello)
    wait_until(lambda: one.worker_sum("probing_bytes") == 60000 and one.total("probing_hurried") == 14, "six are left")
    assert one.worker_sum("probing") == 7
    # An honest client's second half comes in time.
    whole = client_hello("a.example")
    client = one.connect("127.0.0.8")
    client.sendall(whole[:100])
    wait_until(lambda: one.worker_sum("probing_bytes") == 60100, "the first half is seen")
    client.sendall(whole[100:])
    servers = [one.server.accept()[0] for _ in range(15)]
    one.held += servers
    assert read_exactly(servers[-1], len(whole)) == whole


def test_the_largest_hello_has_a_limit_of_its_own(front):
    """One that is longer is decided there, long before its deadline: it is TLS, and its names are not known."""
    hello = client_hello("a.example", ["xmpp-client", *("x" * 200 for _ in range(3))])
    assert len(hello) > 800
    one = front(extra="peek-limit = 800")
    assert one.hold(first=hello) is not None
    assert one.total("hello_partial") == 1
    stats = one.gateway.stats()
    assert (stats["tls"]["routed"], stats["xmpp"]["routed"]) == (1, 0)
    one.connect().sendall(hello[:799])
    wait_until(lambda: one.worker_sum("probing_bytes") == 799, "one byte less is waited for")


@pytest.mark.release
def test_a_flood_of_clients_is_no_flood_of_lines(front):
    one = front(extra="max-connections-per-source = 1")
    assert one.count_held(1) == 1
    for _ in range(600):
        assert one.turned_away()
    assert one.total("close_source_connections") == 600
    one.gateway.wait_log(event="lines_held_back")
    assert len(one.gateway.log(reason="source_connections")) < 600


@pytest.mark.release
def test_without_descriptors_newcomers_are_shed(front):
    """So many addresses leave few descriptors for clients, fewer than max-connections."""
    addresses = ", ".join(f'"127.0.3.{i}:{reserve_port()}"' for i in range(1, 161))
    routes = f"listener \"many\" {{ address = {{{addresses}}} }}"
    roomy = front(routes=routes)
    used = len(os.listdir(f"/proc/{roomy.gateway.status()['workers'][0]['pid']}/fd"))
    roomy.gateway.stop()
    one = front(extra="max-probing = 1000", routes=routes, limit=used + 20)
    raise_descriptor_limit(4000)
    silent = [one.connect(f"127.0.1.{i}") for i in range(1, 100)]
    wait_until(lambda: one.total("accepted") == 99, "all are taken")
    shed = one.total("close_descriptors")
    assert 0 < shed == 99 - one.worker_sum("connections") and one.total("close_overload") == 0
    for _ in range(1000):
        assert one.turned_away()
    # Nobody waited for it, and nothing was paused.
    assert (one.total("close_descriptors"), one.total("accept_faults")) == (shed + 1000, 0)
    # It recovers by itself as soon as somebody leaves; those who were in go on.
    for sock in silent[:4]:
        sock.close()
    wait_until(lambda: one.worker_sum("connections") == 95 - shed, "they have left")
    assert one.hold() is not None
    silent[5].sendall(REQUEST)
    assert read_exactly(one.server.accept()[0], len(REQUEST)) == REQUEST


@pytest.mark.release
def test_listening_on_an_address_that_is_not_there(front):
    one = front()
    port = reserve_port()
    text = (f'listener "public" {{ address = "192.0.2.77:{port}" %s }}\nroute "all" {{ refuse = close }}\n')
    free = Gateway(one.place, text % "freebind = true", name="free")
    bound = Gateway(one.place, text % "", name="bound")
    try:
        free.start()
        bound.popen = subprocess.Popen(bound.arguments, stderr=subprocess.PIPE)
        assert b"Cannot assign requested address" in bound.popen.communicate(timeout=PATIENCE_S)[1]
    finally:
        free.stop()
        free.kill()
        bound.kill()


@pytest.mark.release
def test_deferred_clients_are_accepted_with_their_first_byte(front):
    one = front(listener="defer-accept = true")
    client = one.connect()
    other = one.connect("127.0.0.3")
    other.sendall(REQUEST)
    with one.server.accept()[0] as server:
        assert read_exactly(server, len(REQUEST)) == REQUEST
    assert one.total("accepted") == 1
    client.sendall(REQUEST)
    with one.server.accept()[0] as server:
        assert read_exactly(server, len(REQUEST)) == REQUEST
    assert one.total("accepted") == 2
