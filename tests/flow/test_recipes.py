"""The recipes of docs/recipes, as they are written there, with the real servers that they are about."""

import asyncio
import re
import subprocess

import pytest
from harness.client import Client
from harness.haproxy import Balancer
from harness.nginx import Nginx
from harness.peers import Apache, Ejabberd, Prosody, Sshd
from harness.ports import reserve_port
from harness.postern import Backend, Gateway
from harness.recipe import RECIPES, Recipe
from harness.tcp import connect, local_address, read_exactly
from harness.wait import wait_until

DOMAIN, XMPPS = "example.com", "xmpps.example.com"
BACKEND = """
listener "c2s" {{ address = "127.0.0.1:{port}" }}
host "{domain}" {{ certificate = "{cert}" key = "{key}" server-names = "{xmpps}" }}
"""


class Kitchen:
    """A place with a certificate, the public port, and whatever is started in it."""

    def __init__(self, place):
        self.place, self.port, self.web = place, reserve_port(), reserve_port()
        self.cert, self.key = place.certificate("site", [DOMAIN, "www." + DOMAIN, XMPPS])
        self.letsencrypt = {"/etc/letsencrypt/live/example.com/fullchain.pem": self.cert,
                            "/etc/letsencrypt/live/example.com/privkey.pem": self.key}
        self.public = {'{"*:443", "[*]:443"}': f'"127.0.0.1:{self.port}"'}
        self.to_web = {"127.0.0.1:8443": f"127.0.0.1:{self.web}"}
        self.started = []

    def start(self, server):
        self.started.append(server)
        return server.start()

    def backend(self):
        backend = self.start(Backend(self.place, BACKEND.format(
            port=reserve_port(), domain=DOMAIN, xmpps=XMPPS, cert=self.cert, key=self.key)))
        backend.add_user(f"juliet@{DOMAIN}", "secret")
        return backend

    def nginx(self):
        """The website of the recipes that are about something else."""
        nginx = Nginx(self.place, self.cert, self.key, port=self.web)
        return self.start(nginx)

    def gateway(self, recipe, *changes):
        merged = {**self.public, **{old: new for change in changes for old, new in change.items()}}
        return self.start(Gateway(self.place, recipe.gateway(merged)))

    def curl(self, url, *arguments):
        return subprocess.run(
            ["curl", "-sS", "--max-time", "60", "--noproxy", "*", "--cacert", self.cert, "--connect-to",
             f"::127.0.0.1:{self.port}", *arguments, url], capture_output=True, text=True, timeout=90)

    def log_in(self, alpn=None, sni=None):
        async def run():
            async with Client(f"juliet@{DOMAIN}", "secret", self.cert) as client:
                await client.connect_to("127.0.0.1", self.port, sni=sni or DOMAIN, alpn=alpn)
        asyncio.run(run())

    def stop(self):
        try:
            for server in reversed(self.started):
                if isinstance(server, (Gateway, Backend)) and server.running():
                    server.stop()
        finally:
            for server in self.started:
                server.kill()


@pytest.fixture(name="kitchen")
def fixture_kitchen(place):
    one = Kitchen(place)
    yield one
    one.stop()


def inlet(backend):
    return {"/run/postern/inlet.sock": backend.inlet}


def test_nginx(kitchen):
    recipe = Recipe("nginx.md")
    (kitchen.place.path / "www").mkdir()
    (kitchen.place.path / "www" / "index.html").write_text("the website\n")
    server = recipe.file("/etc/nginx/conf.d/postern.conf", {
        **kitchen.letsencrypt, **kitchen.to_web, "/var/www/html": kitchen.place.path / "www"})
    nginx = Nginx(kitchen.place, kitchen.cert, kitchen.key, port=kitchen.web, servers=server,
                  log_format="$remote_addr:$remote_port $server_protocol $ssl_server_name $status \"$request\"")
    kitchen.start(nginx)
    kitchen.gateway(recipe, kitchen.to_web, inlet(kitchen.backend()))
    seen = kitchen.curl(f"https://{DOMAIN}/", "-w", "%{local_ip}:%{local_port}")
    body, _, address = seen.stdout.rpartition("\n")
    assert (body, nginx.wait_request()[0]) == ("the website", address)
    error = kitchen.curl(f"https://{XMPPS}/", "-i", "--http0.9").stdout
    assert "not-well-formed" in error and "HTTP/" not in error
    kitchen.log_in(alpn=["xmpp-client"])


