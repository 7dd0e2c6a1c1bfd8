"""A real HAProxy, Debian's: in front of the gateway as a sender of PROXY headers, and behind it as a receiver."""

from harness.ports import reserve_port
from harness.process import Process
from harness.tcp import listens
from harness.wait import wait_until

CONFIG = """
global
    maxconn 500
defaults
    timeout connect 20s
    timeout client 60s
    timeout server 60s
listen v1
    mode tcp
    bind 127.0.0.1:{v1}
    server gateway 127.0.0.1:{gateway} send-proxy
listen v2
    mode tcp
    bind 127.0.0.1:{v2}
    unique-id-format balancer-%rt
    server gateway 127.0.0.1:{gateway} send-proxy-v2 proxy-v2-options crc32c,unique-id
listen checked
    mode tcp
    bind 127.0.0.1:{checked}
    server gateway 127.0.0.1:{gateway} send-proxy-v2 check check-send-proxy inter 100ms
frontend receiver
    mode http
    bind 127.0.0.1:{receiver} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] to %[dst]:%[dst_port]"
"""


class Balancer(Process):
    """HAProxy with this configuration; it has started when its port listens."""
    with_children = True

    def __init__(self, place, text, port):
        self.port = port
        config = place.write("balancer.cfg", text)
        super().__init__("balancer", ["/usr/sbin/haproxy", "-db", "-f", config], place.path / "balancer.log")

    def start(self):
        super().start()
        wait_until(lambda: listens(self.port) or not self.running(), "the balancer starts")
        assert self.running(), self.log_text()
        return self


class Haproxy(Balancer):
    def __init__(self, place, gateway_port):
        self.v1, self.v2, self.checked, self.receiver = (reserve_port() for _ in range(4))
        super().__init__(place, CONFIG.format(
            gateway=gateway_port, v1=self.v1, v2=self.v2, checked=self.checked, receiver=self.receiver), self.receiver)
