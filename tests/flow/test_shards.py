"""Many shards do what one does: every message arrives, once, and in the order in which one sent them to another."""

import asyncio

import pytest

from harness.client import Client
from harness.site import DOMAIN, XMPPS

USERS, MESSAGES = 8, 60


@pytest.mark.release
@pytest.mark.tsan
@pytest.mark.conforms("RFC 6120", "10.1", "stanzas of each to each arrive once, in the order sent")
@pytest.mark.parametrize("shards", [1, 4])
def test_everyone_to_everyone_in_order(own_site, shards):
    site = own_site(backend_extra=f"shards = {shards}").start()
    names = [f"user{number}" for number in range(USERS)]
    for name in names:
        site.backend.add_user(f"{name}@{DOMAIN}", "secret")

    async def send_all(one, others):
        for number in range(MESSAGES):
            for other in others:
                one.send_message(mto=other.boundjid, mbody=str(number), mtype="chat")
            await asyncio.sleep(0)

    async def receive_all(one):
        seen = {}
        for _ in range((USERS - 1) * MESSAGES):
            message = await one.receive()
            seen.setdefault(message["from"].user, []).append(int(message["body"]))
        return seen

    async def run():
        clients = [Client(f"{name}@{DOMAIN}", "secret", site.cert) for name in names]
        try:
            await asyncio.gather(*[one.connect_to("127.0.0.1", site.port, sni=XMPPS) for one in clients])
            sending = [send_all(one, [other for other in clients if other is not one]) for one in clients]
            results = await asyncio.gather(*sending, *[receive_all(one) for one in clients])
        finally:
            for one in clients:
                await one.__aexit__()
        for name, seen in zip(names, results[USERS:]):
            assert seen == {other: list(range(MESSAGES)) for other in names if other != name}

    asyncio.run(run())