def test_apache(kitchen):
    recipe = Recipe("apache.md")
    (kitchen.place.path / "www").mkdir()
    (kitchen.place.path / "www" / "index.html").write_text("apache's website\n")
    apache = Apache(kitchen.place, recipe.file("/etc/apache2/sites-available/postern.conf", {
        **kitchen.letsencrypt, **kitchen.to_web, "/var/www/html": kitchen.place.path / "www"}), kitchen.web)
    kitchen.start(apache)
    kitchen.gateway(recipe, kitchen.to_web, inlet(kitchen.backend()))
    # Port 443 of another loopback address: what the log must show is not the gateway's own.
    seen = kitchen.curl(f"https://{DOMAIN}/index.html", "--interface", "127.0.0.9")
    assert seen.stdout == "apache's website\n", seen.stderr
    wait_until(lambda: '127.0.0.9 200 "GET /index.html' in apache.access_log(), "Apache logs the true address")
    kitchen.log_in(sni=XMPPS)


def test_prosody(kitchen):
    recipe = Recipe("prosody.md")
    port = reserve_port()
    prosody = Prosody(kitchen.place, recipe.file("/etc/prosody/conf.d/postern.cfg.lua", {"5223": port}), port, DOMAIN,
                      kitchen.cert, kitchen.key)
    kitchen.start(prosody)
    prosody.add_user("juliet", "secret")
    nginx = kitchen.nginx()
    kitchen.gateway(recipe, kitchen.to_web, {"127.0.0.1:5223": f"127.0.0.1:{port}"})
    kitchen.log_in(alpn=["xmpp-client"])
    kitchen.log_in()
    assert kitchen.curl(f"https://{DOMAIN}/").stdout == "the website\n"
    nginx.wait_request()


def test_ejabberd(kitchen):
    recipe = Recipe("ejabberd.md")
    port = reserve_port()
    ejabberd = Ejabberd(kitchen.place, recipe.file("/etc/ejabberd/ejabberd.yml", {"5223": port}), port, DOMAIN,
                        kitchen.cert, kitchen.key)
    kitchen.start(ejabberd)
    ejabberd.add_user("juliet", "secret")
    kitchen.nginx()
    gateway = kitchen.gateway(recipe, kitchen.to_web, {"127.0.0.1:5223": f"127.0.0.1:{port}"})
    kitchen.log_in(alpn=["xmpp-client"])
    kitchen.log_in()
    assert kitchen.curl(f"https://{DOMAIN}/").stdout == "the website\n"
    peers = {line["peer"] for line in gateway.close_lines(2, upstream="ejabberd")}
    log = (kitchen.place.path / "ejabberd" / "logs" / "ejabberd.log").read_text()
    ports = set(re.findall(r"127\.0\.0\.1:(\d+)", log))
    assert {peer.rpartition(":")[2] for peer in peers} <= ports, log


def test_ssh(kitchen):
    recipe = Recipe("ssh.md")
    sshd = kitchen.start(Sshd(kitchen.place))
    kitchen.nginx()
    kitchen.gateway(recipe, kitchen.to_web, {"127.0.0.1:22": f"127.0.0.1:{sshd.port}",
                                             'listener "public"': 'peek-timeout = 200ms\nlistener "public"'})
    assert sshd.run(kitchen.port, "echo over 443") == "over 443\n"
    assert kitchen.curl(f"https://{DOMAIN}/").stdout == "the website\n"
    with connect(kitchen.port) as silent:
        assert read_exactly(silent, 8) == b"SSH-2.0-"


def test_load_balancer(kitchen):
    recipe = Recipe("load-balancer.md")
    nginx = kitchen.nginx()
    gateway = kitchen.gateway(recipe, kitchen.to_web, inlet(kitchen.backend()), {"10.0.0.0/28": "127.0.0.0/8"})
    front = reserve_port()
    text = recipe.file("/etc/haproxy/haproxy.cfg", {
        "bind :443": f"bind 127.0.0.1:{front}", "10.0.0.17:443": f"127.0.0.1:{kitchen.port}",
        "    server postern2 10.0.0.18:443 send-proxy-v2 check check-send-proxy\n": ""})
    kitchen.start(Balancer(kitchen.place, text, front))
    direct, kitchen.port = kitchen.port, front
    seen = kitchen.curl(f"https://{DOMAIN}/", "-w", "%{local_ip}:%{local_port}")
    body, _, address = seen.stdout.rpartition("\n")
    assert (body, nginx.wait_request()[0]) == ("the website", address)
    kitchen.log_in(alpn=["xmpp-client"])
    assert gateway.close_lines(route="web")[0]["peer"] == address
    with connect(direct) as stranger:  # loopback is the balancer's here: a header must come
        stranger.sendall(b"\x16\x03\x01")
        assert gateway.close_lines(local=f"127.0.0.1:{direct}", peer=local_address(stranger))


def test_every_recipe_has_a_test():
    tested = {"nginx.md", "apache.md", "prosody.md", "ejabberd.md", "ssh.md", "load-balancer.md",
              "patterns.md",  # test_patterns.py
              "acme.md",  # test_acme.py
              "tor.md"}  # test_onion.py, test_tor_network.py
    assert {path.name for path in RECIPES.glob("*.md")} == tested
