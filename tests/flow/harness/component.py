"""A component that speaks for every address of its domain, so that a test can be any contact of a user's and see
exactly what the user's server sends to it.  Source: XEP-0114."""

import hashlib

from harness.rawxmpp import RawClient
from harness.site import DOMAIN
from harness.stage import Party, number

COMPONENT = "{jabber:component:accept}"


class Component(Party, RawClient):
    """Connected and past its handshake.  jid is the address that takes part in Stage.settle(); the test sends from any
    other by from_=…, and expects what comes to any."""

    def __init__(self, port, domain, secret):
        super().__init__("127.0.0.1", port)
        self.domain, self.jid, self.sync_address = domain, f"settler@{domain}", DOMAIN
        self._new_parser()
        self.send(f"<stream:stream to='{domain}' xmlns='jabber:component:accept' "
                  "xmlns:stream='http://etherx.jabber.org/streams'>")
        while self.header is None:
            self._parse(self.receive())
        digest = hashlib.sha1((self.header.get("id") + secret).encode()).hexdigest()
        answer = self.command(f"<handshake>{digest}</handshake>")
        assert answer.tag == COMPONENT + "handshake", answer.tag

    def contact(self):
        """The bare JID of somebody of ours whom nobody knows yet."""
        return f"contact{number()}@{self.domain}"

    def send_message(self, to, text="", type="chat", extra="", from_=None, **attributes):
        super().send_message(to, text, type, extra, **{"from": from_ or self.jid}, **attributes)

    def send_presence(self, type=None, to=None, inner="", from_=None, **attributes):
        super().send_presence(type, to, inner, **{"from": from_ or self.jid}, **attributes)

    def send_iq(self, type, payload, to=None, id=None, from_=None, **attributes):
        return super().send_iq(type, payload, to, id, **{"from": from_ or self.jid}, **attributes)

