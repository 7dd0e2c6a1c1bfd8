"""Several servers in an upstream: who gets what, what becomes of a server that dies, limits, host names."""

import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.farm import Farm
from harness.place import AS_ROOT
from harness.ports import reserve_port
from harness.tcp import connect, local_address, read_exactly, read_to_end
from harness.upstream import Upstream
from harness.wait import wait_until

REQUEST = b"GET / HTTP/1.0\r\n\r\n"


@pytest.fixture
def farm(place):
    one = Farm(place)
    yield one
    one.stop()


@pytest.mark.release
def test_turns_go_by_weights(farm):
    a, b, c = (farm.server(name) for name in "abc")
    farm.start([f"{a.at} weight=3", b.at, f"{c.at} backup"])
    names = farm.ask(8)
    assert Counter(names) == {"a": 6, "b": 2}
    assert names[:4].count("b") == 1, "spread, not in a row"
    report = farm.report()
    assert {name: report[server.at]["total"] for name, server in (("a", a), ("b", b), ("c", c))} == {
        "a": 6, "b": 2, "c": 0}
    wait_until(lambda: farm.report()[a.at]["connections"] == 0, "its places are given back")


def test_a_client_keeps_its_server(farm):
    servers = [farm.server(name) for name in "abc"]
    farm.start([server.at for server in servers], "balance = source-hash")
    sources = [f"127.0.1.{n}" for n in range(1, 61)]  # so many that none of the three is left out by chance
    first = [farm.ask(source=source)[0] for source in sources]
    assert set(first) == {"a", "b", "c"}
    assert [farm.ask(source=source)[0] for source in sources] == first
    servers[0].kill()
    now = [farm.ask(source=source)[0] for source in sources]
    assert "a" not in now and all(old in (new, "a") for old, new in zip(first, now))


def test_the_one_with_the_fewest_connections(farm):
    a, b = farm.server("a"), farm.server("b")
    farm.start([a.at, b.at], "balance = least-connections")
    with farm.connect() as held:
        held.sendall(REQUEST[:-2])
        wait_until(lambda: sum(s["connections"] for s in farm.report().values()) == 1, "it is held")
        (busy,) = [at for at, server in farm.report().items() if server["connections"] == 1]
        assert set(farm.ask(4)) == {"b" if busy == a.at else "a"}


@pytest.mark.release
@pytest.mark.tsan
def test_a_dead_server_is_ejected_and_comes_back(farm):
    """No client notices: each is served by the other one."""
    a, b = farm.server("a"), farm.server("b")
    gateway = farm.start([a.at, b.at], "max-fails = 2 fail-timeout = 500ms fail-timeout-max = 500ms", "workers = 2")
    wait_until(lambda: {"a", "b"} <= set(farm.ask(4)), "both are used")
    a.kill()
    # Alone in its place: ejected by what several workers saw, tried by one connection at a time.
    wait_until(lambda: set(farm.ask()) == {"b"} and gateway.log(event="server_ejected"), "it is ejected")
    assert gateway.log(event="server_ejected")[0]["server"] == a.at
    before, begun = len(gateway.log(event="connect_failed")), time.monotonic()
    assert set(farm.ask(20)) == {"b"}
    tries = 2 + (time.monotonic() - begun) / 0.5
    assert len(gateway.log(event="connect_failed")) - before <= tries, "it is left alone"
    a.start()
    wait_until(lambda: "a" in farm.ask(), "it is used again")
    gateway.wait_log(event="server_back", server=a.at)
    assert gateway.stats()[""]["ejections"] >= 1


def test_the_last_server_is_tried_however_often_it_failed(farm):
    a = farm.server("a")
    gateway = farm.start([a.at], "max-fails = 1 fail-timeout = 1h fail-timeout-max = 1h")
    a.kill()
    with farm.connect() as sock:
        address = local_address(sock)
        sock.sendall(REQUEST)
        assert read_to_end(sock)[0] == b""
    assert gateway.close_lines(peer=address)[0]["reason"] == "upstream_unavailable"
    gateway.wait_log(event="server_ejected")
    a.start()
    assert farm.ask() == ["a"]
    gateway.wait_log(event="server_back")


