"""The backend goes over to a changed configuration, and to renewed certificates, while everybody stays logged in."""

import json
import os
import signal
import xml.etree.ElementTree as ElementTree

import pytest
from OpenSSL import SSL

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, run
from harness.rawxmpp import AuthenticationFailed, Closed, RawClient
from harness.stage import Actor, local_name
from harness.tcp import listens
from harness.wait import wait_until

FIRST, SECOND, THIRD = "one.test", "two.test", "three.test"
STREAM_ERROR = "{http://etherx.jabber.org/streams}error"


class Server:
    """A backend with hosts that come and go; each host has a user "ann" with the password "secret"."""

    def __init__(self, shards=1):
        self.place, self.shards, self.accounts = Place(), shards, set()
        self.ports = [reserve_port(), reserve_port()]
        self.folder = self.place.folder("certificates")
        self.backend = Backend(self.place, self.text([FIRST, SECOND]))

    def certificate(self, domain):
        stem = f"{self.folder.name}/{domain}"
        cert, key = self.folder / f"{domain}.crt", self.folder / f"{domain}.key"
        return (cert, key) if cert.exists() else self.place.certificate(stem, [domain])

    def text(self, domains, extra="", options="", ports=None):
        lines = [f"shards = {self.shards}", extra]
        addresses = ", ".join(f'"127.0.0.1:{port}"' for port in ports or self.ports)
        lines.append(f'listener "c2s" {{ address = {{{addresses}}} tls = direct }}')
        for domain in domains:
            cert, key = self.certificate(domain)
            lines.append(f'host "{domain}" {{ certificate = "{cert}" key = "{key}" {options} }}')
        return "\n".join(lines) + "\n"

    def configure(self, *domains, **what):
        self.backend.configure(self.text(domains or (FIRST, SECOND), **what))

    def reload(self, *domains, status=0, **what):
        self.configure(*domains, **what)
        return self.backend.ctl("reload", status=status)

    def connect(self, domain, port=None):
        return Actor("127.0.0.1", port or self.ports[0]).start_tls(sni=domain)

    def enter(self, domain, local="ann"):
        if (local, domain) not in self.accounts:
            self.backend.add_user(f"{local}@{domain}", "secret")
            self.accounts.add((local, domain))
        client = self.connect(domain)
        client.login(local, "secret", domain)
        return client

    def serial(self, domain):
        with self.connect(domain) as client:
            return client.tls.get_peer_certificate().get_serial_number()

    def counters(self):
        return json.loads(self.backend.ctl("--json", "status"))["counters"]


@pytest.fixture(params=[1, 4], ids=["one shard", "four shards"])
def server(request):
    one = Server(request.param)
    one.backend.start()
    yield one
    try:
        one.backend.stop()
    finally:
        one.backend.kill()
        one.place.remove()


def stream_error(client):
    got = client.next()
    assert got.tag == STREAM_ERROR, ElementTree.tostring(got)
    return local_name(got[0])


@pytest.mark.release
@pytest.mark.conforms("RFC 6120", "4.9.3.4", "host-gone for the streams of a host that is removed")
@pytest.mark.conforms("RFC 6120", "4.9.3.5", "host-unknown once it is gone")
def test_hosts_come_and_go_and_sessions_stay(server):
    first, second = server.enter(FIRST), server.enter(SECOND)
    with server.connect(THIRD) as stranger:
        with pytest.raises(AssertionError):
            stranger.open(THIRD)
    server.reload(FIRST, THIRD)
    assert stream_error(second) == "host-gone"
    second.leave()
    server.backend.wait_log(event="stream_end", reason="host_gone")
    third = server.enter(THIRD)
    first.nothing()
    third.send_message(f"ann@{SECOND}", "are you there")
    third.expect("message", error="remote-server-not-found")
    third.send_message(first.jid, "but soft")
    first.expect("message", frm=third.jid, body="but soft")
    with server.connect(SECOND) as late:
        with pytest.raises(AssertionError):
            late.open(SECOND)
    server.reload(FIRST, SECOND, THIRD)
    server.enter(SECOND).nothing()  # the account was not lost with its host
    for client in (first, third):
        client.nothing()
    assert server.counters()["reloads"] == 2


