"""What the logs hold: one line for each event in the chosen form, and never a secret or what people write."""

import asyncio
import json

from harness.client import Client
from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.site import DOMAIN, PASSWORDS, XMPPS

BODY = "the-text-of-a-private-message"


def test_debug_logs_hold_no_password_and_no_message(own_site):
    site = own_site(backend_extra="log { level = debug }", gateway_extra="log { level = debug }").start()

    async def run():
        juliet = Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert, mechanism="PLAIN")
        romeo = Client(f"romeo@{DOMAIN}", PASSWORDS["romeo"], site.cert)
        async with juliet, romeo:
            await juliet.connect_to("127.0.0.1", site.port, sni=XMPPS)
            await romeo.connect_to("127.0.0.1", site.port, sni=XMPPS)
            await juliet.chat(romeo, BODY)

    asyncio.run(run())
    with RawClient("127.0.0.1", site.port) as raw:
        raw.start_tls(sni=XMPPS)
        raw.open(DOMAIN)
        try:
            raw.authenticate("juliet", "a-wrong-password", "PLAIN")
        except AuthenticationFailed:
            pass
    site.backend.wait_log(event="stream_end")
    for text in (site.backend.log_text(), site.gateway.log_text()):
        assert "level=debug" in text
        for secret in (*PASSWORDS.values(), BODY, "a-wrong-password"):
            assert secret not in text


def test_json_lines_without_addresses(own_site):
    site = own_site(gateway_extra="log { format = json addresses = none }")
    site.gateway.start()
    site.curl(f"https://{XMPPS}/")
    line = site.gateway.close_lines()[0]
    assert (line["level"], line["reason"], line["peer"]) == ("info", "backend_unavailable", "-")
    assert all(isinstance(json.loads(text), dict) for text in site.gateway.log_text().splitlines())
