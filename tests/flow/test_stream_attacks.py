"""What an attacker sends: each ends its own stream with the error that RFC 6120 has for it, and nothing else."""

import json
import os
import socket

import pytest

from harness.rawxmpp import TLS, Closed, RawClient, mechanisms
from harness.site import DOMAIN, Site
from harness.talk import auth, condition, direct, ending, header, logged_in, ping, pong, receive_until
from harness.tcp import connect
from harness.wait import wait_until

conforms = pytest.mark.conforms
SERVED = f"other.{DOMAIN}"


@pytest.fixture(scope="module")
def site():
    # AddressSanitizer keeps what was freed for a while: little of it, for we look at the memory in use
    given = os.environ.get("ASAN_OPTIONS")
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, [given, "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"]))
    shared = Site(backend_extra="streams-per-source = 0\nmax-connections = 40000\nauth-timeout = 60s\nshards = 2\n")
    try:
        text = shared.backend.config.read_text()
        shared.backend.config.write_text(
            text + f'host "{SERVED}" {{ certificate = "{shared.cert}" key = "{shared.key}" }}\n')
        shared.backend.start()
        if given is None:
            del os.environ["ASAN_OPTIONS"]
        else:
            os.environ["ASAN_OPTIONS"] = given
        for user in ("juliet", "romeo"):
            shared.backend.add_user(f"{user}@{DOMAIN}", "secret")
        yield shared
    finally:
        shared.stop()


MESSAGE = f"<message to='juliet@{DOMAIN}'>%s</message>"
ATTACKS = [
    # entities and document types
    ("<!DOCTYPE lolz [<!ENTITY lol 'lol'>]>", "restricted-xml"),
    ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", "restricted-xml"),
    (MESSAGE % "<body>&lol;</body>", "restricted-xml"),
    ("<message to='&lol;'/>", "restricted-xml"),
    (MESSAGE % "<!-- x -->", "restricted-xml"),
    (MESSAGE % "<?php x ?>", "restricted-xml"),
    (MESSAGE % "<body>&#0;</body>", "not-well-formed"),
    (MESSAGE % "<body>&#x1F;</body>", "not-well-formed"),
    # shapes
    (MESSAGE % ("<a>" * 101 + "</a>" * 101), "policy-violation"),
    (MESSAGE % (f"<{'n' * 2000}/>"), "policy-violation"),
    (MESSAGE % ("<x " + " ".join(f"a{i}=''" for i in range(100)) + "/>"), "policy-violation"),
    (MESSAGE % ("<x " + " ".join(f"xmlns:a{i}='urn:{i}'" for i in range(100)) + "/>"), "policy-violation"),
    (MESSAGE % ("<a/>" * 9000), "policy-violation"),
    (MESSAGE % "<x a='1' a='2'/>", "not-well-formed"),
    (MESSAGE % "<x xmlns:a='urn:x' xmlns:b='urn:x' a:c='1' b:c='2'/>", "not-well-formed"),
    # namespaces
    (MESSAGE % "<x xmlns:xml='urn:x'/>", "not-well-formed"),
    (MESSAGE % "<x xmlns:xmlns='urn:x'/>", "not-well-formed"),
    (MESSAGE % "<p:x/>", "not-well-formed"),
    ("<message xmlns='jabber:server'/>", "invalid-namespace"),
    ("<message xmlns='jabber:component:accept'/>", "unsupported-stanza-type"),
    ("<message xmlns=''/>", "unsupported-stanza-type"),
    # streams in streams
    (header()[len("<?xml version='1.0'?>"):] + "<message/></stream:stream>", "unsupported-stanza-type"),
    ("<stream:features/>", "unsupported-stanza-type"),
    ("</stream>", "not-well-formed"),
    # bytes
    (MESSAGE % "<body>\udcc0\udc80</body>", "not-well-formed"),
    (MESSAGE % "<body>\udced\udca0\udc80</body>", "not-well-formed"),
    (MESSAGE % "<body>\udcff</body>", "not-well-formed"),
    (MESSAGE % "<body>\udcf4\udc90\udc80\udc80</body>", "not-well-formed"),
    # senders
    (f"<message from='romeo@{SERVED}/r' to='juliet@{DOMAIN}'/>", "invalid-from"),
    (f"<message from='romeo@{DOMAIN}/other' to='juliet@{DOMAIN}'/>", "invalid-from"),
    (f"<message from='{DOMAIN}' to='juliet@{DOMAIN}'/>", "invalid-from"),
    ("<message from=''/>", "invalid-from"),
    (f"<iq type='set' id='push' from='juliet@{DOMAIN}' to='juliet@{DOMAIN}/r'><query xmlns='jabber:iq:roster'>"
     "<item jid='evil@example.com'/></query></iq>", "invalid-from"),
]


@pytest.mark.tsan
@conforms("RFC 6120", "11.1", "restricted XML is refused, limits hold, and a sender is never another one")
@pytest.mark.parametrize("number", range(len(ATTACKS)))
def test_attacks(site, number):
    text, wanted = ATTACKS[number]
    with logged_in(site.c2s_direct, "romeo") as raw:
        raw.send(text.encode(errors="surrogateescape"))
        assert condition(ending(raw)) == wanted


