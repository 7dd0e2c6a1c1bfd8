"""What is counted of the gateway: connections that it proxies, and connections that it hands to a backend."""

import array
import socket

from callgrind import Counted, per_unit
from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.tcp import client_hello, connect, read_exactly, read_to_end
from harness.wait import PATIENCE_S

CONFIG = """
workers = 1
sandbox = false # valgrind makes system calls of its own
listener "public" {{ address = "127.0.0.1:{port}" }}
upstream "website" {{ server = "127.0.0.1:{website}" proxy-protocol = v2 }}
backend "xmpp" {{ inlet = "{inlet}" }}
route "xmpp" {{ alpn = {{"xmpp-client", "xmpp-server"}} handoff = "xmpp" }}
route "mark" {{ alpn = "mark/1" refuse = close }}
route "other" {{ sni = {{"other.example.test", "*.more.example.test"}} proxy = "website" }}
route "website" {{ alpn = {{"h2", "http/1.1"}} proxy = "website" }}
"""
UNITS = {"proxied connection": 60, "handed-off connection": 60}
ANSWER = b"x" * 64


class Stages:
    """A gateway, and the two programs behind it, which we are."""

    def __init__(self, place):
        self.port, inlet_path = reserve_port(), place.path / "inlet.sock"
        self.website = socket.create_server(("127.0.0.1", 0))
        self.inlet = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.inlet.bind(str(inlet_path))
        inlet_path.chmod(0o666)
        self.inlet.listen()
        self.channel = None
        for listener in self.website, self.inlet:
            listener.settimeout(PATIENCE_S)
        self.gateway = Gateway(place, CONFIG.format(port=self.port, inlet=inlet_path, website=self.website.getsockname()[1]))
        self.counted = Counted(self.gateway, "action_refuse_start")

    def say(self, client, alpn):
        """A ClientHello, once the gateway has taken the connection; its length."""
        self.counted.rest()
        hello = client_hello("www.example.test", alpn)
        client.sendall(hello)
        return len(hello)

    def mark(self):
        with connect(self.port) as client:
            self.say(client, ["mark/1"])
            read_to_end(client)
        self.counted.rest()

    def proxied(self, count):
        for _ in range(count):
            client = connect(self.port)
            length = self.say(client, ["h2", "http/1.1"])
            server, _ = self.website.accept()
            with server:
                server.settimeout(PATIENCE_S)
                header = read_exactly(server, 16)  # of the PROXY protocol: the length of the rest of it is last
                read_exactly(server, int.from_bytes(header[14:]) + length)
                self.counted.rest()
                server.sendall(ANSWER)
                assert read_exactly(client, len(ANSWER)) == ANSWER
                self.counted.rest()
                client.close()
                assert server.recv(1) == b""
                self.counted.rest()
            self.counted.rest()

    def handed_off(self, count):
        for _ in range(count):
            with connect(self.port) as client:
                self.say(client, ["xmpp-client"])
                if not self.channel:
                    self.channel, _ = self.inlet.accept()
                    self.channel.settimeout(PATIENCE_S)
                _, ((_, _, data),), _, _ = self.channel.recvmsg(70000, socket.CMSG_SPACE(4))
                socket.socket(fileno=array.array("i", data)[0]).close()
                self.counted.rest()

    def close(self):
        self.gateway.kill()
        for one in self.website, self.inlet, self.channel:
            if one:
                one.close()


def run():
    """{figure: {(object, function): instructions}}"""
    place = Place()
    stages = Stages(place)
    try:
        stages.counted.start(lambda gateway: gateway.status()["workers"][0]["pid"])
        found = {figure: per_unit(stages.counted, stages.mark, work, UNITS[figure])
                 for figure, work in (("proxied connection", stages.proxied),
                                      ("handed-off connection", stages.handed_off))}
        stages.counted.stop()
        return found
    finally:
        stages.close()
        place.remove()
