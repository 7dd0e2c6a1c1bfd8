"""What the logs hold: one line for each event in the chosen form, and never a secret or what people write."""

import asyncio
import json
import re
import socket

from harness.client import Client
from harness.process import Process
from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.site import DOMAIN, PASSWORDS, XMPPS
from harness.wait import wait_until

BODY = "the-text-of-a-private-message"


def test_debug_logs_hold_no_password_and_no_message(own_site):
    site = own_site(backend_extra="log { level = debug }", gateway_extra="log { level = debug }").start()

    async def run():
        juliet = Client(f"juliet@{DOMAIN}", PASSWORDS["juliet"], site.cert, mechanism="PLAIN")
        romeo = Client(f"romeo@{DOMAIN}", PASSWORDS["romeo"], site.cert)
        async with juliet, romeo:
            await juliet.connect_to("127.0.0.1", site.port, sni=XMPPS)
            await romeo.connect_to("127.0.0.1", site.port, sni=XMPPS)
            await juliet.chat(romeo, BODY)

    asyncio.run(run())
    with RawClient("127.0.0.1", site.port) as raw:
        raw.start_tls(sni=XMPPS)
        raw.open(DOMAIN)
        try:
            raw.authenticate("juliet", "a-wrong-password", "PLAIN")
        except AuthenticationFailed:
            pass
    site.backend.wait_log(event="stream_end")
    for text in (site.backend.log_text(), site.gateway.log_text()):
        assert "level=debug" in text
        for secret in (*PASSWORDS.values(), BODY, "a-wrong-password"):
            assert secret not in text


def test_json_lines_without_addresses(own_site):
    site = own_site(gateway_extra="log { format = json addresses = none }")
    site.gateway.start()
    site.curl(f"https://{XMPPS}/")
    line = site.gateway.close_lines()[0]
    assert (line["level"], line["reason"], line["peer"]) == ("info", "backend_unavailable", "-")
    assert all(isinstance(json.loads(text), dict) for text in site.gateway.log_text().splitlines())


class SyslogDaemon:
    """What listens at /dev/log elsewhere."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.start()

    def start(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)

    def stop(self):
        self.socket.close()
        self.path.unlink()

    def wait(self, part):
        while True:
            line = self.socket.recv(8192).decode()
            self.lines.append(line)
            if part in line:
                return line


def test_syslog(own_site, place):
    path = place.path / "syslog"
    daemon = SyslogDaemon(path)
    site = own_site(gateway_extra=f'log {{ syslog = local3  syslog-socket = "{path}" }}')
    Process.start(site.gateway)
    ready = daemon.wait("event=ready")
    local3_info = 19 * 8 + 6
    assert re.match(rf"<{local3_info}>\w\w\w [ \d]\d \d\d:\d\d:\d\d postern-gateway\[\d+\]: level=info event=ready ", ready)
    site.curl(f"https://{XMPPS}/")
    assert "reason=backend_unavailable" in daemon.wait("event=close")
    daemon.stop()
    site.curl(f"https://{XMPPS}/")
    wait_until(lambda: site.gateway.stats()[""]["close_backend_unavailable"] == 2, "the end of the connection")
    daemon.start()
    site.curl(f"https://{XMPPS}/")
    daemon.wait("event=close")
    lost = daemon.wait("event=log_lost")
    assert int(re.search(r"lines=(\d+)", lost)[1]) >= 1
    assert site.gateway.log_text() == ""
    daemon.socket.close()
