"""A gateway before a real nginx, with a configuration that tests change while it runs."""

from harness.nginx import Nginx
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.tcp import connect

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"the website\n"


class Door:
    """A gateway before a real nginx; its configuration is written anew for every reload."""

    def __init__(self, place, start=True, **arguments):
        self.place, self.port = place, reserve_port()
        cert, key = place.certificate("site", ["www.example"])
        self.nginx = Nginx(place, cert, key).start()
        self.gateway = Gateway(place, self.text(**arguments))
        if start:
            self.gateway.start()

    def text(self, workers=2, ports=None, route="web", extra=""):
        addresses = ", ".join(f'"127.0.0.1:{port}"' for port in ports or [self.port])
        return f"""
workers = {workers}
drain-timeout = 2s
{extra}
listener "public" {{ address = {{{addresses}}} }}
upstream "nginx" {{ server = "127.0.0.1:{self.nginx.plain_port}" proxy-protocol = v2 }}
route "{route}" {{ protocol = "http" proxy = "nginx" }}
"""

    def write(self, **arguments):
        self.gateway.configure(self.text(**arguments))

    def ctl(self, *words):
        return run("posternctl", "--gateway", self.gateway.config, "gateway", *words)

    def reload(self, **arguments):
        self.write(**arguments)
        done = self.ctl("reload")
        assert done.returncode == 0, done.stderr

    def workers(self):
        return [worker["pid"] for worker in self.gateway.status()["workers"]]

    def get(self, port=None):
        with connect(port or self.port) as sock:
            ask(sock)

    def stop(self):
        if self.gateway.running():
            self.gateway.stop()
        self.gateway.check_clean()


def ask(sock):
    sock.sendall(REQUEST)
    data = b""
    while ANSWER not in data:
        part = sock.recv(65536)
        assert part, f"ended after {data!r}"
        data += part
