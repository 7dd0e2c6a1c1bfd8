"""Logging in by a client's certificate: SASL EXTERNAL, on our own TLS and on TLS that a gateway has terminated."""

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from harness.authority import Authority
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, run
from harness.pp2 import AUTHORITY, CLIENT_CERT_CONN, CLIENT_SSL, EXPORTER, build, chain, ssl, tlv
from harness.rawxmpp import STREAM, AuthenticationFailed, Closed, RawClient, TerminatedClient, mechanisms
from harness.site import PASSWORDS

ASKING, STRICT, SILENT = "asking.test", "strict.test", "silent.test"
CONFIG = """
listener "c2s" {{ address = "127.0.0.1:{c2s}" }}
listener "c2s-direct" {{ address = "127.0.0.1:{direct}" tls = direct }}
host "{asking}" {{ certificate = "{cert}" key = "{key}" client-certificate = optional client-ca = "{ca}" }}
host "{strict}" {{ certificate = "{cert}" key = "{key}" client-certificate = required client-ca = "{other_ca}" }}
host "{silent}" {{ certificate = "{cert}" key = "{key}" }}
"""
WITH_CERTIFICATE = CLIENT_SSL | CLIENT_CERT_CONN


class Deployment:
    def __init__(self):
        self.place = Place()
        self.c2s, self.direct = reserve_port(), reserve_port()
        cert, key = self.place.certificate("site", [ASKING, STRICT, SILENT])
        self.authority, self.other = Authority(self.place), Authority(self.place, "other-ca")
        self.backend = Backend(self.place, CONFIG.format(
            c2s=self.c2s, direct=self.direct, cert=cert, key=key, ca=self.authority.path, other_ca=self.other.path,
            asking=ASKING, strict=STRICT, silent=SILENT))
        self.made = []

    def connect(self, how, certificate=None, sni=ASKING, to=None, **arguments):
        """A client and its features; how: "direct", "starttls" or "terminated"."""
        to = to or sni
        if how == "terminated":
            told = tlv(AUTHORITY, sni.encode()) + tlv(EXPORTER, bytes(32))
            told += ssl(WITH_CERTIFICATE) + chain(certificate.der) if certificate else ssl()
            client = TerminatedClient(self.backend.terminated, build(told))
        else:
            client = RawClient("127.0.0.1", self.direct if how == "direct" else self.c2s)
            arguments.update(sni=sni, certificate=certificate.files if certificate else None)
        self.made.append(client)
        if how == "direct":
            client.start_tls(**arguments)
        elif how == "starttls":
            client.open(to)
            client.starttls(**arguments)
        return client, client.open(to)


@pytest.fixture(scope="module")
def deployment():
    one = Deployment()
    try:
        one.backend.start()
        for host in (ASKING, STRICT, SILENT):
            for local, password in PASSWORDS.items():
                one.backend.add_user(f"{local}@{host}", password)
        yield one
        one.backend.stop()
        one.backend.check_clean()
    finally:
        for client in one.made:
            client.tcp.close()
        one.backend.kill()
        one.backend.log_text()
        one.place.remove()


WAYS = pytest.mark.parametrize("how", ["direct", "starttls", "terminated"])


@pytest.mark.conforms("RFC 6120", "13.7.1.3", "a certificate of the client logs it in")
@pytest.mark.conforms("RFC 6120", "13.7.1.4", "by XmppAddr, or a DNS or e-mail name that is an address")
@pytest.mark.conforms("RFC 6120", "13.8.4", "TLS with a certificate, and EXTERNAL")
@WAYS
@pytest.mark.release
@pytest.mark.parametrize("authzid", ["", f"romeo@{ASKING}", f"ROMEO@{ASKING}"])
def test_a_certificate_logs_in(deployment, how, authzid):
    certificate = deployment.authority.client(f"romeo@{ASKING}")
    client, features = deployment.connect(how, certificate)
    assert mechanisms(features)[0] == "EXTERNAL"
    client.authenticate(authzid, None, "EXTERNAL")
    assert client.bind("x") == f"romeo@{ASKING}/x"
    assert deployment.backend.wait_log(event="stream_bound", mech="EXTERNAL")["jid"].startswith("romeo@")


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_both_versions_of_tls_ask(deployment, version):
    client, _ = deployment.connect("direct", deployment.authority.client(f"romeo@{ASKING}"), version=version)
    client.authenticate("", None, "EXTERNAL")
    assert client.bind("x") == f"romeo@{ASKING}/x"


def test_an_answer_instead_of_an_initial_response(deployment):
    client, _ = deployment.connect("direct", deployment.authority.client(f"romeo@{ASKING}"))
    challenge = client.command("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>")
    assert challenge.tag.endswith("}challenge")
    answer = client.command("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    assert answer.tag.endswith("}success")


@WAYS
@pytest.mark.parametrize("authzid,condition", [
    (f"juliet@{ASKING}", "invalid-authzid"), (f"romeo@{SILENT}", "invalid-authzid"),
    (f"romeo@{ASKING}/x", "invalid-authzid"), ("@", "invalid-authzid"), ("romeo", "invalid-authzid"),
    (f"romeo@{ASKING}\0", "malformed-request")])
def test_nobody_else_than_the_certificate_names(deployment, how, authzid, condition):
    client, _ = deployment.connect(how, deployment.authority.client(f"romeo@{ASKING}"))
    with pytest.raises(AuthenticationFailed, match=condition):
        client.authenticate(authzid, None, "EXTERNAL")
    client.login_here("romeo", PASSWORDS["romeo"])  # a password still does


