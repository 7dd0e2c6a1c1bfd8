"""A name server, Debian's NSD, with the records that a test gives it; signed ones, too.

    with Nameserver(place) as dns:
        dns.publish(["b.test. A 127.0.0.2", "_xmpp-server._tcp.b.test. SRV 0 0 5269 b.test."],
                    signed={"c.test": ["@ A 127.0.0.3", "_5269._tcp TLSA 3 1 1 …"]})
        backend = Backend(place, dns.resolver() + …)
        dns.publish([…])        # from now on, and nothing else
        dns.stop()              # DNS fails; start() ends that

Whatever is not published does not exist, in any domain.  Recorder stands before it and tells what was asked for."""

import collections
import select
import socket
import struct
import subprocess
import threading

from harness.ports import reserve_port
from harness.process import Process
from harness.tcp import read_exactly
from harness.wait import wait_until

CONFIG = """
server:
  ip-address: {address}@{port}
  zonesdir: "{folder}"
  username: ""
  chroot: ""
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
{zones}
"""

ZONE = """zone:
  name: "{name}"
  zonefile: "{file}"
"""

# What is there, and what is not, is remembered for a second.
HEAD = """$ORIGIN {origin}
$TTL 1
@ SOA ns.nameserver-of-the-tests. root.nameserver-of-the-tests. {serial} 3600 600 86400 1
@ NS ns.nameserver-of-the-tests.
"""


class Nameserver(Process):
    with_children = True

    def __init__(self, place, address="127.0.0.20", port=None):
        self.folder = place.path / f"nsd-{address}"
        self.folder.mkdir()
        self.address, self.port = address, port or reserve_port()
        self.serial, self.signed, self.keys = 0, {}, {}
        self.anchor = self.folder / "anchor"
        self.anchor.write_text("")
        super().__init__("nsd", ["/usr/sbin/nsd", "-d", "-c", self.folder / "nsd.conf"], self.folder / "nsd.log")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error):
        self.kill()

    def resolver(self, extra="", port=None, address=None):
        """The section of a configuration of ours by which this server is asked, and validated."""
        dnssec = f'trust-anchor = "{self.anchor}"' if self.keys else "dnssec = false"
        return (f'resolver {{ servers = "{address or self.address}:{port or self.port}" hosts = "{self.folder}/hosts" '
                f"{dnssec} {extra} }}\n")

    def publish(self, records, signed=None):
        """These records, and no others: lines of a zone file with absolute names.  signed: by zone, lines with names
        relative to it."""
        self.serial += 1
        self._write("root.zone", ".", ["ns.nameserver-of-the-tests. A 127.0.0.1", *records])
        self.signed = signed or {}
        for zone, lines in self.signed.items():
            self._write(f"{zone}.plain", f"{zone}.", lines)
            self._sign(zone)
        zones = [ZONE.format(name=".", file="root.zone"), *(ZONE.format(name=zone, file=f"{zone}.zone")
                                                            for zone in self.signed)]
        (self.folder / "nsd.conf").write_text(CONFIG.format(
            address=self.address, port=self.port, folder=self.folder, zones="".join(zones)))
        self.anchor.write_text("".join((self.folder / f"{key}.key").read_text() for key in self.keys.values()))
        if self.running():  # a new zone needs a new server, and takes no longer
            self.stop()
            self.start()

    def _write(self, name, origin, lines):
        text = HEAD.format(origin=origin, serial=self.serial) + "\n".join(lines) + "\n"
        (self.folder / name).write_text(text)

    def _run(self, *words):
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _sign(self, zone):
        if zone not in self.keys:
            self.keys[zone] = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone)
        self._run("ldns-signzone", "-n", "-f", f"{zone}.zone", f"{zone}.plain", self.keys[zone])

    def forge(self, zone, old, new):
        """Replace a text in what was signed, without signing it again, until the next publish()."""
        path = self.folder / f"{zone}.zone"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
        self.stop()
        self.start()

    def start(self):
        if not (self.folder / "nsd.conf").exists():
            self.publish([])
        super().start()
        wait_until(lambda: self._answers() or not self.running(), "nsd answers")
        assert self.running(), self.log_text()
        return self

    def stop(self, expect=0):
        """Its children are not waited for by itself, and answer on for a moment."""
        super().stop(expect)
        self.kill()
        wait_until(self._is_free, "nobody has its port")

    def _is_free(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((self.address, self.port))
            except OSError:
                return False
            return True

    def _answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.05)
            sock.connect((self.address, self.port))
            try:
                sock.send(struct.pack("!6HBHH", 1, 0, 1, 0, 0, 0, 0, 6, 1))  # ". SOA"
                return len(sock.recv(4096)) > 12
            except OSError:
                return False


Question = collections.namedtuple("Question", "name type")


def read_question(packet):
    """The question of a message of DNS, its name in lower case."""
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
        at += 1 + packet[at]
    return Question(".".join(labels), struct.unpack("!H", packet[at + 1:at + 3])[0])


class Recorder:
    """Takes questions for a name server and keeps them in questions; without one it never answers."""

    def __init__(self, nameserver=None, address="127.0.0.21"):
        self.nameserver, self.address, self.port = nameserver, address, reserve_port()
        self.questions = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, self.port))
        self.listener = socket.create_server((address, self.port))  # for long answers
        self.wake, self.woken = socket.socketpair()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.wake.close()
        self.thread.join()
        self.sock.close()
        self.listener.close()
        self.woken.close()

    def asked(self, ending):
        """The questions for names that end so."""
        return [question for question in self.questions if question.name.endswith(ending)]

    def _serve(self):
        while True:
            ready = select.select([self.sock, self.listener, self.woken], [], [])[0]
            if self.woken in ready:
                return
            if self.listener in ready:
                self._pass_on_stream()
                continue
            packet, peer = self.sock.recvfrom(65535)
            self.questions.append(read_question(packet))
            if self.nameserver:
                self._pass_on(packet, peer)

    def _pass_on_stream(self):
        peer = self.listener.accept()[0]
        with peer, socket.create_connection((self.nameserver.address, self.nameserver.port)) as sock:
            for source, target in ((peer, sock), (sock, peer)):
                length = read_exactly(source, 2)
                packet = read_exactly(source, *struct.unpack("!H", length))
                if source is peer:
                    self.questions.append(read_question(packet))
                target.sendall(length + packet)

    def _pass_on(self, packet, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            try:
                sock.connect((self.nameserver.address, self.nameserver.port))
                sock.send(packet)
                self.sock.sendto(sock.recv(65535), peer)
            except OSError:
                pass  # no answer, then
