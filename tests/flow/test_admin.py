"""The admin listener: /metrics and /health over HTTP."""

import os
import re
import socket
import subprocess
import time

import pytest
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.tcp import connect, read_to_end, turned_away
from harness.wait import PATIENCE_S, wait_until
from harness.watch import check_metrics, curl, metrics

CONFIG = """
workers = 2
listener "public" {{ address = "127.0.0.1:{public}" }}
listener "admin" {{ address = "127.0.0.1:{admin}" serve = admin }}
listener "closed" {{ address = "127.0.0.1:{closed}" serve = admin allow = "192.0.2.0/24" }}
upstream "web" {{ server = {{"127.0.0.1:{public} weight=3", "127.0.0.1:{admin} backup"}} }}
route "never" {{ sni = "never.example" proxy = "web" }}
route "a \\"quoted\\" \\\\ name" {{ protocol = "http" refuse = http-400 }}
route "rest" {{ refuse = close }}
"""


@pytest.fixture(name="gateway")
def fixture_gateway(place):
    ports = {name: reserve_port() for name in ("public", "admin", "closed")}
    gateway = Gateway(place, CONFIG.format(**ports))
    gateway.ports = ports
    gateway.start()
    yield gateway
    gateway.stop()


def test_metrics_are_what_prometheus_accepts(gateway):
    for _ in range(3):
        assert curl(gateway.ports["public"], "/")[0] == 400
    wait_until(lambda: gateway.stats()[""]["close_refused"] == 3, "they have ended")
    wait_until(lambda: sum(worker["connections"] for worker in gateway.status()["workers"]) == 0, "nobody is there")
    text = metrics(gateway)
    assert "\npostern_gateway_routed_total 3\n" in text
    assert '\npostern_gateway_route_routed_total{route="a \\"quoted\\" \\\\ name"} 3\n' in text
    assert "\npostern_gateway_close_refused_total 3\n" in text
    assert '\npostern_gateway_server_up{upstream="web",server="127.0.0.1:%d"} 1\n' % gateway.ports["public"] in text
    assert "\npostern_gateway_workers 2\n" in text and "\npostern_gateway_connections 1\n" in text
    check_metrics(text)


def test_connections_and_a_server_that_is_drained_show(gateway):
    for _ in range(3):
        connect(gateway.ports["public"])
    held = [connect(gateway.ports["public"]) for _ in range(5)]
    wait_until(lambda: "\npostern_gateway_probing_connections 5\n" in metrics(gateway), "five undecided connections")
    wait_until(lambda: "\npostern_gateway_connections 6\n" in metrics(gateway), "these, and the one that asks")
    for client in held:
        client.close()
    server = f"127.0.0.1:{gateway.ports['public']}"
    assert run("posternctl", "-g", gateway.config, "gateway", "server", "web", server, "drain").returncode == 0
    assert 'server_up{upstream="web",server="%s"} 0\n' % server in metrics(gateway)


def test_every_worker_tells_of_all(gateway):
    assert curl(gateway.ports["public"], "/")[0] == 400
    for _ in range(10):
        assert "\npostern_gateway_routed_total 1\n" in metrics(gateway)


def test_health_and_what_is_not_there(gateway):
    port = gateway.ports["admin"]
    assert curl(port, "/health") == (200, "ok\n")
    assert curl(port, "/health?x=1") == (200, "ok\n")
    assert curl(port, "/")[0] == 200
    assert curl(port, "/metricsx")[0] == 404
    assert curl(port, "/health", "-X", "POST", "-d", "x")[0] == 405
    status, head = curl(port, "/metrics", "-I")
    assert status == 200 and int(re.search(r"Content-Length: (\d+)", head)[1]) > 1000
    assert "route" not in curl(port, "/metrics", "-I")[1]


def test_strangers_are_told_nothing(gateway):
    assert curl(gateway.ports["closed"], "/metrics")[0] == 403