@WAYS
def test_of_several_addresses_one_must_be_chosen(deployment, how):
    certificate = deployment.authority.client(f"romeo@{ASKING}", f"juliet@{ASKING}")
    client, _ = deployment.connect(how, certificate)
    with pytest.raises(AuthenticationFailed, match="invalid-authzid"):
        client.authenticate("", None, "EXTERNAL")
    client.authenticate(f"juliet@{ASKING}", None, "EXTERNAL")
    assert client.bind("x") == f"juliet@{ASKING}/x"


def test_addresses_elsewhere_do_not_make_it_ambiguous(deployment):
    certificate = deployment.authority.client(f"juliet@{SILENT}", f"Romeo@{ASKING}", f"romeo@{ASKING}", ASKING)
    client, _ = deployment.connect("direct", certificate)
    client.authenticate("", None, "EXTERNAL")
    assert client.bind("x") == f"romeo@{ASKING}/x"


def test_the_account_must_exist(deployment):
    client, features = deployment.connect("direct", deployment.authority.client(f"tybalt@{ASKING}"))
    assert "EXTERNAL" in mechanisms(features)
    with pytest.raises(AuthenticationFailed, match="not-authorized"):
        client.authenticate("", None, "EXTERNAL")


@pytest.mark.conforms("RFC 6120", "13.7.2.2", "a chain that is not valid proves nothing")
@WAYS
@pytest.mark.parametrize("what", ["none", "other authority", "expired", "for servers", "no address", "another host"])
def test_what_proves_nothing_is_not_offered(deployment, how, what):
    us, romeo = deployment.authority, f"romeo@{ASKING}"
    certificate = {
        "none": lambda: None,
        "other authority": lambda: deployment.other.client(romeo),
        "expired": lambda: us.client(romeo, days=-1),
        "for servers": lambda: us.client(romeo, usage=ExtendedKeyUsageOID.SERVER_AUTH),
        "no address": us.client,
        "another host": lambda: us.client(f"romeo@{STRICT}"),
    }[what]()
    client, features = deployment.connect(how, certificate)
    assert "EXTERNAL" not in mechanisms(features)
    with pytest.raises(AuthenticationFailed, match="invalid-mechanism"):
        client.authenticate("", None, "EXTERNAL")
    client.login_here("romeo", PASSWORDS["romeo"])


@WAYS
def test_a_host_that_does_not_ask_offers_nothing(deployment, how):
    certificate = deployment.authority.client(f"romeo@{SILENT}")
    client, features = deployment.connect(how, certificate, sni=SILENT)
    assert "EXTERNAL" not in mechanisms(features)
    client.login_here("romeo", PASSWORDS["romeo"])


@WAYS
def test_an_authority_counts_for_its_host_only(deployment, how):
    """The handshake was with one host, the stream is to another: the other's authorities decide."""
    certificate = deployment.authority.client(f"romeo@{STRICT}", f"romeo@{ASKING}", f"romeo@{SILENT}")
    _, features = deployment.connect(how, certificate, sni=ASKING, to=SILENT)
    assert "EXTERNAL" not in mechanisms(features)
    client = deployment.connect(how, certificate, sni=ASKING)[0]
    client.tcp.close()
    with pytest.raises(AssertionError, match="error"):
        deployment.connect(how, certificate, sni=ASKING, to=STRICT)
    assert deployment.backend.wait_log(event="stream_end", reason="no_certificate")["host"] == STRICT


@WAYS
def test_a_strict_host_takes_its_own(deployment, how):
    client, features = deployment.connect(how, deployment.other.client(f"romeo@{STRICT}"), sni=STRICT)
    assert "EXTERNAL" in mechanisms(features)
    client.authenticate("", None, "EXTERNAL")
    assert client.bind("x") == f"romeo@{STRICT}/x"


@pytest.mark.parametrize("how", ["direct", "starttls"])
@pytest.mark.parametrize("trusted", [False, None])
def test_a_strict_host_ends_other_handshakes(deployment, how, trusted):
    certificate = None if trusted is None else deployment.authority.client(f"romeo@{STRICT}")
    with pytest.raises((SSL.Error, Closed)):
        deployment.connect(how, certificate, sni=STRICT)
    assert deployment.backend.wait_log(event="stream_end", reason="tls_failed")


def test_a_strict_host_refuses_terminated_streams_without(deployment):
    with pytest.raises(AssertionError, match=STREAM.replace("{", r"\{") + "error"):
        deployment.connect("terminated", sni=STRICT)


def test_the_gateways_doubt_counts(deployment):
    """Ours and the gateway's check must both pass: it may know of a revocation that we do not know of."""
    certificate = deployment.authority.client(f"romeo@{ASKING}")
    told = ssl(WITH_CERTIFICATE, verify=23) + chain(certificate.der)
    with TerminatedClient(deployment.backend.terminated, build(told)) as client:
        assert "EXTERNAL" not in mechanisms(client.open(ASKING))
    assert "gateway" in deployment.backend.wait_log(event="certificate_refused", why="the gateway does not trust it")["by"]


def test_authorities_that_are_not_there(deployment):
    text = deployment.backend.config.read_text().replace(str(deployment.other.path), "/nonexistent/ca.pem")
    path = deployment.place.write("wrong.conf", text)
    line = 1 + text[:text.index("/nonexistent")].count("\n")
    done = run("postern-backend", "-t", "-c", path)
    assert done.returncode == 2
    assert f"{path}:{line}: host \"{STRICT}\": client-ca: /nonexistent/ca.pem" in done.stderr, done.stderr


def test_a_verdict_of_the_gateway_without_a_chain_proves_nothing(deployment):
    with TerminatedClient(deployment.backend.terminated, build(ssl(WITH_CERTIFICATE, verify=0))) as client:
        assert "EXTERNAL" not in mechanisms(client.open(ASKING))
