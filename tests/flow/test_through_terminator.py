"""From the client through a gateway that terminates its TLS to the backend: what holds end to end."""

import json
import signal

import pytest
from OpenSSL import SSL

from harness.authority import Authority
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, Gateway
from harness.rawxmpp import NO_EXTENDED_MASTER_SECRET, AuthenticationFailed, RawClient, bindings, mechanisms
from harness.site import DOMAIN, PASSWORDS, XMPPS
from harness.tcp import local_address

BACKEND = """
shards = 2
host "{domain}" {{
    certificate = "{cert}" key = "{key}" server-names = "{xmpps}"
    client-certificate = optional client-ca = "{ca}"
}}
"""
GATEWAY = """
listener "public" {{ address = "127.0.0.1:{port}" }}
tls "site" {{ certificate = "{cert}" key = "{key}" client-certificate = optional client-ca = "{both}" }}
backend "xmpp" {{ inlet = "{inlet}" }}
upstream "xmpp-decrypted" {{ server = "unix:{terminated}" proxy-protocol = v2-tls }}
route "xmpp-alpn" {{ alpn = "xmpp-client" handoff = "xmpp" }}
route "without-alpn" {{ protocol = "tls" terminate = "site" }}
route "xmpp-decrypted" {{ inside = "site" protocol = "xmpp" proxy = "xmpp-decrypted" }}
"""
VERSIONS = pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])


class Deployment:
    def __init__(self):
        self.place, self.port = Place(), reserve_port()
        cert, key = self.place.certificate("site", [DOMAIN, XMPPS])
        self.authority, self.other = Authority(self.place), Authority(self.place, "other-ca")
        both = self.place.write("both.pem", self.authority.path.read_text() + self.other.path.read_text())
        self.backend = Backend(self.place, BACKEND.format(domain=DOMAIN, xmpps=XMPPS, cert=cert, key=key,
                                                          ca=self.authority.path))
        self.gateway = Gateway(self.place, GATEWAY.format(
            port=self.port, cert=cert, key=key, both=both, inlet=self.backend.inlet,
            terminated=self.backend.terminated))
        self.made = []

    def start(self):
        self.backend.start()
        self.gateway.start()
        for local, password in PASSWORDS.items():
            self.backend.add_user(f"{local}@{DOMAIN}", password)
        return self

    def stop(self):
        for client in self.made:
            client.tcp.close()
        try:
            for server in (self.gateway, self.backend):
                server.stop()
        finally:
            for server in (self.gateway, self.backend):
                server.kill()
                server.log_text()
            self.place.remove()

    def connect(self, sni=DOMAIN, **arguments):
        client = RawClient("127.0.0.1", self.port)
        self.made.append(client)
        return client.start_tls(sni=sni, **arguments)

    def session(self, jid):
        one, = [one for one in json.loads(self.backend.ctl("--json", "sessions")) if one["jid"] == jid]
        return one


@pytest.fixture(scope="module")
def deployment():
    one = Deployment()
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.mark.release
@VERSIONS
@pytest.mark.parametrize("mechanism,binding", [
    ("SCRAM-SHA-256-PLUS", "tls-exporter"), ("SCRAM-SHA-256-PLUS", "tls-server-end-point"),
    ("SCRAM-SHA-1-PLUS", "tls-exporter"), ("SCRAM-SHA-256", None), ("PLAIN", None)])
def test_channel_bindings_hold_from_end_to_end(deployment, version, mechanism, binding):
    client = deployment.connect(version=version)
    features = client.open(DOMAIN)
    assert sorted(bindings(features)) == ["tls-exporter", "tls-server-end-point"]
    jid = client.login_here("juliet", PASSWORDS["juliet"], mechanism, binding=binding)
    session = deployment.session(jid)
    assert (session["tls_by"], session["mechanism"], session["binding"]) == ("gateway", mechanism, binding)
    assert (session["tls"], session["cipher"]) == (client.tls.get_protocol_version_name(), client.tls.get_cipher_name())
    assert session["peer"] == local_address(client.tcp)
    line = deployment.backend.wait_log(event="stream_bound", jid=jid)
    assert (line["sni"], line["by"]) == (DOMAIN, "gateway")
    client.tcp.close()
    assert deployment.gateway.close_lines(conn=line["conn"])


