"""A host that is named by an onion address: no certificate, clients without TLS on this machine where the configuration
says so in so many words, and nobody finds out elsewhere that the host is here."""

import json
import re

import pytest

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, run
from harness.rawxmpp import SASL_CB, TLS, RawClient, mechanisms

ONION, OPEN = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion", "example.test"
PASSWORD = "a-password-for-every-part"
CONFIG = """
s2s = true
s2s-proxy = "127.0.0.1:{nobody}"
listener "servers" {{ address = "127.0.0.1:{servers}" serve = servers }}
listener "tor-servers" {{ address = "127.0.0.1:{tor_servers}" serve = servers tls = none }}
listener "tor" {{ address = {{"127.0.0.1:{plain}", "[::1]:{plain}"}} tls = none allow-plain = true }}
listener "c2s" {{ address = "127.0.0.1:{c2s}" }}
listener "c2s-direct" {{ address = "127.0.0.1:{direct}" tls = direct }}
host "{onion}" {{ }}
host "{open}" {{ certificate = "{cert}" key = "{key}" server-names = "xmpp.{open}" }}
"""


class Deployment:
    def __init__(self):
        self.place = Place()
        self.plain, self.c2s, self.direct = reserve_port(), reserve_port(), reserve_port()
        self.servers, self.tor_servers, nobody = reserve_port(), reserve_port(), reserve_port()
        cert, key = self.place.certificate("site", [OPEN])
        self.backend = Backend(self.place, CONFIG.format(plain=self.plain, c2s=self.c2s, direct=self.direct, cert=cert,
                                                         key=key, onion=ONION.upper(), open=OPEN, nobody=nobody,
                                                         servers=self.servers, tor_servers=self.tor_servers))

    def connect(self, port):
        return RawClient("127.0.0.1", port)


@pytest.fixture(scope="module")
def deployment():
    one = Deployment()
    try:
        one.backend.start()
        for domain in (ONION, OPEN):
            one.backend.add_user(f"juliet@{domain}", PASSWORD)
        yield one
        one.backend.stop()
        one.backend.check_clean()
    finally:
        one.backend.kill()
        one.backend.log_text()
        one.place.remove()


@pytest.mark.parametrize("domain", [ONION, OPEN])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_client_logs_in_without_tls_where_the_configuration_says_so(deployment, domain, mechanism):
    with deployment.connect(deployment.plain) as client:
        features = client.open(domain)
        assert client.header.get("from") == domain
        assert features.find(TLS + "starttls") is None and features.find(SASL_CB + "sasl-channel-binding") is None
        offered = mechanisms(features)
        assert mechanism in offered and not [name for name in offered if name.endswith("-PLUS")]
        client.login_here("juliet", PASSWORD, mechanism, "balcony")
        client.send(f"<iq type='get' id='p' to='juliet@{domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert client.next().get("id") == "p"
    line = deployment.backend.log(event="stream_bound")[-1]
    assert line["host"] == domain and "tls" not in line


def test_starttls_is_refused_there(deployment):
    with deployment.connect(deployment.plain) as client:
        client.open(OPEN)
        client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        assert client.next().tag == TLS + "failure"


def answer_to_header(client, domain):
    """The stream header's "from", and the condition of the error that follows it."""
    with pytest.raises(AssertionError):
            client.open(domain)
    client.receive_all()
    return client.header.get("from"), client.received.decode()


@pytest.mark.parametrize("how", ["starttls", "direct"])
def test_elsewhere_the_host_is_unknown(deployment, how):
    """Whoever tries the addresses of the open host learns nothing of the hidden one."""
    with deployment.connect(deployment.direct if how == "direct" else deployment.c2s) as client:
        if how == "direct":
            client.start_tls(sni=ONION)
            names = client.tls.get_peer_certificate().to_cryptography().subject.rfc4514_string()
            assert names == f"CN={OPEN}"
        header, text = answer_to_header(client, ONION)
        assert header == OPEN and "<host-unknown" in text and ONION not in text


def test_a_client_that_says_nothing_is_not_told_of_the_open_host_by_tor(deployment):
    with deployment.connect(deployment.plain) as client:
        client.send("<nonsense/>")
        text, _how = client.receive_all()
        assert f"from='{ONION}'".encode() in text and OPEN.encode() not in text


def server_header(client, to, from_):
    """What another server is told up to its first features or an error."""
    client.send(f"<stream:stream to='{to}' from='{from_}' version='1.0' xmlns='jabber:server' "
                "xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>")
    while not re.search(b"</stream:(features|error)>|<stream:features/>", client.received):
        client.receive()
    return client.received.decode()


def test_to_other_servers_it_is_known_by_tor_alone(deployment):
    with deployment.connect(deployment.tor_servers) as client:
        told = server_header(client, ONION, "other.onion")
        assert "<stream:features>" in told and "starttls" not in told and f"from='{ONION}'" in told
    with deployment.connect(deployment.servers) as client:
        told = server_header(client, ONION, "other.onion")
        assert "<host-unknown" in told
    with deployment.connect(deployment.servers) as client:
        told = server_header(client, OPEN, "other.example")
        assert "<starttls" in told and "<required/>" in told
    with deployment.connect(deployment.tor_servers) as client:
        assert "<starttls" not in server_header(client, OPEN, "other.example")


def test_who_claims_to_be_it_is_not_told_that_it_is_here(deployment):
    with deployment.connect(deployment.servers) as client:
        assert "itself" not in server_header(client, OPEN, ONION)
    with deployment.connect(deployment.tor_servers) as client:
        assert "itself" in server_header(client, OPEN, ONION)


def test_keys_that_may_be_its_own_are_not_looked_at_elsewhere(deployment):
    """A question of dialback is as good as any other for who wants to know where the host is."""
    for address, type in ((deployment.servers, "error"), (deployment.tor_servers, "invalid")):
        with deployment.connect(address) as client:
            server_header(client, OPEN, "other.onion")
            client.send(f"<db:verify from='other.onion' to='{ONION}' id='x'>key</db:verify>")
            while b"<db:verify" not in client.received:
                client.receive()
            assert f"type='{type}'" in client.received.decode()


def test_posternctl_shows_a_host_without_certificate(deployment):
    hosts = {row["host"]: row for row in json.loads(deployment.backend.ctl("--json", "hosts"))}
    assert "days_left" not in hosts[ONION] and "certificate" not in hosts[ONION]
    assert hosts[OPEN]["days_left"] > 20
    shown = [line for line in deployment.backend.ctl("hosts").splitlines() if ONION in line]
    assert len(shown) == 1 and "1970" not in shown[0]
    deployment.backend.ctl("reload")
    with deployment.connect(deployment.plain) as client:
        client.login("juliet", PASSWORD, ONION)


def test_without_any_certificate(place):
    """As on a laptop that has nothing but Tor."""
    def check(listener):
        text = f's2s = false\nhost "{ONION}" {{ }}\nlistener "x" {{ address = "127.0.0.1:1" {listener} }}\n'
        return run("postern-backend", "-t", "-c", place.write("laptop.conf", text + place.user_line()))

    for good in ("tls = none allow-plain = true", "serve = servers", "serve = servers tls = none", "serve = components"):
        done = check(good)
        assert done.returncode == 0, done.stderr
    for bad in ("", "tls = starttls", "tls = direct", "serve = servers tls = direct", "serve = components tls = direct"):
        done = check(bad)
        assert done.returncode == 2 and "laptop.conf:3" in done.stderr and "certificate" in done.stderr, done.stderr
