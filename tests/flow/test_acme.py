"""docs/recipes/acme.md with the ACME clients that it names and a test authority: real challenges through the gateway."""

import json
import os
import shutil
import subprocess

import pytest
from harness.place import AS_ROOT
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.process import Process
from harness.recipe import Recipe
from harness.tcp import listens
from harness.upstream import Upstream
from harness.wait import wait_until

DOMAIN = "example.com"


def website(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(4096)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nthe website\n")


class Authority:
    """Pebble, with a name server that says 127.0.0.1 for every name."""

    def __init__(self, place, http_port, tls_port):
        self.port, self.dns, self.management = reserve_port(), reserve_port(), reserve_port()
        self.cert, key = place.certificate("authority", ["127.0.0.1"])
        self.directory = f"https://127.0.0.1:{self.port}/dir"
        config = place.write("pebble.json", json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.cert), "privateKey": str(key), "httpPort": http_port, "tlsPort": tls_port,
            "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        self.names = Process("names", ["/usr/bin/pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "",
                                       "-defaultIPv6", "", "-dns01", f"127.0.0.1:{self.dns}", "-management",
                                       f"127.0.0.1:{reserve_port()}"], place.path / "names.log")
        self.pebble = Process("pebble", ["/usr/bin/env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0",
                                         "/usr/bin/pebble", "-config", config, "-dnsserver", f"127.0.0.1:{self.dns}"],
                              place.path / "pebble.log")

    def start(self):
        self.names.start()
        self.pebble.start()
        wait_until(lambda: listens(self.port) and listens(self.management), "the authority listens")

    def stop(self):
        self.pebble.kill()
        self.names.kill()


class Deployment:
    def __init__(self, place):
        self.place, self.tls, self.http = place, reserve_port(), reserve_port()
        self.acme_tls, self.acme_http = reserve_port(), reserve_port()
        self.live = place.path / "live"
        (self.live / DOMAIN).mkdir(parents=True)
        first, key = place.certificate("first", [DOMAIN])
        self.install(first, key)
        self.authority = Authority(place, self.http, self.tls)
        self.web = Upstream(website)
        self.gateway = Gateway(place, Recipe("acme.md").gateway({
            '{"*:443", "[*]:443"}': f'"127.0.0.1:{self.tls}"', '{"*:80", "[*]:80"}': f'"127.0.0.1:{self.http}"',
            "127.0.0.1:10443": f"127.0.0.1:{self.acme_tls}", "127.0.0.1:10080": f"127.0.0.1:{self.acme_http}",
            "127.0.0.1:8080": f"127.0.0.1:{self.web.address[1]}", "/etc/letsencrypt/live": self.live}))

    def install(self, cert, key):
        """As certbot's live folder holds it; replaced in one step, like its links."""
        for source, name in ((key, "privkey.pem"), (cert, "fullchain.pem")):
            fresh = self.live / DOMAIN / (name + ".new")
            shutil.copy(source, fresh)
            fresh.chmod(0o600)
            self.place.own(fresh)
            fresh.rename(self.live / DOMAIN / name)

    def run(self, *arguments, **environment):
        done = subprocess.run([str(argument) for argument in arguments], cwd=self.place.path, capture_output=True,
                              text=True, timeout=120, env={**os.environ, **environment})
        assert done.returncode == 0, done.stdout + done.stderr + self.authority.pebble.log_text()[-3000:]

    def issuer(self):
        """Who issued the certificate that the gateway shows now."""
        shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.tls}", "-servername", DOMAIN],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout
        return next((line for line in shown.splitlines() if line.startswith("issuer=")), "")

    def serve(self, cert, key):
        """A renewed certificate reaches clients although nobody tells the gateway, and the website stays there."""
        assert "Pebble" not in self.issuer()
        self.install(cert, key)
        wait_until(lambda: "Pebble" in self.issuer(), "the new certificate is served")
        page = subprocess.run(["curl", "-ksS", "--noproxy", "*", "--resolve", f"{DOMAIN}:{self.tls}:127.0.0.1",
                               f"https://{DOMAIN}:{self.tls}/"], capture_output=True, text=True, timeout=60)
        assert page.stdout == "the website\n", page.stderr


@pytest.fixture(name="site")
def fixture_site(place):
    one = Deployment(place)
    one.authority.start()
    one.gateway.start()
    yield one
    one.gateway.stop()
    one.authority.stop()


def test_lego_by_tls_alpn_01(site):
    site.run("lego", "--server", site.authority.directory, "--accept-tos", "--email", "a@example.com", "--domains",
             DOMAIN, "--path", site.place.path / "lego", "--tls", "--tls.port", f"127.0.0.1:{site.acme_tls}", "run",
             LEGO_CA_CERTIFICATES=str(site.authority.cert))
    assert site.gateway.stats()["acme-tls"]["routed"] >= 1
    kept = site.place.path / "lego" / "certificates"
    site.serve(kept / f"{DOMAIN}.crt", kept / f"{DOMAIN}.key")


def test_certbot_by_http_01(site):
    folder = site.place.path / "certbot"
    site.run("certbot", "certonly", "--standalone", "--non-interactive", "--agree-tos", "--register-unsafely-without-email",
             "--server", site.authority.directory, "--http-01-address", "127.0.0.1", "--http-01-port", site.acme_http,
             "-d", DOMAIN, "--config-dir", folder, "--work-dir", folder / "work", "--logs-dir", folder / "logs",
             REQUESTS_CA_BUNDLE=str(site.authority.cert))
    assert site.gateway.stats()["acme-http"]["routed"] >= 1
    redirected = subprocess.run(["curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}",
                                 "-H", f"Host: {DOMAIN}", f"http://127.0.0.1:{site.http}/page"], capture_output=True,
                                text=True, timeout=60).stdout
    assert redirected == f"301 https://{DOMAIN}/page"
    site.serve(folder / "live" / DOMAIN / "fullchain.pem", folder / "live" / DOMAIN / "privkey.pem")


def can_mount():
    return AS_ROOT and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="uacme trusts the system's authorities only; replacing them takes a mount")
def test_uacme_by_tls_alpn_01(site):
    # A mount namespace: its own /run for ualpn's socket, and the test authority as the only one.
    folder = site.place.path / "uacme"
    script = f"""
set -e
mount --bind {site.authority.cert} /etc/ssl/certs/ca-certificates.crt
mount -t tmpfs tmpfs /run
ualpn -d -b 127.0.0.1@{site.acme_tls} -c 127.0.0.1@{site.web.address[1]} -l {site.place.path}/ualpn.log
trap 'ualpn -t' EXIT
uacme -y -c {folder} -a {site.authority.directory} new a@example.com
uacme -v -c {folder} -a {site.authority.directory} -h /usr/share/uacme/ualpn.sh issue {DOMAIN}
"""
    site.run("unshare", "-m", "sh", "-c", script)
    assert site.gateway.stats()["acme-tls"]["routed"] >= 1
    site.serve(folder / DOMAIN / "cert.pem", folder / "private" / DOMAIN / "key.pem")
