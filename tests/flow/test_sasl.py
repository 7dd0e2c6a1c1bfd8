"""Authentication: the mechanism that was really used, with channel bindings that the test computes by itself."""

import json

import pytest
from OpenSSL import SSL

from harness.rawxmpp import NO_EXTENDED_MASTER_SECRET, AuthenticationFailed, RawClient, bindings, mechanisms
from harness.site import DOMAIN, PASSWORDS, XMPPS

PASSWORD = PASSWORDS["juliet"]


@pytest.fixture
def raw(site):
    """A client with TLS through the gateway: raw(version=…, options=…)."""
    made = []

    def make(**arguments):
        client = RawClient("127.0.0.1", site.port)
        made.append(client)
        client.start_tls(sni=XMPPS, alpn=["xmpp-client"], **arguments)
        return client

    yield make
    for client in made:
        client.tcp.close()


@pytest.mark.release
@pytest.mark.tsan
@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.parametrize("mechanism,binding", [
    ("SCRAM-SHA-512-PLUS", "tls-exporter"),
    ("SCRAM-SHA-512", None),
    ("SCRAM-SHA-256-PLUS", "tls-exporter"),
    ("SCRAM-SHA-256-PLUS", "tls-server-end-point"),
    ("SCRAM-SHA-1-PLUS", "tls-exporter"),
    ("SCRAM-SHA-1-PLUS", "tls-server-end-point"),
    ("SCRAM-SHA-256", None),
    ("SCRAM-SHA-1", None),
    ("PLAIN", None),
])
def test_mechanism(site, raw, version, mechanism, binding):
    client = raw(version=version)
    features = client.open(DOMAIN)
    assert mechanism in mechanisms(features)
    client.authenticate("juliet", PASSWORD, mechanism, binding=binding)
    jid = client.bind("test")
    assert jid == f"juliet@{DOMAIN}/test"
    port = client.tcp.getsockname()[1]
    line = site.backend.wait_log(event="stream_bound", peer=f"127.0.0.1:{port}")
    assert (line["mech"], line.get("binding")) == (mechanism, binding)
    session, = [one for one in json.loads(site.backend.ctl("--json", "sessions")) if one["conn"] == line["conn"]]
    assert (session["tls"], session["cipher"]) == (client.tls.get_protocol_version_name(), client.tls.get_cipher_name())
    assert (session["tls_by"], session["binding"]) == ("backend", binding)


def test_both_bindings_are_announced_and_tls_unique_is_not(raw):
    features = raw().open(DOMAIN)
    assert sorted(bindings(features)) == ["tls-exporter", "tls-server-end-point"]
    offered = mechanisms(features)
    assert offered.index("SCRAM-SHA-512-PLUS") < offered.index("SCRAM-SHA-256-PLUS") < offered.index("SCRAM-SHA-512") < offered.index("PLAIN")


def test_tls_1_2_without_extended_master_secret_has_no_exporter_binding(raw):
    client = raw(version=SSL.TLS1_2_VERSION, options=NO_EXTENDED_MASTER_SECRET)
    assert bindings(client.open(DOMAIN)) == ["tls-server-end-point"]
    with pytest.raises(AuthenticationFailed):
        client.authenticate("juliet", PASSWORD, "SCRAM-SHA-256-PLUS", binding="tls-exporter")


@pytest.mark.parametrize("binding", ["tls-exporter", "tls-server-end-point"])
def test_a_wrong_binding_is_refused(raw, binding):
    """As a man in the middle would have it: right password, another connection."""
    client = raw()
    client.open(DOMAIN)
    with pytest.raises(AuthenticationFailed):
        client.authenticate("juliet", PASSWORD, "SCRAM-SHA-256-PLUS", binding=binding, binding_data=b"\0" * 32)


def test_a_client_that_thinks_we_cannot_bind_is_stopped(raw):
    """The "y" flag says: I can, but you did not offer it.  We did, so somebody took it out on the way."""
    client = raw()
    client.open(DOMAIN)
    with pytest.raises(AuthenticationFailed):
        client.authenticate("juliet", PASSWORD, "SCRAM-SHA-256", gs2_flag="y")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
def test_wrong_password_and_unknown_user_look_the_same(raw, mechanism):
    conditions = []
    for user, password in (("juliet", "wrong"), ("nobody", "wrong")):
        client = raw()
        client.open(DOMAIN)
        with pytest.raises(AuthenticationFailed) as failed:
            client.authenticate(user, password, mechanism)
        conditions.append(str(failed.value))
    assert conditions == ["not-authorized", "not-authorized"]


def test_an_unknown_mechanism(raw):
    client = raw()
    client.open(DOMAIN)
    with pytest.raises(AuthenticationFailed, match="invalid-mechanism"):
        client.authenticate("juliet", PASSWORD, "SCRAM-SHA-999")
