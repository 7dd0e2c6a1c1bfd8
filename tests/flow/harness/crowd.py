"""Many connections at once, half of them to the website and half of them XMPP."""

import asyncio
import resource
import ssl

AT_ONCE = 50  # handshakes and requests at a time; the connections all stay open


def raise_descriptor_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, wanted)), hard))


async def crowd(port, ca_path, domain, website, xmpp_name, each):
    """Open each connections of both kinds, then use every one; raises if any is refused, lost or silent."""
    raise_descriptor_limit(4 * each)
    context = ssl.create_default_context(cafile=ca_path)
    gate = asyncio.Semaphore(AT_ONCE)
    opening = (f"<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' "
               "xmlns:stream='http://etherx.jabber.org/streams'>").encode()
    request = f"GET / HTTP/1.1\r\nHost: {website}\r\n\r\n".encode()

    async def connect(name):
        async with gate:
            return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)

    async def ask(connection, question, end):
        async with gate:
            reader, writer = connection
            writer.write(question)
            return await reader.readuntil(end)

    web = await asyncio.gather(*[connect(website) for _ in range(each)])
    xmpp = await asyncio.gather(*[connect(xmpp_name) for _ in range(each)])
    # All are open now; the last is used first, so that none was forgotten meanwhile.
    await asyncio.gather(*[ask(one, opening, b"</stream:features>") for one in reversed(xmpp)])
    for _ in range(2):
        answers = await asyncio.gather(*[ask(one, request, b"the website\n") for one in reversed(web)])
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    for _, writer in web + xmpp:
        writer.close()
