"""A client in a terminal, as people use it: Debian's profanity, which offers no ALPN and asks for the JID's domain."""

import asyncio

import pytest

from harness.client import Client
from harness.site import DOMAIN, PASSWORDS, XMPPS
from harness.terminal import Terminal

JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"


@pytest.mark.release
@pytest.mark.parametrize("security", ["legacy", "force"])
def test_profanity_logs_in_and_chats(site, tmp_path, security):
    port = site.port if security == "legacy" else site.c2s

    async def chat(terminal, jid):
        async with Client(ROMEO, PASSWORDS["romeo"], site.cert) as romeo:
            await romeo.connect_to("127.0.0.1", site.port, sni=XMPPS)
            terminal.enter(f"/msg {romeo.boundjid.full} by any other name")
            heard = await romeo.receive()
            assert (heard["body"], heard["from"].full) == ("by any other name", jid)
            romeo.send_message(mto=jid, mbody="would smell as sweet", mtype="chat")
            await romeo.ping()
            await asyncio.to_thread(terminal.wait_text, "[3]")  # a window of its own: profanity met the bare address
            terminal.enter("/win 3")
            await asyncio.to_thread(terminal.wait_text, "would smell as sweet")

    with Terminal(["profanity"], tmp_path) as terminal:
        terminal.wait_text("Profanity")
        terminal.enter(f"/connect {JULIET} server 127.0.0.1 port {port} tls {security}")
        terminal.wait_text("Enter password:")
        terminal.enter(PASSWORDS["juliet"])
        terminal.wait_text("/tls allow")
        terminal.enter("/tls allow")
        jid = terminal.wait_match(rf"({JULIET}/\S+) logged in successfully")
        bound = site.backend.wait_log(event="stream_bound", jid=jid)
        asyncio.run(chat(terminal, jid))
    if security == "legacy":
        line = site.gateway.close_lines(conn=bound["conn"])[0]
        assert (line["route"], line["sni"], line.get("alpn")) == ("xmpp-without-alpn", DOMAIN, None)


def test_the_same_name_is_the_websites_for_those_who_say_so(site):
    done = site.curl(f"https://{DOMAIN}/", "-w", "%{http_version}")
    assert done.returncode == 0 and done.stdout.endswith("2"), done.stderr