def test_a_backup_server_serves_while_no_other_can(farm):
    a, b = farm.server("a"), farm.server("b")
    farm.start([a.at, f"{b.at} backup"], "max-fails = 1 fail-timeout = 200ms fail-timeout-max = 200ms")
    assert set(farm.ask(4)) == {"a"}
    a.kill()
    assert set(farm.ask(4)) == {"b"}
    a.start()
    wait_until(lambda: farm.ask() == ["a"], "the first one is used again")
    assert set(farm.ask(4)) == {"a"}


def test_a_server_that_does_not_answer_costs_connect_timeout(farm):
    a = farm.server("a")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        fillers = []
        for _ in range(4):  # until its queue is full, and the kernel drops what comes
            fillers.append(socket.socket())
            fillers[-1].setblocking(False)
            fillers[-1].connect_ex(silent.getsockname())
        gateway = farm.start(["127.0.0.1:%d" % silent.getsockname()[1], a.at],
                             "balance = first connect-timeout = 500ms")
        assert farm.ask() == ["a"]
        assert gateway.wait_log(event="connect_failed")["error"] == "Connection timed out"
        for sock in fillers:
            sock.close()


@pytest.mark.release
def test_checks_find_out_before_clients_do(farm):
    a, b = farm.server("a"), farm.server("b")
    gateway = farm.start([a.at, b.at], "check-interval = 50ms rise = 2 fall = 2")
    a.kill()
    line = gateway.wait_log(event="server_down", server=a.at)
    assert line["error"] == "Connection refused"
    assert set(farm.ask(6)) == {"b"} and not gateway.log(event="connect_failed")
    assert farm.report()[a.at]["state"] == "down"
    a.start()
    gateway.wait_log(event="server_up", server=a.at)
    wait_until(lambda: set(farm.ask(2)) == {"a", "b"}, "it is used again")
    assert len(gateway.log(event="server_down")) == 1, "only changes are logged"


def test_a_check_is_no_connection_to_the_server(farm):
    """The kernel answers; the server never accepts one, and has nothing to log."""
    port = reserve_port()
    gateway = farm.start([f"127.0.0.1:{port}"], "check-interval = 20ms rise = 10 fall = 1")
    gateway.wait_log(event="server_down")
    with socket.create_server(("127.0.0.1", port)) as server:
        gateway.wait_log(event="server_up")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def hold(sock):
    """A server that greets, and ends when the client does."""
    sock.sendall(b"hello")
    read_to_end(sock)


def test_a_full_server_lets_connections_wait(farm):
    with Upstream(hold) as server:
        at = "127.0.0.1:%d" % server.address[1]
        gateway = farm.start([f"{at} max-connections=1"], "queue = 1 queue-timeout = 20s")
        with farm.connect() as first, farm.connect() as second, farm.connect() as third:
            first.sendall(b"x")
            assert read_exactly(first, 5) == b"hello"
            second.sendall(b"x")
            wait_until(lambda: gateway.stats()[""]["queued"] == 1, "the second one waits")
            third.sendall(b"x")
            address = local_address(third)
            assert read_to_end(third)[0] == b""
            assert gateway.close_lines(peer=address)[0]["reason"] == "queue_full"
            first.close()
            assert read_exactly(second, 5) == b"hello"


def test_who_waits_too_long_is_closed(farm):
    with Upstream(hold) as server:
        gateway = farm.start(["127.0.0.1:%d" % server.address[1]],
                             "max-connections = 1 queue = 5 queue-timeout = 200ms")
        with farm.connect() as first, farm.connect() as second:
            first.sendall(b"x")
            assert read_exactly(first, 5) == b"hello"
            second.sendall(b"x")
            address = local_address(second)
            assert read_to_end(second)[0] == b""
            assert gateway.close_lines(peer=address)[0]["reason"] == "queue_timeout"