@pytest.mark.conforms("XEP-0198", "5", "a session whose host was taken away is not there any more, nor after the host's return")
def test_a_session_that_waits_to_be_resumed_goes_with_its_host(server):
    first, second = server.enter(FIRST), server.enter(SECOND)
    for client in (first, second):
        client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        enabled = client.next()
        assert local_name(enabled) == "enabled"
        client.tcp.close()
    server.backend.wait_log(count=2, event="session_detached")
    server.reload(FIRST)
    told = json.loads(server.backend.ctl("--json", "sessions"))
    assert [one["jid"] for one in told] == [first.jid]
    server.reload(FIRST, SECOND)
    with server.connect(SECOND) as late:
        late.open(SECOND)
        late.authenticate("ann", "secret", "PLAIN")
        late.open(SECOND)
        answer = late.command(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{enabled.get('id')}'/>")
        assert local_name(answer) == "failed" and local_name(answer[0]) == "item-not-found"


def test_who_is_logging_in_meanwhile(server):
    """A stream in the middle of everything goes on with what it began with; the next step is by the new file."""
    server.enter(FIRST).leave()
    with server.connect(FIRST) as stays, server.connect(SECOND) as goes, server.connect(SECOND) as silent:
        stays.open(FIRST)
        goes.open(SECOND)
        server.reload(FIRST)
        assert stream_error(goes) == "host-gone"
        stays.login_here("ann", "secret")
        stays.nothing()
        silent.send("<?xml version='1.0'?><stream:stream to='two.test' version='1.0' xmlns='jabber:client' "
                    "xmlns:stream='http://etherx.jabber.org/streams'>")
        silent._new_parser()
        assert stream_error(silent) == "host-unknown"


@pytest.mark.release
def test_options_of_a_host(server):
    """By SIGHUP this time."""
    first = server.enter(FIRST)
    server.configure(options='tls-profile = modern')
    server.backend.signal(signal.SIGHUP)
    server.backend.wait_log(event="reloaded")
    with pytest.raises((Closed, SSL.Error)):
        Actor("127.0.0.1", server.ports[0]).start_tls(sni=FIRST, version=SSL.TLS1_2_VERSION)
    first.nothing()


@pytest.mark.release
def test_a_reload_reads_the_certificates_anew(server):
    before, other = server.serial(FIRST), server.serial(SECOND)
    first = server.enter(FIRST)
    server.place.certificate(f"{server.folder.name}/{FIRST}", [FIRST])
    server.backend.ctl("reload")
    assert server.serial(FIRST) != before and server.serial(SECOND) == other
    first.nothing()


@pytest.mark.release
def test_changed_certificates_are_picked_up(server):
    """Nobody says anything: the files are watched.  One that does not fit its key is left alone until it does."""
    first, before = server.enter(FIRST), server.serial(FIRST)
    spare = server.place.certificate(f"{server.folder.name}/spare", [FIRST])
    os.replace(spare[0], server.folder / f"{FIRST}.crt")
    server.backend.wait_log(event="certificates_failed")
    assert server.serial(FIRST) == before
    os.replace(spare[1], server.folder / f"{FIRST}.key")
    wait_until(lambda: server.serial(FIRST) != before, "the new certificate is served")
    assert server.counters()["certificate_renewals"] >= 1
    first.nothing()


def test_a_link_that_is_turned(server):
    """As certbot and Kubernetes do it."""
    live, old, new = (server.place.folder(name) for name in ("live", "old", "new"))
    for folder, name in ((old, "old"), (new, "new")):
        server.place.certificate(f"{name}/tls", [FIRST])
    (live / "current").symlink_to(old)
    text = server.text([SECOND]) + (f'host "{FIRST}" {{ certificate = "{live}/current/tls.crt" '
                                    f'key = "{live}/current/tls.key" }}\n')
    server.backend.stop()
    server.backend.configure(f'certificate-folders = "{server.place.path}"\n' + text)
    server.backend.start()
    before = server.serial(FIRST)
    (live / "next").symlink_to(new)
    os.replace(live / "next", live / "current")
    wait_until(lambda: server.serial(FIRST) != before, "the new certificate is served")


@pytest.mark.release
def test_a_bad_file_changes_nothing(server):
    first, second = server.enter(FIRST), server.enter(SECOND)
    server.backend.configure(server.text([FIRST]) + "auth-timeout = soon\n")
    line = len(server.backend.config.read_text().splitlines())
    said = server.backend.ctl("reload", status=2)
    assert f"{server.backend.config}:{line}: auth-timeout: expected" in said
    server.backend.signal(signal.SIGHUP)
    server.backend.wait_log(event="reload_failed")
    said = server.reload(FIRST, status=1, options='client-ca = "/nowhere/ca" client-certificate = required')
    assert "client-ca" in said and "/nowhere/ca" in said
    for client in (first, second):
        client.nothing()
    assert server.counters()["reloads"] == 0 and server.counters()["reloads_failed"] == 2
    server.reload()
    assert server.counters()["reloads"] == 1


@pytest.mark.release
@pytest.mark.parametrize("server", [1], indirect=True)
@pytest.mark.parametrize("line, option", [
    ("hashing-threads = 2", "hashing-threads"), ("store = memory", "store"), ("sandbox = false", "sandbox"),
    ('certificate-folders = "/etc"', "certificate-folders")])
def test_what_needs_a_restart_is_named(server, line, option):
    said = server.reload(status=1, extra=line)
    number = server.backend.config.read_text().splitlines().index(line) + 1
    assert f"{server.backend.config}:{number}: {option}: needs restart" in said


@pytest.mark.release
@pytest.mark.parametrize("server", [1], indirect=True)
def test_listeners(server):
    """One is closed without touching its connections; one that is not there yet needs a restart."""
    client = server.enter(FIRST)
    server.reload(ports=server.ports[1:])
    wait_until(lambda: not listens(server.ports[0]), "the address is closed")
    server.connect(FIRST, server.ports[1]).open(FIRST)
    client.nothing()
    assert "needs restart" in server.reload(status=1, ports=[server.ports[1], reserve_port()])
    server.connect(FIRST, server.ports[1]).open(FIRST)


@pytest.mark.release
@pytest.mark.parametrize("server", [1], indirect=True)
def test_outside_of_the_sandbox(server):
    """The folders that the server was started with are known, and what lies below them; more can be named."""
    place = Place()
    elsewhere = place.folder("elsewhere")
    cert, key = place.certificate("elsewhere/three", [THIRD])
    host = f'host "{THIRD}" {{ certificate = "{cert}" key = "{key}" }}\n'
    known = f'certificate-folders = "{place.path}"\n'
    server.backend.configure(server.text([FIRST]) + host)
    said = server.backend.ctl("reload", status=1)
    assert f"certificate: needs restart: the sandbox does not reach the folder {elsewhere}" in said
    server.backend.configure(server.text([FIRST], extra=f'log {{ file = "{elsewhere}/log" }}'))
    assert "file: needs restart: the sandbox does not reach" in server.backend.ctl("reload", status=1)
    server.backend.stop()
    server.backend.configure(known + server.text([FIRST]))
    server.backend.start()
    server.backend.configure(known + server.text([FIRST]) + host)
    server.backend.ctl("reload")
    server.enter(THIRD).nothing()
    place.remove()


@pytest.mark.parametrize("server", [1], indirect=True)
def test_limits(server):
    client = server.enter(FIRST)
    server.reload(extra="max-connections = 1")
    with pytest.raises((Closed, ConnectionError, AuthenticationFailed)):
        server.enter(FIRST)
    server.reload(extra="max-connections = 100\nauth-timeout = 2s")
    with server.connect(FIRST) as slow:
        slow.open(FIRST)
        assert stream_error(slow) == "connection-timeout"
    client.nothing()


def test_many_at_once_coalesce(server):
    client = server.enter(FIRST)
    for _ in range(50):
        server.backend.signal(signal.SIGHUP)
    server.backend.ctl("reload")
    assert 1 <= server.counters()["reloads"] <= 51
    client.nothing()


def test_nothing_to_reload_without_a_server(server):
    server.backend.stop()
    assert run("posternctl", "-c", server.backend.config, "reload").returncode == 3
    server.backend.start()
