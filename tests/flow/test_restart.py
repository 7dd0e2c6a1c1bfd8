"""The gateway comes and goes; sessions that were handed off stay."""

import asyncio
import os
import signal
import socket

import pytest

from harness.client import Client
from harness.postern import run
from harness.site import DOMAIN, PASSWORDS, WEBSITE, XMPPS
from harness.tcp import listens
from harness.wait import PATIENCE_S, wait_until


@pytest.mark.release
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_sessions_outlive_the_gateway(own_site, how):
    site = own_site().start()

    async def run():
        juliet = Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert)
        romeo = Client(f"romeo@{DOMAIN}", PASSWORDS["romeo"], site.cert)
        async with juliet, romeo:
            await juliet.connect_to("127.0.0.1", site.port, alpn=["xmpp-client"])
            await romeo.connect_to("127.0.0.1", site.port, sni=XMPPS)
            await juliet.chat(romeo, "before")
            getattr(site.gateway, how)()
            await romeo.chat(juliet, "without a gateway")
            wait_until(lambda: not listens(site.port), "nobody listens")  # workers follow a killed master
            site.gateway.start()
            await juliet.chat(romeo, "with a new one")
            page = await asyncio.to_thread(site.curl, f"https://{WEBSITE}/")
            assert page.stdout == "the website\n", page.stderr
            again = Client(f"romeo@{DOMAIN}/again", PASSWORDS["romeo"], site.cert)
            async with again:
                await again.connect_to("127.0.0.1", site.port, sni=XMPPS)
                await juliet.chat(again, "to a new session")

    asyncio.run(run())


def test_a_second_gateway_is_refused(own_site):
    site = own_site().start()
    second = run("postern-gateway", "-c", site.gateway.config)
    assert second.returncode == 1
    assert str(site.gateway.pid) in second.stderr and "lock" in second.stderr


def test_a_restarted_backend_takes_new_sockets(own_site):
    site = own_site().start()
    site.backend.kill()
    port = site.port
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as lost:
        lost.sendall(b"<?xml version='1.0'?><stream:stream>")
        try:
            assert lost.recv(100) == b""
        except ConnectionResetError:
            pass
    site.gateway.close_lines(reason="backend_unavailable")
    site.backend.start()

    async def run():
        async with Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert) as juliet:
            await juliet.connect_to("127.0.0.1", port, alpn=["xmpp-client"])

    asyncio.run(run())


@pytest.mark.release
def test_a_worker_that_dies_is_replaced(own_site):
    """What it held is lost, the other worker's connections and all sessions are not, and it is counted."""
    site = own_site(gateway_extra="workers = 2").start()
    first, second = [worker["pid"] for worker in site.gateway.status()["workers"]]

    async def run():
        async with Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert) as juliet:
            await juliet.connect_to("127.0.0.1", site.port, alpn=["xmpp-client"])
            os.kill(first, signal.SIGKILL)
            await asyncio.to_thread(
                wait_until, lambda: all(worker["ready"] and worker["pid"] != first
                                        for worker in site.gateway.status()["workers"]), "a new worker")
            await juliet.ping()

    asyncio.run(run())
    assert second in [worker["pid"] for worker in site.gateway.status()["workers"]]
    assert site.gateway.stats()[""]["worker_deaths"] == 1
    for _ in range(20):  # the kernel spreads them over both workers
        assert site.curl(f"https://{WEBSITE}/").stdout == "the website\n"


def test_fifty_restarts_lose_nothing(own_site):
    """Killed and stopped in turns while two people chat: each message arrives, once and in order."""
    site = own_site().start()

    async def run():
        juliet = Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert)
        romeo = Client(f"romeo@{DOMAIN}", PASSWORDS["romeo"], site.cert)
        async with juliet, romeo:
            await juliet.connect_to("127.0.0.1", site.port, alpn=["xmpp-client"])
            await romeo.connect_to("127.0.0.1", site.port, sni=XMPPS)
            for number in range(50):
                await asyncio.to_thread(site.gateway.kill if number % 2 else site.gateway.stop)
                await juliet.chat(romeo, f"down {number}")
                await asyncio.to_thread(site.gateway.start)
                await romeo.chat(juliet, f"up {number}")

    asyncio.run(run())
