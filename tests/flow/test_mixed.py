"""The mixed mode: one name for a website and XMPP, told apart by ALPN where there is one and inside of TLS where not."""

import asyncio
import subprocess

import pytest
from OpenSSL import SSL

from harness.authority import Authority
from harness.client import Client
from harness.place import Place
from harness.rawxmpp import AuthenticationFailed, RawClient, bindings, mechanisms
from harness.site import DOMAIN, PASSWORDS, WEBSITE, Site
from harness.tcp import local_address
from harness.terminal import Terminal

JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"

GATEWAY = """
{extra}
listener "public" {{ address = "127.0.0.1:{port}" }}
tls "shared-name" {{ certificate = "{cert}" key = "{key}" client-certificate = optional client-ca = "CLIENT-CA" }}
upstream "website" {{ server = "127.0.0.1:{https}" proxy-protocol = v2 }}
upstream "website-plain" {{ server = "127.0.0.1:{http}" proxy-protocol = v2 }}
upstream "xmpp-decrypted" {{ server = "unix:{terminated}" proxy-protocol = v2-tls }}
backend "xmpp" {{ inlet = "{inlet}" }}
pattern "status" {{ regex = '^STATUS\r?\n' }}
route "xmpp" {{ alpn = {{"xmpp-client", "xmpp-server"}} handoff = "xmpp" }}
route "no-alpn" {{ sni = "{domain}" no-alpn = true terminate = "shared-name" }}
route "website" {{ protocol = "tls" proxy = "website" }}
route "xmpp-inside" {{ inside = "shared-name" protocol = "xmpp" proxy = "xmpp-decrypted" }}
route "website-inside" {{ inside = "shared-name" protocol = "http" proxy = "website-plain" }}
route "monitor" {{ inside = "shared-name" protocol = "status" proxy = "website-plain" }}
route "rest-inside" {{ inside = "shared-name" refuse = close }}
"""


@pytest.fixture(scope="module")
def mixed():
    authority_place = Place()
    authority = Authority(authority_place)
    site = Site(gateway=GATEWAY.replace("CLIENT-CA", str(authority.path)),
                host_extra=f'client-certificate = optional client-ca = "{authority.path}"')
    site.authority = authority
    try:
        yield site.start()
    finally:
        site.stop()
        authority_place.remove()


@pytest.mark.release
@pytest.mark.parametrize("alpn, route", [(["xmpp-client"], "xmpp"), ([], "xmpp-inside")])
def test_who_says_it_is_handed_off_and_who_does_not_is_decrypted(mixed, alpn, route):
    """Both log in with channel binding, and the backend tells who is who under the same id."""
    with RawClient("127.0.0.1", mixed.port) as client:
        client.start_tls(sni=DOMAIN, alpn=alpn)
        address = local_address(client.tcp)
        features = client.open(DOMAIN)
        assert bindings(features) == ["tls-exporter", "tls-server-end-point"]
        client.authenticate("juliet", PASSWORDS["juliet"], "SCRAM-SHA-256-PLUS", binding="tls-exporter")
        jid = client.bind("x")
        line = mixed.backend.wait_log(event="stream_bound", jid=jid, peer=address)
        assert (line["sni"], line.get("by")) == (DOMAIN, "gateway" if route == "xmpp-inside" else None)
    closed = mixed.gateway.close_lines(conn=line["conn"])[0]
    assert (closed["route"], closed["peer"]) == (route, address)
    assert closed["reason"] == ("handed_off" if route == "xmpp" else closed["reason"])


@pytest.mark.release
@pytest.mark.parametrize("alpn, version", [(["xmpp-client"], SSL.TLS1_3_VERSION), ([], SSL.TLS1_3_VERSION),
                                           ([], SSL.TLS1_2_VERSION)])
def test_a_certificate_logs_in_either_way(mixed, alpn, version):
    mine = mixed.authority.client(ROMEO)
    with RawClient("127.0.0.1", mixed.port) as client:
        client.start_tls(sni=DOMAIN, alpn=alpn, version=version, certificate=mine.files)
        assert mechanisms(client.open(DOMAIN))[0] == "EXTERNAL"
        client.authenticate("", None, "EXTERNAL")
        assert client.bind("card").startswith(ROMEO)