@pytest.mark.release
@VERSIONS
@pytest.mark.parametrize("binding", ["tls-exporter", "tls-server-end-point"])
def test_a_wrong_binding_is_refused(deployment, version, binding):
    """As a man in the middle would have it: right password, another connection."""
    client, other = deployment.connect(version=version), deployment.connect(version=version)
    client.open(DOMAIN)
    data = other.binding_data("tls-exporter")
    with pytest.raises(AuthenticationFailed, match="not-authorized"):
        client.authenticate("juliet", PASSWORDS["juliet"], "SCRAM-SHA-256-PLUS", binding=binding, binding_data=data)


def test_tls_1_2_without_extended_master_secret_has_no_exporter_binding(deployment):
    client = deployment.connect(version=SSL.TLS1_2_VERSION, options=NO_EXTENDED_MASTER_SECRET)
    assert bindings(client.open(DOMAIN)) == ["tls-server-end-point"]


def test_a_decisive_alpn_passes_through_untouched(deployment):
    client = deployment.connect(alpn=["xmpp-client"])
    jid = client.login("juliet", PASSWORDS["juliet"], DOMAIN, "SCRAM-SHA-256-PLUS", binding="tls-exporter")
    assert deployment.session(jid)["tls_by"] == "backend"


@pytest.mark.release
@VERSIONS
@pytest.mark.parametrize("alpn,by", [([], "gateway"), (["xmpp-client"], "backend")])
def test_a_certificate_logs_in(deployment, version, alpn, by):
    certificate = deployment.authority.client(f"romeo@{DOMAIN}")
    client = deployment.connect(version=version, alpn=alpn, certificate=certificate.files)
    assert mechanisms(client.open(DOMAIN))[0] == "EXTERNAL"
    jid = client.login_here("", None, "EXTERNAL")
    assert jid.startswith(f"romeo@{DOMAIN}/") and deployment.session(jid)["tls_by"] == by


@VERSIONS
def test_the_bindings_of_a_resumed_session_are_its_own(deployment, version):
    first = deployment.connect(version=version)
    first.login("juliet", PASSWORDS["juliet"], DOMAIN)  # what is read on the way has the tickets
    session = first.tls.get_session()
    again = deployment.connect(version=version, session=session)
    assert again.is_resumed()
    again.open(DOMAIN)
    with pytest.raises(AuthenticationFailed, match="not-authorized"):
        again.authenticate("juliet", PASSWORDS["juliet"], "SCRAM-SHA-256-PLUS", binding="tls-exporter",
                           binding_data=first.binding_data("tls-exporter"))
    again.authenticate("juliet", PASSWORDS["juliet"], "SCRAM-SHA-256-PLUS", binding="tls-exporter")
    third = deployment.connect(version=version, session=session)
    assert third.is_resumed()
    assert third.login("juliet", PASSWORDS["juliet"], DOMAIN, "SCRAM-SHA-1-PLUS", binding="tls-server-end-point",
                       binding_data=first.binding_data("tls-server-end-point"))


@VERSIONS
def test_whoever_comes_again_with_a_certificate_shows_it_again(deployment, version):
    """A ticket would not hold its chain."""
    files = deployment.authority.client(f"romeo@{DOMAIN}").files
    first = deployment.connect(version=version, certificate=files)
    assert first.login("", None, DOMAIN, "EXTERNAL").startswith("romeo@")
    again = deployment.connect(version=version, certificate=files, session=first.tls.get_session())
    assert not again.is_resumed()
    assert again.login("", None, DOMAIN, "EXTERNAL").startswith("romeo@")


@pytest.mark.parametrize("alpn", [[], ["xmpp-client"]])
def test_what_only_the_gateway_trusts_is_not_offered(deployment, alpn):
    certificate = deployment.other.client(f"romeo@{DOMAIN}")
    client = deployment.connect(alpn=alpn, certificate=certificate.files)
    assert "EXTERNAL" not in mechanisms(client.open(DOMAIN))
    client.login_here("romeo", PASSWORDS["romeo"])


def test_both_ends_of_a_stream_come_through(deployment):
    client = deployment.connect()
    client.login("juliet", PASSWORDS["juliet"], DOMAIN)
    client.send("</stream:stream>")
    assert client.receive_all() == (b"</stream:stream>", "close_notify")


def test_a_backend_that_stops_says_so(deployment):
    client = deployment.connect()
    client.login("juliet", PASSWORDS["juliet"], DOMAIN)
    deployment.backend.signal(signal.SIGTERM)
    while b"<system-shutdown" not in client.received:
        client.receive()
    client.tcp.close()
    deployment.backend.stop()
    deployment.backend.start()
    client = deployment.connect()
    assert client.login("juliet", PASSWORDS["juliet"], DOMAIN)
