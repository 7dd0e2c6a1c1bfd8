"""How another server is found: SRV records, addresses, TLSA records, a proxy; and DNS that fails or lies."""

import os
import socket

import pytest

from harness.dns import Nameserver, Recorder
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import run
from harness.rawserver import RawServer
from harness.rawxmpp import STREAM
from harness.site import Site
from harness.socks5 import Socks5
from harness.stage import Stage, error
from harness.wait import PATIENCE_S

pytestmark = [pytest.mark.release, pytest.mark.tsan]

OTHERS = ("127.0.0.31", "127.0.0.32", "127.0.0.33")


class Doors:
    """Listening sockets that only tell who has come: one port of several addresses."""

    def __init__(self):
        self.port = reserve_port()
        self.socks = {address: socket.create_server((address, self.port)) for address in OTHERS}

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for sock in self.socks.values():
            sock.close()

    def first_bytes(self, address, wanted):
        """Accept there; True when what comes first is wanted.  The connection is closed."""
        self.socks[address].settimeout(PATIENCE_S)
        peer = self.socks[address].accept()[0]
        with peer:
            peer.settimeout(PATIENCE_S)
            data = b""
            while len(data) < len(wanted):
                part = peer.recv(len(wanted) - len(data))
                assert part, "closed"
                data += part
        return data == wanted

    def expect_starttls(self, address):
        assert self.first_bytes(address, b"<?xml")

    def expect_direct(self, address):
        assert self.first_bytes(address, b"\x16\x03")  # the record of a TLS handshake


CONFIG = """
s2s = true
s2s-connect-timeout = 5s
s2s-proxy = "127.0.0.1:{socks}"
remote "*.signed.test" {{ require-encryption = false secure-auth = false }}
{resolver}
"""
CLEAR = ("127.0.0.35", reserve_port())  # a server without TLS


@pytest.fixture(scope="module")
def doors():
    with Doors() as doors:
        yield doors


def records(doors):
    port = doors.port
    return [
        *(f"h{address[-2:]}.test. A {address}" for address in OTHERS),
        f"_xmpps-server._tcp.two.test. SRV 1 0 {port} h31.test.", f"_xmpp-server._tcp.two.test. SRV 2 0 {port} h32.test.",
        "plain.test. A 127.0.0.34", "alias.test. CNAME plain.test.",
        "_xmpp-server._tcp.none.test. SRV 0 0 0 .", "none.test. A 127.0.0.31",
        f"_xmpp-server._tcp.xn--mnchen-3ya.test. SRV 0 0 {port} h33.test.",
        "_xmpp-server._tcp.down.test. SRV 0 0 1 h31.test.",
        *(f"_xmpp-server._tcp.crowd.test. SRV {number} 0 1 h31.test." for number in range(300)),
        f"_xmpp-server._tcp.recorded.test. SRV 0 0 {port} h31.test.",
        f"_xmpp-server._tcp.later.test. SRV 0 0 {port} h32.test.",
    ]


@pytest.fixture(scope="module")
def dns(doors):
    place = Place()
    nameserver = Nameserver(place).start()
    nameserver.publish(records(doors), signed={"signed.test": [
        f"_xmpps-server._tcp SRV 0 0 {doors.port} h", "h A 127.0.0.31", "_xmpp-server._tcp.forged SRV 0 0 4444 h",
        f"_xmpp-server._tcp.clear SRV 0 0 {CLEAR[1]} without", f"without A {CLEAR[0]}",
        f"_xmpp-server._tcp.stripped SRV 0 0 {CLEAR[1]} with", f"with A {CLEAR[0]}",
        f"_{CLEAR[1]}._tcp.with TLSA 3 1 1 {'0' * 64}"]})
    nameserver.forge("signed.test", "0 0 4444", "0 0 5555")
    try:
        yield nameserver
    finally:
        nameserver.kill()
        place.remove()


@pytest.fixture(scope="module")
def recorder(dns):
    with Recorder(dns) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def proxy():
    with Socks5({}) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def site(dns, recorder, proxy):
    shared = Site(backend_extra=CONFIG.format(
        socks=proxy.port, resolver=dns.resolver("timeout = 2s", port=recorder.port, address=recorder.address)))
    try:
        yield shared.start()
    finally:
        shared.stop()


@pytest.fixture
def juliet(site):
    with Stage(site) as stage:
        yield stage.enter("juliet", "balcony", priority=None)


def threads(site):
    return len(os.listdir(f"/proc/{site.backend.pid}/task"))


def ping(juliet, domain):
    """The condition with which a question to that domain is answered."""
    return error(juliet.request("get", "<ping xmlns='urn:xmpp:ping'/>", to=domain))[1]


def failure(site, domain):
    return site.backend.wait_log(event="s2s_failed", domain=domain)


def test_nothing_is_set_up_before_the_first_question(site, juliet, recorder):
    before = threads(site)
    assert not recorder.questions
    assert not site.backend.log(event="resolver")
    assert ping(juliet, "first.test") == "remote-server-not-found"
    assert threads(site) == before + 1
    assert site.backend.log(event="resolver")
    assert recorder.asked("_xmpps-server._tcp.first.test") and recorder.asked("_xmpp-server._tcp.first.test")


