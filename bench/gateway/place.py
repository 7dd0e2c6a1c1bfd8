"""Where gateways are measured: the ports of their rules, the server behind them, the load generators."""

import json
import pathlib
import ssl
import subprocess
import threading

from bench.common.place import Place
from bench.gateway.contenders import PORTS, RULES, names_of

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


class GatewayPlace(Place):
    def __init__(self, build):
        super().__init__(build)
        self.first_port = self.free_ports(PORTS + 1)
        self.listen = self.first_port + PORTS
        self.rule_hellos = [f"{path}:{path.name.split('-')[0]}" for path in HELLOS.iterdir()
                            if not path.name.startswith(f"{RULES}-")]
        self.bulk_hello = [f"{path}:{RULES}" for path in HELLOS.glob(f"{RULES}-*")]
        self.name_hellos = []
        for rule in range(RULES):
            path = self.folder / f"hello-{rule}"
            path.write_bytes(captured_hello(names_of(rule, 1)[-1]))
            self.name_hellos.append(f"{path}:{rule}")
        self.backend = None

    def start_backend(self, bulk_bytes):
        self.backend = self.spawn("bench-backend", "--first-port", self.first_port, "--ports", PORTS, "--inlet",
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
        return Client(self.spawn(program, *arguments, stdin=subprocess.PIPE), may_break)

    def close(self):
        self.stop_backend()
        super().close()


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
