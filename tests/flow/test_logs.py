"""What the logs hold: one line for each event in the chosen form, and never a secret or what people write."""

import asyncio
import json
import re
import signal
import socket

from harness.client import Client
from harness.postern import Backend, Gateway
from harness.process import Process, parse_logfmt
from harness.rawxmpp import AuthenticationFailed, RawClient
from harness.site import DOMAIN, PASSWORDS, XMPPS
from harness.wait import PATIENCE_S, wait_until

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
        self.socket.settimeout(PATIENCE_S)
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


def events(path):
    return [parse_logfmt(line).get("event") for line in path.read_text().splitlines()]


def rename(folder, stems):
    for stem in stems:
        (folder / f"{stem}.log").rename(folder / f"{stem}.old")


def test_every_place_at_once_each_with_its_level(own_site, place):
    """A file, an error file, the log daemon and standard error, of either program; both files are opened anew when they
    were moved away."""
    daemon = SyslogDaemon(place.path / "syslog")
    folder = place.folder("logs")
    log = ('log {{ file = "{folder}/{name}.log" file-level = debug error-file = "{folder}/{name}-errors.log" stderr = true '
           f'stderr-level = warn syslog = daemon syslog-level = info syslog-socket = "{daemon.path}" }}}}\n')
    site = own_site(backend_extra=log.format(folder=folder, name="backend"),
                    gateway_extra=log.format(folder=folder, name="gateway"))
    Process.start(site.backend)
    Process.start(site.gateway)
    while not {"postern-backend", "postern-gateway"} <= {name for line in daemon.lines if "event=ready" in line
                                                         for name in re.findall(r"postern-\w+", line)}:
        assert "level=debug" not in daemon.wait("event=")
    site.backend.configure("nonsense")
    for server in (site.backend, site.gateway):
        server.signal(signal.SIGHUP)
    assert "level=error" in daemon.wait("event=reload_failed")
    assert events(folder / "backend-errors.log") == events(site.backend.log_path) == ["reload_failed"]
    assert "ready" in events(folder / "backend.log") and "ready" in events(folder / "gateway.log")
    stems = ("backend", "backend-errors", "gateway", "gateway-errors")
    rename(folder, stems)
    for server in (site.backend, site.gateway):
        server.signal(signal.SIGUSR1)
    wait_until(lambda: all((folder / f"{stem}.log").exists() for stem in stems), "the files are there again")
    site.gateway.control_call("connections")  # asks the workers, behind the word that the file is another one
    with RawClient("127.0.0.1", site.port) as raw:
        raw.start_tls(sni=XMPPS)
        raw.open(DOMAIN)
    wait_until(lambda: "stream_end" in events(folder / "backend.log"), "the backend writes on")
    wait_until(lambda: "handed_off" in (folder / "gateway.log").read_text(), "the gateway's workers write on")
    assert "stream_state" in events(folder / "backend.log") and events(folder / "backend-errors.log") == []
    daemon.stop()


def test_one_file_cannot_be_two(place):
    for make, name in ((Backend, "backend"), (Gateway, "gateway")):
        server = make(place, 'log { file = "/a" error-file = "/a" }\nhost "a.test" { certificate = "c" key = "k" }\n'
                      if make is Backend else 'log { file = "/a" error-file = "/a" }\n', name=name)
        Process.start(server)
        assert server.popen.wait(30) != 0
        assert "error-file: expected another file" in server.log_text()