def test_requests_in_pieces_and_malformed_ones(gateway):
    port = gateway.ports["admin"]
    with connect(port) as client:
        for byte in b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n":
            client.sendall(bytes([byte]))
        data, end = read_to_end(client)
        assert data.endswith(b"\r\n\r\nok\n") and end == "end"
    for request in (b"\x16\x03\x01\x00\x05hello\r\n\r\n", b"GET /health\r\n\r\n", b"GET /health HTTP/1.1\r\n\0\r\n\r\n"):
        with connect(port) as client:
            client.sendall(request)
            assert read_to_end(client)[0].startswith(b"HTTP/1.1 400 ")
    with connect(port) as client:
        client.sendall(os.urandom(20000))
        assert read_to_end(client)[0].startswith(b"HTTP/1.1 400 ")


def test_it_answers_when_the_gateway_is_full(place):
    """It has places of its own, neither without end nor those of clients."""
    port, admin, full = reserve_port(), reserve_port(), 20
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(PATIENCE_S)
    gateway = Gateway(place, f"""
max-connections = {full}
max-probing = {full}
drain-timeout = 100ms
peek-timeout = 10m
listener "public" {{ address = "127.0.0.1:{port}" }}
listener "admin" {{ address = "127.0.0.1:{admin}" serve = admin }}
upstream "server" {{ server = "127.0.0.1:{server.getsockname()[1]}" }}
route "rest" {{ protocol = "http" proxy = "server" }}
""")
    gateway.start()
    clients = [connect(port) for _ in range(full)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    proxied = [server.accept()[0] for _ in clients]
    assert turned_away(port)
    status, text = curl(admin, "/metrics")
    assert status == 200 and "\npostern_gateway_close_overload_total 1\n" in text
    wait_until(lambda: gateway.status()["workers"][0]["connections"] == full, "the one that asked has left")
    held = [connect(admin) for _ in range(32)]
    wait_until(lambda: gateway.status()["workers"][0]["connections"] == full + 32, "more than the gateway may hold")
    assert turned_away(admin)
    clients.pop().close()
    proxied.pop().close()
    wait_until(lambda: gateway.status()["workers"][0]["connections"] < full + 32, "clients have left")
    clients.append(connect(port))
    clients[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")
    proxied.append(server.accept()[0])
    for sock in held:
        sock.close()
    wait_until(lambda: gateway.status()["workers"][0]["connections"] <= full, "there is room again")
    assert curl(admin, "/health")[0] == 200
    gateway.stop()
    for sock in [*proxied, *clients, server]:
        sock.close()


def test_allow_belongs_to_admin_listeners(place):
    config = place.write("bad.conf", 'listener "x" { address = "127.0.0.1:1" allow = "::1" }\n'
                                     'route "r" { refuse = close }\n')
    done = run("postern-gateway", "-t", "-c", config)
    assert done.returncode == 2
    assert 'bad.conf:1: listener "x": allow: expected "serve = admin" beside it' in done.stderr


def test_the_end_of_certificates_shows(place):
    cert, _ = place.certificate("site", ["www.example.test", "example.test"])
    admin = reserve_port()
    gateway = Gateway(place, f"""
listener "public" {{ address = "127.0.0.1:{reserve_port()}" }}
listener "admin" {{ address = "127.0.0.1:{admin}" serve = admin }}
tls "site" {{ certificate = "{cert}" }}
route "decrypt" {{ protocol = "tls" terminate = "site" }}
route "inside" {{ inside = "site" refuse = close }}
""")
    gateway.start()
    dates = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", cert],
                           capture_output=True, text=True, check=True).stdout
    text = curl(admin, "/metrics")[1]
    (end,) = re.findall(r'^postern_gateway_certificate_not_after_seconds{tls="site",name="www.example.test",'
                        r'key="\w+",file="[^"]*site.crt"} (\d+)$', text, re.M)
    assert dates.strip() == "notAfter=" + time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(int(end)))
    assert curl(admin, "/health")[0] == 200
    gateway.stop()
