"""An XMPP client that people use: slixmpp, pointed at a host and port of ours."""

import asyncio
import logging

logging.getLogger("slixmpp").setLevel(logging.CRITICAL)  # it already warns while it is imported

import slixmpp  # noqa: E402

from harness.wait import PATIENCE_S  # noqa: E402


class Client(slixmpp.ClientXMPP):
    """async with Client("juliet@example.test", "secret", cert) as client: ... — see connect_to."""

    def __init__(self, jid, password, ca_path, mechanism=None):
        super().__init__(jid, password, sasl_mech=mechanism)
        self.ca_certs = str(ca_path)
        self.use_aiodns = False
        self.inbox, self.bounced = asyncio.Queue(), asyncio.Queue()
        self.failure = None
        self.ready = asyncio.get_running_loop().create_future()
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", lambda _: self._settle(None))
        self.add_event_handler("message", self.inbox.put_nowait)
        self.add_event_handler("message_error", self.bounced.put_nowait)
        for event in ("failed_all_auth", "connection_failed", "stream_error", "disconnected"):
            self.add_event_handler(event, lambda what, event=event: self._settle(f"{event}: {what}"))

    def _settle(self, failure):
        if not self.ready.done():
            self.failure = failure
            self.ready.set_result(failure)

    async def _pick_dns_answer(self, *_arguments, **_named):
        return None  # the address is given: no look-up

    def reschedule_connection_attempt(self):
        pass  # one attempt; the test decides what comes next

    async def connect_to(self, host, port, sni=None, alpn=None, starttls=False):
        """Log in, by direct TLS (with this server name and ALPN offer) or STARTTLS; raises ConnectionError."""
        if alpn:
            self.ssl_context.set_alpn_protocols(alpn)
        self.connect((host, port), use_ssl=not starttls, force_starttls=starttls)
        self.default_domain = self._service_name = sni or self.boundjid.host
        failure = await asyncio.wait_for(self.ready, PATIENCE_S)
        if failure:
            raise ConnectionError(failure)
        self.send_presence()
        await self.ping()  # the server handles in order: our presence is known after this
        return self

    async def ping(self):
        """Our server answers a ping."""
        await self["xep_0199"].send_ping(self.boundjid.host, timeout=PATIENCE_S)

    async def receive(self):
        """The next message."""
        return await asyncio.wait_for(self.inbox.get(), PATIENCE_S)

    async def receive_bounced(self):
        """The next message of type error."""
        return await asyncio.wait_for(self.bounced.get(), PATIENCE_S)

    async def chat(self, other, text):
        """Send a message to another client; checks that it arrives."""
        self.send_message(mto=other.boundjid, mbody=text, mtype="chat")
        message = await other.receive()
        assert (message["body"], message["from"]) == (text, self.boundjid)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        if self.is_connected():
            await asyncio.wait_for(self.disconnect(wait=2), PATIENCE_S)
        self.cancel_connection_attempt()