@pytest.mark.release
@pytest.mark.tsan
def test_limits_hold_over_all_workers(farm):
    """Two workers that look at the same time may both take the last place, so there may be one too many."""
    now, most, lock = [0], [0], threading.Lock()

    def serve(sock):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        data = read_exactly(sock, 1)
        with lock:
            now[0] -= 1
        sock.sendall(data)

    with Upstream(serve) as server:
        farm.start(["127.0.0.1:%d max-connections=2" % server.address[1]], "queue = 100 queue-timeout = 25s",
                   "workers = 2")

        def client(_):
            with farm.connect() as sock:
                sock.sendall(b"x")
                return read_exactly(sock, 1)

        with ThreadPoolExecutor(30) as pool:
            assert list(pool.map(client, range(60))) == [b"x"] * 60
    assert 1 <= most[0] <= 3


@pytest.mark.release
def test_a_dead_worker_gives_its_places_back(farm):
    with Upstream(hold) as server:
        gateway = farm.start(["127.0.0.1:%d max-connections=1" % server.address[1]])
        with farm.connect() as first:
            first.sendall(b"x")
            assert read_exactly(first, 5) == b"hello"
            os.kill(gateway.status()["workers"][0]["pid"], signal.SIGKILL)
            read_to_end(first)
        gateway.wait_log(count=2, event="worker")
        with farm.connect() as second:
            second.sendall(b"x")
            assert read_exactly(second, 5) == b"hello"


@pytest.mark.release
def test_the_administrator_takes_a_server_out(farm):
    a, b = farm.server("a"), farm.server("b")
    gateway = farm.start([a.at, b.at], "check-interval = 50ms")
    for state in ("drain", "maintenance"):
        farm.set(a, admin=state)
        assert set(farm.ask(4)) == {"b"}
    farm.set(b, weight=0)
    with farm.connect() as sock:
        address = local_address(sock)
        sock.sendall(REQUEST)
        assert read_to_end(sock)[0] == b""
        assert gateway.close_lines(peer=address)[0]["reason"] == "upstream_unavailable"
    farm.set(b, weight=3)
    farm.set(a, admin="ready")
    assert Counter(farm.ask(8)) == {"a": 2, "b": 6}
    farm.set(b, weight=-1)
    assert Counter(farm.ask(8)) == {"a": 4, "b": 4}
    with pytest.raises(AssertionError, match="expected ready, drain or maintenance"):
        farm.set(a, admin="asleep")
    with pytest.raises(AssertionError, match="expected a server of upstream"):
        gateway.control_call("server", upstream="farm", server="nowhere:1", admin="ready")


@pytest.mark.release
def test_what_was_set_survives_a_reload(farm):
    a, b = farm.server("a"), farm.server("b")
    gateway = farm.start([a.at, b.at])
    farm.ask(4)
    farm.set(a, admin="drain")
    farm.set(b, weight=7)
    gateway.control_call("reload")
    gateway.wait_log(event="reloaded")
    assert set(farm.ask(4)) == {"b"}
    report = farm.report()
    assert (report[a.at]["admin"], report[b.at]["weight"]) == ("drain", 7)
    assert (report[a.at]["total"], report[b.at]["total"]) == (2, 6)


@pytest.fixture
def hosts(place):
    """A hosts file of the gateway's own, and the words before its command line that put it in place."""
    unshare = ["unshare", "--mount"] + ([] if AS_ROOT else ["--map-root-user"])
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("this kernel lets us make no mount namespace")
    path = place.write("hosts", "")
    resolv = place.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    script = f'mount --bind {path} /etc/hosts && mount --bind {resolv} /etc/resolv.conf && exec "$@"'
    return path, [*unshare, "sh", "-c", script, "sh"]


@pytest.mark.release
def test_host_names_are_resolved_again(farm, hosts):
    path, wrapper = hosts
    a = farm.server("a", host="127.0.0.2")
    farm.server("b", host="127.0.0.3", port=a.port)
    path.write_text("127.0.0.2 one.test\n")
    name = f"one.test:{a.port}"
    gateway = farm.start([name], "resolve-interval = 100ms", wrapper=wrapper)
    assert farm.ask(3) == ["a"] * 3, "from the first client on"
    path.write_text("127.0.0.3 one.test\n127.0.0.2 one.test\n")
    path.write_text("127.0.0.3 one.test\n")
    gateway.wait_log(event="server_address", address=f"127.0.0.3:{a.port}")
    assert farm.ask(3) == ["b"] * 3
    path.write_text("")
    gateway.wait_log(event="resolve_failed")
    assert farm.ask(3) == ["b"] * 3, "the address that was known stays"
    assert farm.report()[name]["address"] == f"127.0.0.3:{a.port}"


