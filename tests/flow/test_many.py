"""A thousand connections at once, half of them to the website and half of them XMPP."""

import asyncio
import resource
import ssl

import pytest

from harness.site import DOMAIN, WEBSITE, XMPPS

EACH = 500
OPENING = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
           "xmlns:stream='http://etherx.jabber.org/streams'>").encode()
REQUEST = f"GET / HTTP/1.1\r\nHost: {WEBSITE}\r\n\r\n".encode()


async def _web(site, context):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=context, server_hostname=WEBSITE)
    return reader, writer


async def _xmpp(site, context):
    return await asyncio.open_connection("127.0.0.1", site.port, ssl=context, server_hostname=XMPPS)


async def _ask_web(reader, writer):
    writer.write(REQUEST)
    answer = await reader.readuntil(b"the website\n")
    assert answer.startswith(b"HTTP/1.1 200")


async def _ask_xmpp(reader, writer):
    writer.write(OPENING)
    await reader.readuntil(b"</stream:features>")


@pytest.mark.release
def test_a_thousand_connections_of_both_kinds(own_site):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    site = own_site(backend_extra="auth-timeout = 5m", gateway_extra="workers = 2").start()

    async def run():
        context = ssl.create_default_context(cafile=site.cert)
        gate = asyncio.Semaphore(50)  # handshakes at a time; all stay open

        async def limited(job):
            async with gate:
                return await job

        web = await asyncio.gather(*[limited(_web(site, context)) for _ in range(EACH)])
        xmpp = await asyncio.gather(*[limited(_xmpp(site, context)) for _ in range(EACH)])
        # All are open now; each is used twice, in the other order, so that none was forgotten.
        await asyncio.gather(*[limited(_ask_xmpp(*one)) for one in reversed(xmpp)])
        for _ in range(2):
            await asyncio.gather(*[limited(_ask_web(*one)) for one in reversed(web)])
        for _, writer in web + xmpp:
            writer.close()

    asyncio.run(asyncio.wait_for(run(), 240))
    site.gateway.close_lines(count=EACH, route="website")
    handed = site.gateway.close_lines(count=EACH, route="xmpp-sni", reason="handed_off")
    assert len({line["conn"] for line in handed}) == EACH
    total = site.gateway.stats()
    assert total is not None