@pytest.mark.conforms("RFC 6120", "3.2.1", "SRV records are tried in their order; those of direct TLS among them")
def test_both_services_are_one_list(juliet, doors):
    juliet.send_message("romeo@two.test", "hello")
    doors.expect_direct("127.0.0.31")
    doors.expect_starttls("127.0.0.32")


@pytest.mark.conforms("RFC 6120", "3.2.2", "without SRV records the addresses of the domain count, port 5269")
@pytest.mark.parametrize("domain", ["plain.test", "alias.test"])
def test_fallback(site, juliet, domain):
    assert ping(juliet, domain) == "remote-server-timeout"
    line = failure(site, domain)
    assert line["failure"] == "connect_failed"
    assert line["why"] == "127.0.0.34:5269: Connection refused"


@pytest.mark.parametrize("domain, name, condition", [
    ("nowhere.test", "not_found", "remote-server-not-found"),
    ("none.test", "no_service", "remote-server-not-found"),
    ("down.test", "connect_failed", "remote-server-timeout"),
    ("crowd.test", "connect_failed", "remote-server-timeout"),
    ("forged.signed.test", "dns_bogus", "remote-server-not-found"),
])
def test_failures(site, juliet, domain, name, condition):
    assert ping(juliet, domain) == condition
    assert failure(site, domain)["failure"] == name


@pytest.mark.conforms("RFC 7673", "8", "a domain that is not ASCII is asked for by its A-labels")
def test_names_that_are_not_ascii(juliet, doors):
    juliet.send_message("romeo@münchen.test", "hello")
    doors.expect_starttls("127.0.0.33")


@pytest.mark.conforms("RFC 7673", "3.4", "a server that has TLSA records is not spoken to in clear, whatever is configured")
def test_tlsa_records_ask_for_tls(site, juliet):
    with RawServer("clear.signed.test", *CLEAR) as peer:
        juliet.send_message("romeo@clear.signed.test", "it has no records")
        peer.accept().expect("message", body="it has no records")
    with RawServer("stripped.signed.test", *CLEAR) as peer:
        assert ping(juliet, "stripped.signed.test") == "policy-violation"
        line = failure(site, "stripped.signed.test")
        assert (line["failure"], line["why"]) == ("no_tls", "its TLSA records say that it has TLS")
        peer.links[-1].wait_end()
        assert not [element.tag for element in peer.links[-1].elements if element.tag != STREAM + "error"]


def test_onion_addresses_are_the_proxys_alone(juliet, recorder, proxy):
    name = "a" * 56 + ".onion"
    with socket.create_server(("127.0.0.1", 0)) as end:
        proxy.ways[name] = end.getsockname()
        end.settimeout(PATIENCE_S)
        juliet.send_message(f"romeo@{name}", "hello")
        peer = end.accept()[0]
        with peer:
            peer.settimeout(PATIENCE_S)
            assert peer.recv(5) == b"<?xml"
    request = proxy.asked(name)[0]
    assert (request.kind, request.name, request.port, request.user) == ("name", name, 5269, name)
    assert ping(juliet, "behind.test") == "remote-server-not-found"
    assert recorder.asked("behind.test") and not recorder.asked("onion")


def test_dns_fails_for_a_while(site, juliet, dns, doors):
    dns.stop()
    assert ping(juliet, "later.test") == "remote-server-not-found"
    assert failure(site, "later.test")["failure"] == "dns_failed"
    dns.start()


def test_other_servers_after_a_reload(site, juliet, dns, recorder, doors):
    text = site.backend.config.read_text()
    with Recorder(dns, address="127.0.0.22") as other:
        site.backend.config.write_text(text.replace(f"{recorder.address}:{recorder.port}", f"{other.address}:{other.port}"))
        site.backend.ctl("reload")
        assert ping(juliet, "reloaded.test") == "remote-server-not-found"
        assert other.asked("reloaded.test") and not recorder.asked("reloaded.test")
        site.backend.config.write_text(text)
        site.backend.ctl("reload")


def test_files_out_of_the_sandboxs_reach(site, dns):
    text = site.backend.config.read_text()
    site.backend.config.write_text(text.replace(f"{dns.folder}/hosts", "/usr/lib/os-release"))
    assert "needs restart: the sandbox does not reach the folder /usr/lib" in site.backend.ctl("reload", status=1)
    site.backend.config.write_text(text)
    site.backend.ctl("reload")


def test_errors_of_the_section(place):
    bad = [('servers = "*:53"', "servers"), ('servers = "unix:/run/dns"', "servers"), ("dnssec = perhaps", "dnssec"),
           ("timeout = 1ms", "timeout")]
    for line, option in bad:
        config = place.write("bad.conf", f'resolver {{\n{line}\n}}\nhost "a.test" {{ certificate = "c" key = "k" }}\n')
        done = run("postern-backend", "-t", "-c", config)
        assert done.returncode == 2
        assert f"bad.conf:2: resolver: {option}: expected " in done.stderr