@conforms("RFC 6121", "2.1.6", "a roster push from somebody else is not delivered as one")
def test_forged_roster_push(site):
    with logged_in(site.c2s_direct, "juliet") as juliet, logged_in(site.c2s_direct, "romeo") as romeo:
        romeo.send(f"<iq type='set' id='push' to='{juliet.jid}'><query xmlns='jabber:iq:roster'>"
                   "<item jid='evil@example.com'/></query></iq>")
        pong(romeo)
        for stanza in pong(juliet).split("<iq ")[1:]:
            assert f"from='{romeo.jid}'" in stanza  # its client sees whose it is, and that it is not the server's


@conforms("RFC 6120", "4.3.3", "after authentication the stream stays with its host")
def test_restart_for_another_host(site):
    for to in (SERVED, "elsewhere.test"):
        with direct(site.c2s_direct) as raw:
            raw.send(header() + auth("romeo") + header(to))
            assert condition(ending(raw).split("<success", 1)[1]) == "host-unknown"


@conforms("RFC 6120", "5.4.3.3", "nothing that was said before the handshake counts after it")
def test_starttls_injection(site):
    with RawClient("127.0.0.1", site.c2s) as raw:
        raw.open(DOMAIN)
        raw.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" + header(SERVED, more=" xml:lang='xx'") + auth("romeo"))
        assert raw.next().tag == TLS + "proceed"
        raw.start_tls(sni=DOMAIN)
        raw.received = b""
        assert mechanisms(raw.open(DOMAIN))
        assert b"xml:lang='en'" in raw.received and b"<success" not in raw.received
        raw.send(ping())
        assert condition(ending(raw)) == "not-authorized"


@conforms("RFC 7590", "3.1", "without TLS a client is offered TLS alone, and TLS before 1.2 is refused")
def test_no_old_tls(site):
    from OpenSSL import SSL
    with RawClient("127.0.0.1", site.c2s) as raw:
        raw.open(DOMAIN)
        with pytest.raises((Closed, SSL.Error)):
            raw.starttls(version=SSL.TLS1_1_VERSION)


def test_a_huge_token_dripped_costs_little(site):
    """One byte at a time: what is read once is not read again for each byte that follows."""
    def cpu_s():
        fields = open(f"/proc/{site.backend.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    with connect(site.c2s) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(header().encode() + b"<x a='")
        before = cpu_s()
        for _ in range(9900):
            sock.sendall(b"x")
        sock.sendall(b"y" * 200)
        data = b""
        while b"</stream:stream>" not in data:
            data += sock.recv(65536)
        assert b"<policy-violation " in data
        assert cpu_s() - before < 5


def resident_kib(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1])


def connections(site):
    return json.loads(site.backend.ctl("--json", "status"))["connections"]


def crowd(site, count, each=500):
    """So many connections that have sent their header and say no more; closed by the caller."""
    made = []
    for number in range(count):
        sock = connect(site.c2s, source=f"127.0.6.{number // each + 1}")
        sock.sendall(header().encode())
        made.append(sock)
    wait_until(lambda: connections(site) >= count, f"{count} are there")
    return made


def at_once(site, count, most_kib_each):
    for sock in crowd(site, 200):
        sock.close()  # what is allocated once for all is there now
    wait_until(lambda: connections(site) == 0, "they have gone")
    before = resident_kib(site.backend.pid)
    made = crowd(site, count)
    each = (resident_kib(site.backend.pid) - before) / count
    with logged_in(site.c2s_direct, "romeo") as raw:  # who is honest is still served
        pong(raw)
    for sock in made:
        sock.close()
    wait_until(lambda: connections(site) == 0, "they have gone", 60)
    assert each < most_kib_each, f"{each:.1f} KiB for each"
    print(f"{each:.1f} KiB for each of {count}")


def one_after_another(site, count):
    for number in range(count // 10):
        _short(site, number)
    before = resident_kib(site.backend.pid)
    for number in range(count):
        _short(site, number)
    wait_until(lambda: connections(site) == 0, "they have gone")
    more = resident_kib(site.backend.pid) - before
    print(f"{more} KiB more after {count}")
    assert more < 8192


def _short(site, number):
    with connect(site.c2s, source=f"127.0.7.{number % 200 + 1}") as sock:
        sock.sendall(header().encode())
        assert sock.recv(1) == b"<"


@conforms("RFC 6120", "13.12", "a connection that has not logged in costs little memory, and gives it back")
def test_unauthenticated_connections_at_once(site):
    at_once(site, 600, 16)  # with AddressSanitizer's shadow and red zones


def test_unauthenticated_connections_one_after_another(site):
    one_after_another(site, 1000)


@pytest.mark.slow
def test_15000_unauthenticated_connections_at_once(site):
    at_once(site, 15000, 16)


@pytest.mark.slow
def test_100000_unauthenticated_connections_one_after_another(site):
    one_after_another(site, 100000)
