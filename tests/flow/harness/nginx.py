"""A real nginx, Debian's, with a configuration and state of its own: TLS, HTTP/2, PROXY protocol."""

from harness.place import AS_ROOT, USER
from harness.ports import reserve_port
from harness.process import Process
from harness.wait import wait_until

CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {path}/nginx.pid;
error_log {path}/nginx-error.log warn;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {path}/nginx-tmp/body; proxy_temp_path {path}/nginx-tmp/proxy;
    fastcgi_temp_path {path}/nginx-tmp/fastcgi; uwsgi_temp_path {path}/nginx-tmp/uwsgi;
    scgi_temp_path {path}/nginx-tmp/scgi;
    log_format seen '{log_format}';
    access_log {path}/nginx-access.log seen;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    sendfile on;
    keepalive_timeout 300;
{servers}
}}
"""

SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl http2 proxy_protocol;
        listen 127.0.0.1:{plain_port} proxy_protocol;
        root {path}/www;
    }}
"""
LOG_FORMAT = '$proxy_protocol_addr:$proxy_protocol_port $server_protocol $ssl_server_name $status "$request"'


class Nginx(Process):
    with_children = True

    def __init__(self, place, cert, key, port=None, servers=None, log_format=LOG_FORMAT):
        self.place, self.port, self.plain_port = place, port or reserve_port(), reserve_port()
        self.www = place.path / "www"
        self.www.mkdir(exist_ok=True)
        (self.www / "index.html").write_text("the website\n")
        place.folder("nginx-tmp")
        config = place.write("nginx.conf", CONFIG.format(
            path=place.path, cert=cert, key=key, log_format=log_format, servers=servers or SERVER.format(
                path=place.path, port=self.port, plain_port=self.plain_port),
            user=f"user {USER} nogroup;" if AS_ROOT else ""))
        super().__init__("nginx", ["/usr/sbin/nginx", "-p", place.path, "-e", place.path / "nginx-error.log", "-c",
                                   config], place.path / "nginx.log")

    def start(self):
        super().start()
        wait_until(lambda: (self.place.path / "nginx.pid").exists() or not self.running(), "nginx starts")
        assert self.running(), self.log_text()
        return self

    def requests(self):
        """The access log: (client's address and port, protocol, SNI, status, request)."""
        path = self.place.path / "nginx-access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(line.split(" ", 4)) for line in lines]

    def wait_request(self, count=1):
        return wait_until(lambda: self.requests() if len(self.requests()) >= count else None,
                          f"nginx logs {count} request(s)")[-1]
