"""The gateway, the backend and posternctl of the build under test."""

import json
import os
import re
import socket
import subprocess
from collections import Counter, defaultdict

from harness.place import USER
from harness.process import BIN, Process
from harness.wait import PATIENCE_S


def run(program, *arguments, stdin=""):
    """Run one of our programs to its end; the completed process."""
    return subprocess.run([BIN / program, *map(str, arguments)], input=stdin, text=True, capture_output=True,
                          timeout=60)


class Server(Process):
    """A program of ours with a configuration file in a place."""

    def __init__(self, place, name, program, text, common):
        self.place, self.program, self.common = place, program, common
        self.config = place.path / f"{name}.conf"
        self.configure(text)
        super().__init__(name, [BIN / program, "-c", self.config], place.path / f"{name}.log")
        self.starts = 0

    def configure(self, text):
        self.place.write(self.config.name, self.common + text)

    def start(self):
        super().start()
        self.starts += 1
        self.wait_log(count=self.starts, event="ready")
        return self

    def control_call(self, command, **args):
        """One request to the control socket, as posternctl makes it; its result."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE_S)
            sock.connect(str(self.control))
            sock.sendall(json.dumps({"command": command, "args": args}).encode() + b"\n")
            line = sock.makefile().readline()
        assert line.endswith("\n"), f"{command} was not answered"
        answer = json.loads(line)
        assert answer["ok"], answer
        return answer["result"]


class Gateway(Server):
    def __init__(self, place, text, name="gateway"):
        self.control = place.path / f"{name}.sock"
        common = (f'lock-file = "{place.path}/{name}.lock"\ncontrol-socket = "{self.control}"\n'
                  f"{place.user_line()}")
        super().__init__(place, name, "postern-gateway", text, common)

    def _ask(self, what):
        done = run("posternctl", "--json", "--gateway", self.config, "gateway", what)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def stats(self):
        """Counters: {"": {name: value}, route: {name: value}}; what is not told is 0."""
        told = {label: Counter(values) for label, values in self._ask("stats").items()}
        return defaultdict(Counter, told)

    def status(self):
        """{"pid": …, "workers": [{"pid": …}]}"""
        return self._ask("status")

    def close_lines(self, count=1, **wanted):
        self.wait_log(count=count, event="close", **wanted)
        return self.log(event="close", **wanted)


class Backend(Server):
    """With as many shards as $POSTERN_TEST_SHARDS says, and without other servers, where the test itself does not say
    it."""

    def __init__(self, place, text, name="backend"):
        self.run_dir, self.state_dir = place.folder(f"{name}-run"), place.folder(f"{name}-state")
        self.control = self.run_dir / "control.sock"
        self.inlet, self.terminated = self.run_dir / "inlet.sock", self.run_dir / "terminated.sock"
        common = f'run-dir = "{self.run_dir}"\nstate-dir = "{self.state_dir}"\n{place.user_line()}'
        if USER:
            common += f'gateway-user = "{USER}"\n'
        super().__init__(place, name, "postern-backend", text, common)

    def configure(self, text):
        shards = os.environ.get("POSTERN_TEST_SHARDS")
        if shards and not re.search(r"^\s*shards\s*=", text, re.M):
            text = f"shards = {shards}\n{text}"
        super().configure(text if re.search(r"^\s*s2s\s*=", text, re.M) else f"s2s = false\n{text}")

    def ctl(self, *arguments, stdin="", status=0):
        """Run posternctl for this backend; its standard output, once the exit status is the expected one."""
        done = run("posternctl", "-c", self.config, *arguments, stdin=stdin)
        assert done.returncode == status, f"posternctl {arguments}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stderr

    def retry(self, domain):
        """Try another server at once, unless an attempt is under way at this moment, or has just succeeded."""
        run("posternctl", "-c", self.config, "s2s", "retry", domain)

    def counter(self, name):
        return json.loads(self.ctl("--json", "status"))["counters"][name]

    def add_user(self, jid, password):
        """Of a server that runs without a process for each."""
        if self.running():
            self.control_call("adduser", jid=jid, password=password)
        else:
            self.ctl("adduser", jid, stdin=password + "\n")