def test_a_certificate_of_a_strangers_authority_does_not(mixed, place):
    strange = Authority(place, "stranger").client(ROMEO)
    with RawClient("127.0.0.1", mixed.port) as client:
        client.start_tls(sni=DOMAIN, certificate=strange.files)
        assert "EXTERNAL" not in mechanisms(client.open(DOMAIN))
        with pytest.raises(AuthenticationFailed):
            client.authenticate("", None, "EXTERNAL")


@pytest.mark.parametrize("binding", ["tls-server-end-point", "tls-exporter"])
def test_another_servers_binding_is_refused_inside(mixed, binding):
    with RawClient("127.0.0.1", mixed.port) as client:
        client.start_tls(sni=DOMAIN)
        client.open(DOMAIN)
        with pytest.raises(AuthenticationFailed, match="not-authorized"):
            client.authenticate("juliet", PASSWORDS["juliet"], "SCRAM-SHA-256-PLUS", binding=binding,
                                binding_data=b"\x55" * 32)


def test_slixmpp_without_alpn_chats_with_one_that_says_it(mixed):
    async def chat():
        async with Client(ROMEO, PASSWORDS["romeo"], mixed.cert) as romeo:
            await romeo.connect_to("127.0.0.1", mixed.port, sni=DOMAIN, alpn=["xmpp-client"])
            async with Client(JULIET, PASSWORDS["juliet"], mixed.cert) as juliet:
                await juliet.connect_to("127.0.0.1", mixed.port, sni=DOMAIN)
                await juliet.chat(romeo, "by any other name")
                await romeo.chat(juliet, "would smell as sweet " * 1000)

    asyncio.run(chat())


@pytest.mark.release
def test_profanity_which_offers_no_alpn(mixed, tmp_path):
    with Terminal(["profanity"], tmp_path) as terminal:
        terminal.wait_text("Profanity")
        terminal.enter(f"/connect {JULIET} server 127.0.0.1 port {mixed.port} tls legacy")
        terminal.wait_text("Enter password:")
        terminal.enter(PASSWORDS["juliet"])
        terminal.wait_text("/tls allow")
        terminal.enter("/tls allow")
        jid = terminal.wait_match(rf"({JULIET}/\S+) logged in successfully")
        bound = mixed.backend.wait_log(event="stream_bound", jid=jid)
    line = mixed.gateway.close_lines(conn=bound["conn"])[0]
    assert (line["route"], line["tls"], line["protocol"], line.get("alpn")) == ("xmpp-inside", "shared-name", "xmpp",
                                                                               None)
    assert mixed.gateway.stats()["xmpp-inside"]["xmpp_without_alpn"] > 0


def test_browsers_reach_the_website_untouched(mixed):
    """The web server does the TLS, HTTP/2 included, on the shared name as on its own."""
    for name in (DOMAIN, WEBSITE):
        done = mixed.curl(f"https://{name}/", "-w", "%{http_version}")
        assert done.stdout == "the website\n2", done.stderr
    mixed.gateway.wait_log(event="close", route="website", sni=DOMAIN, count=1)
    assert ("HTTP/2.0", DOMAIN, "200") in [request[1:4] for request in mixed.nginx.requests()]


@pytest.mark.release
def test_web_clients_without_alpn_reach_the_website_too(mixed):
    """As wget does, and monitors."""
    done = mixed.curl(f"https://{DOMAIN}/", "--no-alpn", "-w", "%{http_version}")
    assert done.stdout == "the website\n1.1", done.stderr
    line = mixed.gateway.wait_log(event="close", route="website-inside")
    assert ((line["peer"], "HTTP/1.1", "-", "200")) in [request[:4] for request in mixed.nginx.requests()]


def test_a_pattern_inside_and_the_rest(mixed):
    def talk(text):
        done = subprocess.run(["openssl", "s_client", "-quiet", "-ign_eof", "-connect", f"127.0.0.1:{mixed.port}",
                               "-servername", DOMAIN], input=text, capture_output=True, timeout=60)
        return done.stdout

    assert b"400 Bad Request" in talk(b"STATUS\r\n\r\n")
    mixed.gateway.wait_log(event="close", route="monitor", protocol="status")
    assert talk(b"\x05\x01\x00") == b""
    mixed.gateway.wait_log(event="close", route="rest-inside", reason="refused")
