"""posternctl gateway: connections listed and ended, the log made louder."""

import os
import signal
import socket

import pytest
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.tcp import client_hello, connect, local_address, read_to_end
from harness.upstream import Upstream
from harness.wait import PATIENCE_S, wait_until

CONFIG = """
workers = 2
listener "public" {{ address = "127.0.0.1:{port}" }}
upstream "web" {{ server = "127.0.0.1:{server}" }}
route "tls" {{ protocol = "tls" proxy = "web" }}
route "http" {{ protocol = "http" proxy = "web" }}
"""


@pytest.fixture(name="gateway")
def fixture_gateway(place):
    with Upstream(read_to_end) as upstream:
        port = reserve_port()
        gateway = Gateway(place, CONFIG.format(port=port, server=upstream.address[1]))
        gateway.port = port
        gateway.start()
        yield gateway
        gateway.stop()


def ctl(gateway, *arguments, status=0):
    done = run("posternctl", "--gateway", gateway.config, "gateway", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def rows(gateway, *filters):
    """The connections that posternctl lists, as dicts."""
    return table(gateway, "connections", *filters)


def table(gateway, *arguments):
    lines = [line.split("\t") for line in ctl(gateway, *arguments).splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def test_what_routes_have_not_counted_is_left_out(gateway):
    """With thousands of routes it would be millions of zeros."""
    told = gateway.control_call("stats")
    assert list(told) == [""] and told[""]["accepted"] == 0
    with connect(gateway.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: gateway.control_call("stats").get("http", {}).get("routed") == 1, "its route counts")
        assert 0 not in gateway.control_call("stats")["http"].values()


def test_a_filter_is_an_object(gateway):
    for filter in ("x", ["a"], 1):
        with pytest.raises(AssertionError, match="expected a filter"):
            gateway.control_call("connections", filter=filter)


def test_many_ask_at_once(gateway):
    """More than may be served at a time wait, none is refused."""
    socks = [socket.socket(socket.AF_UNIX) for _ in range(60)]
    for sock in socks:
        sock.setblocking(False)
        sock.connect(str(gateway.control))
        sock.sendall(b'{"command": "status"}\n')
    for sock in socks:
        sock.settimeout(PATIENCE_S)
        with sock, sock.makefile() as lines:
            assert '"ok":true' in lines.readline()


def test_connections_are_listed_filtered_and_ended(gateway):
    clients = []
    for i in range(8):
        client = connect(gateway.port)
        client.sendall(client_hello(sni=f"n{i}.example.test", alpn=["h2"]) if i < 5 else b"GET / HTTP/1.1\r\n\r\n")
        clients.append(client)
    silent = connect(gateway.port)
    wait_until(lambda: len(rows(gateway, "state=relay")) == 8 and len(rows(gateway)) == 9, "nine connections")
    assert {row["sni"] for row in rows(gateway, "route=tls")} == {f"n{i}.example.test" for i in range(5)}
    (row,) = rows(gateway, "sni=n3.example.test")
    assert (row["peer"], row["upstream"], row["alpn"]) == (local_address(clients[3]), "web", "h2")
    assert len(rows(gateway, f"server={table(gateway, 'upstreams')[0]['server']}")) == 8
    assert len(rows(gateway, "peer=127.0.0.1")) == 9 and rows(gateway, "peer=127.0.0.2") == []
    assert [row["sni"] for row in rows(gateway, f"peer={local_address(clients[2])}")] == ["n2.example.test"]
    assert rows(gateway, "sni=n3.example.test", "peer=127.0.0.2") == []
    assert [row["peer"] for row in rows(gateway, "state=peek")] == [local_address(silent)]
    assert rows(gateway, "route=nothing") == []
    assert len(rows(gateway, "limit=3")) == 3

    assert ctl(gateway, "kill", row["id"]) == "closed\n"
    assert read_to_end(clients[3])[1] == "reset"
    assert gateway.close_lines(reason="killed")[0]["conn"] == row["id"]
    assert "no connection has this id" in ctl(gateway, "kill", row["id"], status=1)
    assert len(rows(gateway)) == 8
    for client in (*clients, silent):
        client.close()


@pytest.mark.parametrize("arguments, text", [
    (("kill", "12"), "expected the id of a connection: 16 hexadecimal digits"),
    (("kill", "zz00000000000000"), "expected the id of a connection"),
    (("connections", "limit=0"), "expected a limit from 1"),
    (("log-level", "loud"), "expected a level: debug, info, warn or error"),
])
def test_wrong_arguments(gateway, arguments, text):
    assert text in ctl(gateway, *arguments, status=1)


def test_unknown_filter(gateway):
    assert "expected NAME=VALUE, not colour=red" in ctl(gateway, "connections", "colour=red", status=2)


def test_the_log_is_made_louder_and_quiet_again(gateway):
    with connect(gateway.port) as client:
        client.sendall(b"nonsense")
    gateway.close_lines(reason="no_route")
    assert gateway.log(event="state") == []
    ctl(gateway, "log-level", "debug")
    wait_until(lambda: connect(gateway.port).close() or gateway.log(event="state"), "debug lines of a worker")
    ctl(gateway, "log-level", "error")
    rows(gateway)  # asks the workers, behind the word that the level is another one
    before = len(gateway.log())
    with connect(gateway.port) as client:
        client.sendall(b"nonsense")
        read_to_end(client)
    ctl(gateway, "log-level", "info")
    assert all(line["event"] == "log_level" for line in gateway.log()[before:] if line["level"] == "info")


def test_the_level_holds_for_the_master_and_for_new_workers(gateway):
    ctl(gateway, "log-level", "error")
    before = len(gateway.log())
    killed = gateway.status()["workers"][0]["pid"]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: gateway.status()["workers"][0]["pid"] != killed and gateway.status()["workers"][0]["ready"],
               "it is replaced")
    for _ in range(8):
        with connect(gateway.port) as client:
            client.sendall(b"nonsense")
            read_to_end(client)
    ctl(gateway, "log-level", "info")
    assert {line["event"] for line in gateway.log()[before:]} <= {"worker_died", "log_level"}
    assert gateway.log(event="worker_died")[0]["level"] == "error"


def test_servers_are_listed_and_set(gateway):
    (server,) = table(gateway, "upstreams")
    assert (server["upstream"], server["state"], server["admin"], server["weight"]) == ("web", "up", "ready", "1")
    assert ctl(gateway, "server", "web", server["server"], "maintenance") == "maintenance\n"
    assert table(gateway, "upstreams")[0]["admin"] == "maintenance"
    with connect(gateway.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_to_end(client)[0] == b""
    gateway.close_lines(reason="upstream_unavailable")
    ctl(gateway, "server", "web", server["server"], "ready")
    ctl(gateway, "server", "web", server["server"], "weight=7")
    assert table(gateway, "upstreams")[0]["weight"] == "7"
    ctl(gateway, "server", "web", server["server"], "weight=default")
    assert table(gateway, "upstreams")[0]["weight"] == "1"
    with connect(gateway.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: len(rows(gateway, "upstream=web")) == 1, "the server is used again")


@pytest.mark.parametrize("arguments, status, text", [
    (("nothing", "x", "ready"), 1, "nothing"),
    (("web", "192.0.2.1:1", "ready"), 1, "192.0.2.1:1"),
    (("web", "{server}", "asleep"), 1, "maintenance"),
    (("web", "{server}", "weight=many"), 2, "expected weight=NUMBER"),
    (("web", "{server}", "weight=-1"), 2, "expected weight=NUMBER"),
])
def test_wrong_servers(gateway, arguments, status, text):
    server = table(gateway, "upstreams")[0]["server"]
    assert text in ctl(gateway, "server", *(one.format(server=server) for one in arguments), status=status)


def test_routes_are_listed(gateway):
    with connect(gateway.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: len(rows(gateway, "route=http")) == 1, "a connection")
        wait_until(lambda: table(gateway, "routes")[1]["bytes_in"] != "0", "its request")
        (tls, http) = table(gateway, "routes")
        assert (tls["route"], tls["action"], tls["target"], tls["routed"]) == ("tls", "proxy", "web", "0")
        assert (http["route"], http["routed"], http["bytes_in"]) == ("http", "1", "18")
        assert int(http["line"]) == int(tls["line"]) + 1
