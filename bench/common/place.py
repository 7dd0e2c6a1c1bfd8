"""Where measurements take place: a folder, a certificate, ports, the user of the programs, and the cores of each."""

import grp
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "bench" / "peers"


def user():
    """The user that programs which are started as root change to."""
    return "nobody" if os.geteuid() == 0 else None


def group():
    return grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name


def free_ports(count):
    """The first of so many TCP ports in a row that are free, below those that the kernel gives to clients."""
    for first in range(20000 + os.getpid() % 5000, 32000, count):
        sockets = []
        try:
            for port in range(first, first + count):
                one = socket.socket()
                sockets.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise SystemExit("no free ports")


class Place:
    domain = "example.test"

    def __init__(self, build):
        self.build, self.generators = build, build / "bench"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench-"))
        self.folder.chmod(0o755)
        cpus = sorted(os.sched_getaffinity(0))
        # The program under test has a core of its own; everything else shares the others.
        self.server_cpus, self.other_cpus = {cpus[0]}, set(cpus[1:]) or {cpus[0]}
        self.cert, self.key, self.pem = (self.folder / name for name in ("cert.pem", "key.pem", "certificate.pem"))
        self._make_certificate()

    def free_ports(self, count):
        return free_ports(count)

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", f"/CN={self.domain}", "-addext", f"subjectAltName=DNS:{self.domain}",
                        "-keyout", self.key, "-out", self.cert], check=True, capture_output=True)
        self.pem.write_text(self.cert.read_text() + self.key.read_text())
        self.pem.chmod(0o600)

    def spawn(self, program, *arguments, **more):
        """Start a load generator, or what else is not under test."""
        return subprocess.Popen([self.generators / program, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                                preexec_fn=lambda: os.sched_setaffinity(0, self.other_cpus), **more)

    def close(self):
        shutil.rmtree(self.folder)
