"""What is counted of the backend: messages between two users over TLS of its own, and logins."""

from callgrind import Counted, per_unit
from harness.rawxmpp import Closed
from harness.site import DOMAIN, Site
from harness.stage import PASSWORD, Actor

OPTIONS = """
shards = 1
sandbox = false # valgrind makes system calls of its own
scram-iterations = 4096
"""
TEXT = "Two households, both alike in dignity"
UNITS = {"message, one at a time": 200, "message, 16 at a time": 640, "login, SCRAM-SHA-256": 12, "login, PLAIN": 5}


class Client(Actor):
    """Says nothing before the server rests."""
    counted = None

    def _send_bytes(self, data):
        self.counted.rest()
        super()._send_bytes(data)

    def leave(self):
        self.send("</stream:stream>")
        try:
            while True:
                self.receive()
        except Closed:
            self.counted.rest()
        self.tcp.close()
        self.counted.rest()


def run():
    """{figure: {(object, function): instructions}}"""
    site = Site(backend_extra=OPTIONS, host_extra="archive = false")
    for name in "romeo", "juliet":
        site.add_account(name, PASSWORD)
    counted = Counted(site.backend, "xep_version_iq")
    Client.counted = counted
    try:
        counted.start(lambda backend: backend.pid)
        found = measure(site, counted)
        counted.stop()
        return found
    finally:
        site.backend.kill()
        site.place.remove()


def enter(site, name, mechanism):
    client = Client("127.0.0.1", site.c2s_direct).start_tls(sni=DOMAIN, alpn=["xmpp-client"])
    client.login(name, PASSWORD, DOMAIN, mechanism=mechanism, resource="garden")
    return client


def measure(site, counted):
    romeo, juliet = (enter(site, name, "SCRAM-SHA-256") for name in ("romeo", "juliet"))
    for client in romeo, juliet:
        client.available().drain()

    def mark():
        answer = romeo.request("get", "<query xmlns='jabber:iq:version'/>", to=DOMAIN)
        assert answer.get("type") == "result"

    def messages(at_once):
        text = f"<message to='{juliet.jid}' type='chat' id='m'><body>{TEXT}</body></message>"

        def work(count):
            for _ in range(count // at_once):
                romeo.send(text * at_once)
                for _ in range(at_once):
                    juliet.expect("message", body=TEXT)
        return work

    def logins(mechanism):
        def work(count):
            for _ in range(count):
                enter(site, "juliet", mechanism).leave()
        return work

    def of(figure, work):
        return per_unit(counted, mark, work, UNITS[figure])

    found = {"message, one at a time": of("message, one at a time", messages(1)),
             "message, 16 at a time": of("message, 16 at a time", messages(16))}
    juliet.leave()
    found["login, SCRAM-SHA-256"] = of("login, SCRAM-SHA-256", logins("SCRAM-SHA-256"))
    found["login, PLAIN"] = of("login, PLAIN", logins("PLAIN"))
    return found
