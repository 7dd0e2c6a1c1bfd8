"""Several real servers behind one gateway: nginx that says who it is, and a gateway that balances them."""

import socket

from harness.place import AS_ROOT, USER
from harness.ports import reserve_port
from harness.postern import Gateway
from harness.process import Process
from harness.tcp import connect, listens, read_to_end
from harness.wait import wait_until

NGINX = """
daemon off; {user} worker_processes 1; pid {path}/{name}.pid; error_log {path}/{name}-error.log info;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {path}/{name}-tmp/b; proxy_temp_path {path}/{name}-tmp/p; fastcgi_temp_path {path}/{name}-tmp/f;
    uwsgi_temp_path {path}/{name}-tmp/u; scgi_temp_path {path}/{name}-tmp/s; access_log off;
    server {{ listen {host}:{port}; location / {{ return 200 "{answer}"; }} }}
}}
"""


class Named(Process):
    """An nginx that answers every request with its name."""
    with_children = True
    answer = None

    def __init__(self, place, name, port=None, host="127.0.0.1", wrapper=()):
        self.pid_path = place.path / f"{name}.pid"
        self.port, self.host, self.error_log = port or reserve_port(), host, place.path / f"{name}-error.log"
        place.folder(f"{name}-tmp")
        config = place.write(f"{name}.conf", NGINX.format(path=place.path, name=name, host=host, answer=self.answer or name, port=self.port,
                                                          user=f"user {USER} nogroup;" if AS_ROOT else ""))
        super().__init__(name, [*wrapper, "/usr/sbin/nginx", "-e", self.error_log, "-c", config], place.path / f"{name}.log")

    @property
    def at(self):
        return f"{self.host}:{self.port}"

    def start(self):
        self.pid_path.unlink(missing_ok=True)
        super().start()
        wait_until(lambda: self.pid_path.exists() or not self.running(), f"{self.name} starts")
        assert self.running(), self.log_text()
        return self

    def kill(self):
        """nginx's worker holds the listening socket, too, and may outlive its master by a moment."""
        super().kill()
        if self.host == "127.0.0.1":
            wait_until(lambda: not listens(self.port), f"{self.name}'s port is closed")


def ask(port, source="127.0.0.1"):
    """A request from this address to whoever it reaches; the name, or "" when nobody answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0)) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return read_to_end(sock)[0].partition(b"\r\n\r\n")[2].decode()


class Farm:
    """Servers a, b, c, … and a gateway in front of them."""

    def __init__(self, place):
        self.place, self.servers, self.gateway, self.port = place, {}, None, reserve_port()

    def server(self, name, **arguments):
        self.servers[name] = Named(self.place, name, **arguments).start()
        return self.servers[name]

    def start(self, servers, options="", extra="", wrapper=()):
        """The gateway, with servers as texts."""
        listed = ", ".join(f'"{text}"' for text in servers)
        self.gateway = Gateway(self.place, f"""
{extra}
listener "public" {{ address = "127.0.0.1:{self.port}" }}
upstream "farm" {{ server = {{{listed}}} {options} }}
route "all" {{ proxy = "farm" }}
""")
        self.gateway.arguments = [*wrapper, *self.gateway.arguments]
        self.gateway.start()
        return self.gateway

    def ask(self, count=1, **arguments):
        return [ask(self.port, **arguments) for _ in range(count)]

    def connect(self):
        return connect(self.port)

    def report(self):
        """{server: what the gateway says of it}"""
        (upstream,) = self.gateway.control_call("upstreams")
        return {server["server"]: server for server in upstream["servers"]}

    def set(self, server, **what):
        self.gateway.control_call("server", upstream="farm", server=server.at, **what)

    def stop(self):
        try:
            if self.gateway is not None:
                self.gateway.stop()
        finally:
            for process in [self.gateway, *self.servers.values()]:
                if process is not None:
                    process.kill()
