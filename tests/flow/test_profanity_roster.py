"""The roster, a subscription and an absence as somebody at a terminal has them: Debian's profanity."""

import asyncio

from harness.client import Client
from harness.site import DOMAIN, PASSWORDS, XMPPS
from harness.terminal import Terminal

JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"


def log_in(terminal, site):
    terminal.wait_text("Profanity")
    terminal.enter(f"/connect {JULIET} server 127.0.0.1 port {site.c2s_direct} tls legacy")
    terminal.wait_text("Enter password:")
    terminal.enter(PASSWORDS["juliet"])
    terminal.wait_text("/tls always")
    terminal.enter("/tls always")
    terminal.wait_match(rf"({JULIET}/\S+) logged in successfully")


def test_a_subscription_at_a_terminal(site, tmp_path):
    async def befriend(terminal):
        async with Client(ROMEO, PASSWORDS["romeo"], site.cert) as romeo:
            romeo.auto_authorize = romeo.auto_subscribe = True
            await romeo.connect_to("127.0.0.1", site.c2s_direct, sni=XMPPS)
            await romeo.get_roster()
            terminal.enter(f"/roster add {ROMEO} Romeo")
            await asyncio.to_thread(terminal.wait_text, f"Roster item added: {ROMEO}")
            terminal.enter(f"/sub request {ROMEO}")
            await asyncio.to_thread(terminal.wait_match, f"(Sent subscription request to {ROMEO})")
            terminal.enter(f"/sub allow {ROMEO}")
            await asyncio.to_thread(terminal.wait_match, r"(\+\+ Romeo .*is online)")
            while romeo.client_roster[JULIET]["subscription"] != "both":
                await romeo.ping()
            terminal.enter("/roster")
            await asyncio.to_thread(terminal.wait_text, f"{ROMEO} (Romeo) - both")

    async def write_later():
        async with Client(ROMEO, PASSWORDS["romeo"], site.cert) as romeo:
            await romeo.connect_to("127.0.0.1", site.c2s_direct, sni=XMPPS)
            romeo.send_message(mto=JULIET, mbody="while you were away", mtype="chat")
            await romeo.ping()

    with Terminal(["profanity"], tmp_path) as terminal:
        log_in(terminal, site)
        asyncio.run(befriend(terminal))
        ended = len(site.backend.log(event="stream_end"))
        terminal.enter("/disconnect")
        terminal.wait_text("logged out successfully")
        site.backend.wait_log(count=ended + 1, event="stream_end")
        asyncio.run(write_later())
        bound = len(site.backend.log(event="stream_bound"))
        terminal.enter(f"/connect {JULIET} server 127.0.0.1 port {site.c2s_direct} tls legacy")
        terminal.wait_text("Enter password:")
        terminal.enter(PASSWORDS["juliet"])
        site.backend.wait_log(count=bound + 1, event="stream_bound")
        terminal.wait_text("[2]")  # a window of its own
        terminal.enter("/win 2")
        terminal.wait_text("while you were away")