def test_a_present_address_stays_while_it_is_one_of_them(farm, hosts):
    path, wrapper = hosts
    a = farm.server("a", host="127.0.0.3")
    farm.server("b", host="127.0.0.2", port=a.port)
    path.write_text("127.0.0.3 one.test\n")
    gateway = farm.start([f"one.test:{a.port}", f"two.test:{a.port}"], "resolve-interval = 100ms", wrapper=wrapper)
    path.write_text("127.0.0.2 one.test\n127.0.0.3 one.test\n127.0.0.2 two.test\n")
    gateway.wait_log(event="server_address", server=f"two.test:{a.port}")  # so the new file has been read
    assert [line["address"] for line in gateway.log(event="server_address", server=f"one.test:{a.port}")] == [
        f"127.0.0.3:{a.port}"]


@pytest.mark.release
def test_a_name_that_is_not_known_is_no_reason_not_to_start(farm, hosts):
    path, wrapper = hosts
    a = farm.server("a")
    gateway = farm.start([f"one.test:{a.port}", f"{a.at} backup"], "resolve-interval = 100ms", wrapper=wrapper)
    assert gateway.log(event="resolve_failed")[0]["server"] == f"one.test:{a.port}"
    assert farm.ask() == ["a"] and not gateway.log(event="connect_failed")
    assert farm.report()[f"one.test:{a.port}"]["state"] == "unresolved"
    path.write_text("127.0.0.1 one.test\n")
    gateway.wait_log(event="server_address")
    with farm.connect() as sock:
        address = local_address(sock)
        sock.sendall(REQUEST)
        read_to_end(sock)
    assert gateway.close_lines(peer=address)[0]["server"] == f"one.test:{a.port}"


def test_the_resolver_is_replaced_and_ends_with_the_gateway(farm, hosts):
    path, wrapper = hosts
    path.write_text("127.0.0.1 one.test\n")
    gateway = farm.start([f"one.test:{reserve_port()}"], "resolve-interval = 100ms", wrapper=wrapper)

    def resolvers():
        found = []
        for pid in pathlib.Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split():
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "postern-resolve\n":
                    found.append(int(pid))
            except (FileNotFoundError, ProcessLookupError):
                pass  # waited for meanwhile
        return found

    (first,) = resolvers()
    if AS_ROOT:
        assert os.stat(f"/proc/{first}").st_uid != 0
    os.kill(first, signal.SIGKILL)
    gateway.wait_log(event="resolver_died")
    (second,) = wait_until(lambda: len(found := resolvers()) == 1 and found != [first] and found, "another one is started")
    gateway.stop()
    assert not os.path.exists(f"/proc/{second}")


def test_keepalive_on_both_sides(farm):
    with Upstream(hold) as server:
        farm.gateway = None
        port = reserve_port()
        at = server.address[1]
        gateway = farm.start([f"127.0.0.1:{at}"], "keepalive = 2h",
                             f'listener "kept" {{ address = "127.0.0.1:{port}" keepalive = 3h }}')
        with connect(port) as sock:
            sock.sendall(b"x")
            assert read_exactly(sock, 5) == b"hello"
            client = sock.getsockname()[1]

            def timer(filter_text):
                lines = subprocess.run(["ss", "-Htno", filter_text], capture_output=True, text=True).stdout
                return "keepalive,119min" if "keepalive,119min" in lines else lines

            assert gateway.running()
            wait_until(lambda: "keepalive,119min" in timer(f"dport = :{at}"), "the server's side is kept")
            wait_until(lambda: "keepalive,179min" in timer(f"dport = :{client}"), "the client's side is kept")
