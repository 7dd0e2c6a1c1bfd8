"""The deployment that the tests are about: one port for a website and XMPP."""

import subprocess

from harness.nginx import Nginx
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, Gateway

DOMAIN, WEBSITE, XMPPS = "example.test", "www.example.test", "xmpps.example.test"
PASSWORDS = {"juliet": "parting-is-such-sweet-sorrow", "romeo": "but-soft-what-light"}

BACKEND = """
{extra}
listener "c2s" {{ address = "127.0.0.1:{c2s}" }}
listener "c2s-direct" {{ address = "127.0.0.1:{c2s_direct}" tls = direct }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" server-names = "{xmpps}" {host_extra} }}
"""

GATEWAY = """
{extra}
listener "public" {{ address = {{"127.0.0.1:{port}", "[::1]:{port}"}} }}
upstream "website" {{ server = "127.0.0.1:{https}" proxy-protocol = v2 }}
upstream "website-plain" {{ server = "127.0.0.1:{http}" proxy-protocol = v1 }}
backend "xmpp" {{ inlet = "{inlet}" }}
route "xmpp-alpn" {{ alpn = {{"xmpp-client", "xmpp-server"}} handoff = "xmpp" }}
route "xmpp-sni" {{ sni = {{"{xmpps}"}} handoff = "xmpp" }}
route "xmpp-plain" {{ protocol = "xmpp" handoff = "xmpp" }}
route "browsers" {{ alpn = {{"h2", "http/1.1"}} proxy = "website" }}
route "xmpp-without-alpn" {{ sni = "{domain}" handoff = "xmpp" }}
route "website" {{ protocol = "tls" proxy = "website" }}
route "website-plain" {{ protocol = {{"http", "http2"}} proxy = "website-plain" }}
"""


class Site:
    """nginx, the backend and the gateway, wired together; start() starts all."""

    domain = DOMAIN

    def __init__(self, gateway_extra="", backend_extra="", gateway=GATEWAY, host_extra="",
                 unlimited='unlimited-sources = {"127.0.0.0/8", "::1"}'):
        self.place, self.accounts = Place(), set()
        self.port, self.c2s, self.c2s_direct = reserve_port(), reserve_port(), reserve_port()
        self.cert, self.key = self.place.certificate("site", [DOMAIN, WEBSITE, XMPPS])
        self.nginx = Nginx(self.place, self.cert, self.key)
        self.backend = Backend(self.place, BACKEND.format(
            extra=f"{unlimited}\n{backend_extra}", c2s=self.c2s, c2s_direct=self.c2s_direct, domain=DOMAIN, xmpps=XMPPS,
            cert=self.cert, key=self.key, host_extra=host_extra))
        self.gateway = Gateway(self.place, gateway.format(
            extra=gateway_extra, port=self.port, https=self.nginx.port, http=self.nginx.plain_port,
            inlet=self.backend.inlet, terminated=self.backend.terminated, domain=DOMAIN, xmpps=XMPPS, cert=self.cert,
            key=self.key))

    def start(self):
        self.nginx.start()
        self.backend.start()
        self.gateway.start()
        for local, password in PASSWORDS.items():
            self.add_account(local, password)
        return self

    def add_account(self, local, password):
        """Unless we have made it already."""
        if local not in self.accounts:
            self.backend.add_user(f"{local}@{DOMAIN}", password)
            self.accounts.add(local)

    def stop(self):
        """Stop all and check that each ended in order; the folder is removed."""
        try:
            for server in (self.gateway, self.backend, self.nginx):
                if server.running():
                    server.stop()
                server.check_clean()
        finally:
            for server in (self.gateway, self.backend, self.nginx):
                server.kill()
                server.log_text()  # kept for the report
            self.place.remove()

    def curl(self, url, *arguments, port=None, text=True):
        """curl, resolving every name to the gateway; the completed process."""
        return subprocess.run(
            ["curl", "-sS", "--max-time", "120", "--noproxy", "*", "--cacert", self.cert, "--connect-to",
             f"::127.0.0.1:{port or self.port}", *map(str, arguments), url],
            capture_output=True, text=text, timeout=180)
