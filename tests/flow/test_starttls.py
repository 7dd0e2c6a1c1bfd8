"""The backend's own ports: STARTTLS on one, direct TLS on the other; nothing in clear."""

import asyncio

import pytest

from harness.client import Client
from harness.rawxmpp import TLS, AuthenticationFailed, Closed, RawClient, mechanisms
from harness.site import DOMAIN, PASSWORDS


@pytest.mark.release
def test_starttls_and_direct_tls_users_chat(site):
    async def run():
        juliet = Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert)
        romeo = Client(f"romeo@{DOMAIN}", PASSWORDS["romeo"], site.cert)
        async with juliet, romeo:
            await juliet.connect_to("127.0.0.1", site.c2s, starttls=True)
            await romeo.connect_to("127.0.0.1", site.c2s_direct)
            await juliet.chat(romeo, "by STARTTLS")
            await romeo.chat(juliet, "by direct TLS")

    asyncio.run(run())


def test_before_tls_only_starttls_is_offered(site):
    with RawClient("127.0.0.1", site.c2s) as raw:
        features = raw.open(DOMAIN)
        starttls = features.find(TLS + "starttls")
        assert starttls is not None and starttls.find(TLS + "required") is not None
        assert mechanisms(features) == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_authentication_in_clear_is_refused(site, mechanism):
    with RawClient("127.0.0.1", site.c2s) as raw:
        raw.open(DOMAIN)
        with pytest.raises(AuthenticationFailed, match="encryption-required"):
            raw.authenticate("juliet", PASSWORDS["juliet"], mechanism)


def test_who_goes_on_authenticating_in_clear_is_closed(site):
    with RawClient("127.0.0.1", site.c2s) as raw:
        raw.open(DOMAIN)
        for _ in range(3):
            with pytest.raises(AuthenticationFailed, match="encryption-required"):
                raw.authenticate("juliet", PASSWORDS["juliet"], "PLAIN")
        error = raw.next()
        assert error.find("{urn:ietf:params:xml:ns:xmpp-streams}policy-violation") is not None
    assert site.backend.wait_log(event="stream_end", reason="not_encrypted")["state"] == "plain"


def test_bytes_behind_starttls_are_not_taken_into_the_encrypted_stream(site):
    """Command injection: what was sent in clear behind <starttls/> must not count after the handshake."""
    with RawClient("127.0.0.1", site.c2s) as raw:
        raw.open(DOMAIN)
        raw.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><?xml version='1.0'?>"
                 f"<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
                 "xmlns:stream='http://etherx.jabber.org/streams'>")
        assert raw.next().tag == TLS + "proceed"
        raw.start_tls(sni=DOMAIN)
        before = len(raw.received)
        assert mechanisms(raw.open(DOMAIN))
        assert raw.login_here("juliet", PASSWORDS["juliet"]).startswith(f"juliet@{DOMAIN}/")
        # Ours, and that after authentication; an injected one would have been answered, too.
        assert raw.received[before:].count(b"<stream:stream") == 2


def test_a_host_that_is_not_served(site):
    with RawClient("127.0.0.1", site.c2s_direct) as raw:
        raw.start_tls(sni=DOMAIN)
        with pytest.raises((Closed, AssertionError)):
            raw.open("elsewhere.test")
        assert b"<host-unknown" in raw.received
