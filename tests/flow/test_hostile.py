"""What is not as it should be: garbage, silence, half a hello, servers that are down.  Each ends its own connection,
with a reason in the log and a counter, and nothing else."""

import os
import socket
import struct

import pytest

from harness.site import WEBSITE, XMPPS, Site
from harness.tcp import client_hello, connect, local_address, read_to_end
from harness.wait import wait_until


@pytest.fixture(scope="module")
def quick_site():
    """One that loses patience soon."""
    made = Site(gateway_extra="peek-timeout = 1s", backend_extra="auth-timeout = 1s")
    try:
        yield made.start()
    finally:
        made.stop()


def close_line(site, sock_address):
    return site.gateway.close_lines(peer=sock_address)[0]


def still_serving(site):
    assert site.curl(f"https://{WEBSITE}/").stdout == "the website\n"


@pytest.mark.release
@pytest.mark.parametrize("garbage", [b"\0" * 64, b"\xff" * 2000, b"SSH-2.0-x\r\n", b"EHLO x\r\n",
                                     b"\x16\x02\x01" + b"x" * 99, b"\x80" + b"\x01" * 40])
def test_garbage_finds_no_route(quick_site, garbage):
    with connect(quick_site.port) as sock:
        address = local_address(sock)
        sock.sendall(garbage)
        data, _ = read_to_end(sock)
    assert data == b""
    assert close_line(quick_site, address)["reason"] == "no_route"
    still_serving(quick_site)


def test_silence_ends_by_the_peek_timeout(quick_site):
    with connect(quick_site.port) as sock:
        address = local_address(sock)
        assert read_to_end(sock)[0] == b""
    assert close_line(quick_site, address)["reason"] == "peek_timeout"


def test_a_client_that_ends_at_once(quick_site):
    with connect(quick_site.port) as sock:
        address = local_address(sock)
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock)[0] == b""
    assert close_line(quick_site, address)["reason"] == "peek_eof"


def test_a_client_that_resets(quick_site):
    with connect(quick_site.port) as sock:
        address = local_address(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert close_line(quick_site, address)["reason"] == "client_reset"


@pytest.mark.release
@pytest.mark.parametrize("ending", ["silence", "end"])
def test_half_a_hello_is_tls_of_an_unknown_name(quick_site, ending):
    """The decision is forced: it is TLS, so the route for TLS without a condition on names takes it."""
    hello = client_hello(XMPPS, ["xmpp-client"])
    routed = quick_site.gateway.stats()["website"]["routed"]
    with connect(quick_site.port) as sock:
        address = local_address(sock)
        sock.sendall(hello[: len(hello) // 2])
        if ending == "end":
            sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: quick_site.gateway.stats()["website"]["routed"] == routed + 1, "it is routed")
    line = close_line(quick_site, address)
    assert line["route"] == "website" and "sni" not in line
    assert line["bytes_in"] == str(len(hello) // 2)
    still_serving(quick_site)


@pytest.mark.tsan
@pytest.mark.parametrize("piece", [1, 7, 100])
def test_a_hello_in_pieces_is_routed_as_a_whole(site, piece):
    """Every cut gives the same verdict; the rest of the handshake is the backend's."""
    hello = client_hello(XMPPS, ["h2"])
    with connect(site.port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = local_address(sock)
        for at in range(0, len(hello), piece):
            sock.sendall(hello[at:at + piece])
        assert sock.recv(1) == b"\x16"
    assert close_line(site, address)["route"] == "xmpp-sni"


def test_a_hello_split_over_records(site):
    hello = client_hello(XMPPS, [])
    body, split = hello[5:], b""
    for at in range(0, len(body), 50):
        part = body[at:at + 50]
        split += b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
    with connect(site.port) as sock:
        address = local_address(sock)
        sock.sendall(split)
        assert sock.recv(1) == b"\x16"
    assert close_line(site, address)["route"] == "xmpp-sni"


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("flags", [0, socket.MSG_OOB])
def test_one_byte_does_not_make_the_gateway_spin(quick_site, flags):
    """A peeked byte stays readable, and an urgent one can wake a loop for ever."""
    worker = quick_site.gateway.status()["workers"][0]["pid"]
    before = cpu_seconds(worker)
    with connect(quick_site.port) as sock:
        address = local_address(sock)
        sock.send(b"G", flags)
        assert read_to_end(sock)[0] == b""
    line = close_line(quick_site, address)
    assert line["reason"] == "no_route" and int(line["duration_ms"]) >= 900
    assert cpu_seconds(worker) - before < 0.4


@pytest.mark.release
def test_an_upstream_that_is_down(own_site):
    site = own_site().start()
    site.nginx.stop()
    with connect(site.port) as sock:
        address = local_address(sock)
        sock.sendall(client_hello(WEBSITE))
        assert read_to_end(sock)[0] == b""
    line = close_line(site, address)
    assert (line["route"], line["reason"]) == ("website", "upstream_unavailable")
    assert site.gateway.stats()["website"]["close_upstream_unavailable"] == 1
    done = site.curl(f"https://{XMPPS}/", "--http0.9")
    assert "not-well-formed" in done.stdout
    site.nginx.start()
    still_serving(site)


def test_a_client_that_never_logs_in_is_dropped(quick_site):
    with connect(quick_site.c2s) as sock:
        address = local_address(sock)
        read_to_end(sock)
    assert quick_site.backend.wait_log(event="stream_end", peer=address)["reason"]
