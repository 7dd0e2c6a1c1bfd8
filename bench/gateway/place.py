"""Where measurements take place: a folder, ports, the backends, the load generators, and the cores of each."""

import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading

from contenders import PORTS, RULES, free_ports, names_of

CLIENT_SECONDS = 90  # far more than any load generator needs
HELLOS = pathlib.Path(__file__).resolve().parent / "hellos"


def captured_hello(name):
    """The ClientHello that OpenSSL sends for a server name."""
    context = ssl.create_default_context()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(into, out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError


class Place:
    def __init__(self, build):
        self.generators = build / "bench"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench-"))
        self.folder.chmod(0o755)
        cpus = sorted(os.sched_getaffinity(0))
        # The program under test has a core of its own; everything else shares the others.
        self.server_cpus, self.other_cpus = {cpus[0]}, set(cpus[1:]) or {cpus[0]}
        self.first_port = free_ports(PORTS + 1)
        self.listen = self.first_port + PORTS
        self.pem = self.folder / "certificate.pem"
        self.make_certificate()
        self.rule_hellos = [f"{path}:{path.name.split('-')[0]}" for path in HELLOS.iterdir()
                            if not path.name.startswith(f"{RULES}-")]
        self.bulk_hello = [f"{path}:{RULES}" for path in HELLOS.glob(f"{RULES}-*")]
        self.name_hellos = []
        for rule in range(RULES):
            path = self.folder / f"hello-{rule}"
            path.write_bytes(captured_hello(names_of(rule, 1)[-1]))
            self.name_hellos.append(f"{path}:{rule}")
        self.backend = None

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=example.test", "-addext", "subjectAltName=DNS:example.test",
                        "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"],
                       check=True, capture_output=True)
        self.pem.write_text((self.folder / "cert.pem").read_text() + (self.folder / "key.pem").read_text())
        self.pem.chmod(0o600)

    def _spawn(self, program, *arguments, **more):
        return subprocess.Popen([self.generators / program, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                                preexec_fn=lambda: os.sched_setaffinity(0, self.other_cpus), **more)

    def start_backend(self, bulk_bytes):
        self.backend = self._spawn("bench-backend", "--first-port", self.first_port, "--ports", PORTS, "--inlet",
                                   self.folder / "inlet", *(["--bulk", bulk_bytes] if bulk_bytes else []))
        if self.backend.stdout.readline() != "ready\n":
            raise SystemExit("the backend did not start")
        for path in self.folder.glob("inlet.*"):
            path.chmod(0o777)

    def stop_backend(self):
        if self.backend is not None:
            self.backend.kill()
            self.backend.wait()
            self.backend = None

    def client(self, program, mode, *, requests=(), to=None, may_break=False, **options):
        arguments = [mode, "--to", f"127.0.0.1:{to or self.listen}"]
        for request in requests:
            arguments += ["--request", request]
        for name, value in options.items():
            arguments += ["--" + name.replace("_", "-"), value]
        return Client(self._spawn(program, *arguments, stdin=subprocess.PIPE), may_break)

    def close(self):
        self.stop_backend()
        shutil.rmtree(self.folder)


class Client:
    """A load generator that waits for us at each of its steps."""

    def __init__(self, process, may_break):
        self.process, self.may_break = process, may_break
        # What hangs is ended, and what waits for it then fails.
        self.watchdog = threading.Timer(CLIENT_SECONDS, process.kill)
        self.watchdog.daemon = True
        self.watchdog.start()

    def expect(self, line):
        got = self.process.stdout.readline().strip()
        if got != line:
            self.process.kill()
            self.process.wait()
            raise SystemExit(f"a load generator failed: it said '{got}', not '{line}'")

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        line = self.process.stdout.readline()
        self.process.wait()
        self.watchdog.cancel()
        if not line:
            raise SystemExit("a load generator failed")
        found = json.loads(line)
        if found["wrong"] or found["broken"] and not self.may_break:
            raise SystemExit(f"connections failed: {line}")
        return found
