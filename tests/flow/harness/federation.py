"""Servers of several domains that talk to each other: each on a loopback address of its own, with certificates of an
authority of the test, and a name server that knows where everybody is.

    with Federation() as federation:
        PosternMember(federation, "a.example")
        ProsodyMember(federation, "b.example", secure=False)
        federation.start()
        with Company(federation) as company:
            juliet, romeo = company.enter("juliet@a.example"), company.enter("romeo@b.example")

Nothing of the machine is touched: the servers' own configuration says where the name server is."""

import itertools
from concurrent.futures import ThreadPoolExecutor

from harness.authority import Authority
from harness.dns import Nameserver
from harness.pair import Wire
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, Gateway
from harness.stage import PASSWORD, Actor, Stage, bare, number

_addresses = itertools.cycle(f"127.0.0.{last}" for last in range(30, 250))


class Member:
    """What all servers of a federation have in common.  domain; address; port (for servers, with STARTTLS), direct_port
    (for servers, direct TLS), c2s_direct (for clients).

    offers: what DNS says of it, of "starttls" and "direct"; secure: it wants certificates, else dialback will do;
    certificate: else one of the federation's authority for its domain; also: other domains (of components) that DNS
    leads there for."""

    only_numbers = False  # it looks names of hosts up where we have no say, in /etc/hosts

    def __init__(self, federation, domain, offers=("starttls",), secure=True, certificate=None, address=None,
                 also=()):
        self.federation, self.domain, self.offers, self.secure, self.also = federation, domain, offers, secure, also
        self.place, self.accounts, self.processes = Place(), set(), []
        self.address = address or next(_addresses)
        self.port, self.direct_port, self.c2s_direct = reserve_port(), reserve_port(), reserve_port()
        self.wire = None
        self.certificate = certificate or federation.authority.server(domain, *also)
        federation.members[domain] = self

    def records(self, numbers):
        """What DNS says of its domain; numbers: the name of its host is its address, which needs no DNS."""
        ports = {"starttls": ("xmpp", self.port), "direct": ("xmpps", self.direct_port)}
        host = self.address if numbers else f"host.{self.domain}"
        return [f"{host}. {'AAAA' if ':' in self.address else 'A'} {self.address}"] + [
            f"_{name}-server._tcp.{domain}. SRV 0 0 {port} {host}." for name, port in map(ports.get, self.offers)
            for domain in (self.domain, *self.also)]

    def put_behind_wire(self):
        """Have other servers come with STARTTLS by a wire, which is returned."""
        self.wire = Wire(self.port, self.address, self.address)
        self.port = self.wire.port
        self.wire.mend()
        return self.wire

    def start(self):
        for process in self.processes:
            process.start()

    def stop(self):
        """In order."""
        for process in self.processes:
            if process.running():
                process.stop()
            process.check_clean()

    def kill(self):
        for process in self.processes:
            process.kill()

    def remove(self):
        if self.wire:
            self.wire.cut()
        self.kill()
        for process in self.processes:
            process.log_text()  # kept for the report
        self.place.remove()

    def connect(self):
        """A client's connection with TLS, before anything of XMPP."""
        return Actor(self.address, self.c2s_direct).start_tls(sni=self.domain)

    def add_account(self, local, password):
        """Unless we have made it already.  Source: XEP-0077, which is much faster than the servers' commands."""
        if local in self.accounts:
            return
        with self.connect() as client:
            client.open(self.domain)
            answer = client.command(f"<iq type='set' id='r{number()}' to='{self.domain}'><query "
                                    f"xmlns='jabber:iq:register'><username>{local}</username><password>{password}"
                                    "</password></query></iq>")
            assert answer.get("type") == "result", f"no account for {local}@{self.domain}"
        self.accounts.add(local)


BACKEND = """
s2s-ca = "{ca}"
s2s-secure-auth = {secure}
unlimited-sources = {{"127.0.0.0/8", "::1"}}
{resolver}
{extra}
listener "c2s-direct" {{ address = "{listen}:{c2s_direct}" tls = direct }}
listener "servers" {{ address = "{listen}:{port}" serve = servers {proxies} }}
listener "servers-direct" {{ address = "{listen}:{direct_port}" serve = servers tls = direct {proxies} }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" s2s = true {host_extra} }}
"""

