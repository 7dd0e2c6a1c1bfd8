"""A thousand connections at once, half of them to the website and half of them XMPP."""

import asyncio

import pytest

from harness.crowd import crowd, raise_descriptor_limit
from harness.site import DOMAIN, WEBSITE, XMPPS

EACH = 500


@pytest.mark.release
def test_a_thousand_connections_of_both_kinds(own_site):
    raise_descriptor_limit(8 * EACH)
    site = own_site(backend_extra="auth-timeout = 5m\nstreams-per-source = 0\n", gateway_extra="workers = 2").start()
    asyncio.run(asyncio.wait_for(crowd(site.port, site.cert, DOMAIN, WEBSITE, XMPPS, EACH), 240))
    site.gateway.close_lines(count=EACH, route="website", reason="done")
    handed = site.gateway.close_lines(count=EACH, route="xmpp-sni", reason="handed_off")
    assert len({line["conn"] for line in handed}) == EACH
    total = site.gateway.stats()[""]
    assert (total["accepted"], total["close_handed_off"], total["close_done"]) == (2 * EACH, EACH, EACH)
