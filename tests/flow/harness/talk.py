"""What a client writes on a stream, as text, and what it reads: for tests that choose every byte."""

import base64
import re

from harness.rawxmpp import RawClient
from harness.site import DOMAIN

STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"


def header(to=DOMAIN, version="1.0", more="", ns="jabber:client"):
    given = "".join(f" {name}='{value}'" for name, value in (("to", to), ("version", version)) if value is not None)
    return (f"<?xml version='1.0'?><stream:stream{given} xmlns='{ns}' "
            f"xmlns:stream='http://etherx.jabber.org/streams'{more}>")


def auth(user, password="secret"):
    text = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"


def bind(resource=""):
    inner = f"<resource>{resource}</resource>" if resource else ""
    return f"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{inner}</bind></iq>"


def ping(to=DOMAIN, id="ping"):
    return f"<iq type='get' id='{id}' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>"


def direct(port, sni=DOMAIN, source=None):
    """A client behind direct TLS, before its header."""
    return RawClient("127.0.0.1", port, source=source and (source, 0)).start_tls(sni=sni)


def logged_in(port, user, resource="r", domain=DOMAIN, password="secret", more=""):
    """A bound client, everything sent at once; received holds what followed the answer to bind."""
    raw = direct(port, sni=domain)
    raw.send(header(domain) + auth(user, password) + header(domain, more=more) + bind(resource))
    raw.jid = receive_until(raw, b"<jid>([^<]*)</jid></bind></iq>").group(1).decode()
    return raw


def receive_until(raw, pattern):
    """Read until the pattern was seen, and forget all up to its end; the match."""
    while not (found := re.search(pattern, raw.received, re.DOTALL)):
        raw.receive()
    raw.received = raw.received[found.end():]
    return found


def pong(raw, id="pong"):
    """Have the server answer a ping: all that came before it is what it had to say until now."""
    raw.send(ping(id=id))
    found = receive_until(raw, f"<iq [^>]*id='{id}'[^>]*>".encode())
    return found.string[:found.start()].decode()


def ending(raw):
    """Everything up to the end of the stream, which the client closes as well."""
    while b"</stream:stream>" not in raw.received:
        raw.receive()
    text = raw.received
    try:
        raw.send("</stream:stream>")
    except OSError:
        pass  # the server has gone already
    raw.tcp.close()
    return text.decode()


def condition(text):
    """The stream error in a text, or None; exactly one, and well placed."""
    found = re.findall(f"<stream:error><([a-z-]+) xmlns='{STREAM_ERRORS}'", text)
    assert len(found) <= 1 and (not found or text.endswith("</stream:error></stream:stream>")), text
    return found[0] if found else None