GATEWAY = """
listener "public" {{ address = "{listen}:{port}" }}
tls "servers" {{ certificate = "{cert}" key = "{key}" client-certificate = optional client-purpose = any }}
backend "xmpp" {{ inlet = "{inlet}" }}
upstream "servers" {{ server = "{listen}:{direct_port}" proxy-protocol = v2 }}
upstream "servers-plain" {{ server = "{listen}:{plain_port}" proxy-protocol = v2 }}
upstream "decrypted" {{ server = "unix:{terminated}" proxy-protocol = v2-tls }}
{routes}
"""

# How other servers reach the backend by the gateway's one port.
WAYS = {
    "handed off": """
route "servers" { alpn = "xmpp-server" handoff = "xmpp" }
route "starttls" { protocol = "xmpp" handoff = "xmpp" }
""",
    "passed on": """
route "servers" { alpn = "xmpp-server" proxy = "servers" }
route "starttls" { protocol = "xmpp" proxy = "servers-plain" }
""",
    "terminated": """
route "servers" { alpn = "xmpp-server" terminate = "servers" }
route "inside" { inside = "servers" protocol = "xmpp" proxy = "decrypted" }
route "starttls" { protocol = "xmpp" handoff = "xmpp" }
""",
}


class PosternMember(Member):
    """way: of WAYS; with None servers reach the backend itself."""

    def __init__(self, federation, domain, way=None, extra="", host_extra="", resolver="", **arguments):
        super().__init__(federation, domain, **arguments)
        cert, key = self.certificate.files
        self.place.own(key)
        listen = f"[{self.address}]" if ":" in self.address else self.address
        plain_port, direct_port = self.port, self.direct_port
        self.backend = Backend(self.place, BACKEND.format(
            ca=federation.authority.path, secure="true" if self.secure else "false", extra=extra, listen=listen,
            resolver=federation.nameserver.resolver(resolver), c2s_direct=self.c2s_direct, port=plain_port,
            direct_port=direct_port, domain=domain, cert=cert, key=key, host_extra=host_extra,
            proxies='proxy-protocol-from = {"127.0.0.0/8", "::1"}' if way == "passed on" else ""))
        self.processes = [self.backend]
        if way:
            self.port = self.direct_port = reserve_port()
            self.gateway = Gateway(self.place, GATEWAY.format(
                listen=listen, port=self.port, cert=cert, key=key, inlet=self.backend.inlet, plain_port=plain_port,
                direct_port=direct_port, terminated=self.backend.terminated, routes=WAYS[way]))
            self.processes.append(self.gateway)

    def add_account(self, local, password):
        if local not in self.accounts:
            self.backend.add_user(f"{local}@{self.domain}", password)
            self.accounts.add(local)

    def counter(self, name):
        return self.backend.counter(name)


class Federation:
    def __init__(self):
        self.place, self.members = Place(), {}
        self.authority = Authority(self.place, "federation-ca")
        self.nameserver = Nameserver(self.place)

    def publish(self, extra=()):
        """Have DNS say where everybody is."""
        numbers = any(member.only_numbers for member in self.members.values())
        self.nameserver.publish([*extra, *(record for member in self.members.values()
                                           for record in member.records(numbers))])

    def start(self):
        """All at once, since some need seconds."""
        self.publish()
        self.nameserver.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda member: member.start(), self.members.values()))
        return self

    def __enter__(self):
        return self

    def __exit__(self, failed, *_error):
        try:
            for member in self.members.values():
                if isinstance(member, PosternMember) and not failed:
                    member.stop()
        finally:
            for member in self.members.values():
                member.remove()
            self.nameserver.kill()
            self.place.remove()


class Company(Stage):
    """Clients of all the federation's servers: enter("juliet@a.example", "balcony")."""

    def __init__(self, federation):
        super().__init__(None)
        self.federation = federation

    def account(self, name):
        local, domain = bare(name).split("@")
        self.federation.members[domain].add_account(local, PASSWORD)
        return f"{local}@{domain}"

    def password(self, _jid):
        return PASSWORD

    def connect(self, domain):
        return self.federation.members[domain].connect()

    def remove(self, party):
        """Some servers reset a connection that they have ended before we have."""
        try:
            super().remove(party)
        except OSError:
            party.tcp.close()
