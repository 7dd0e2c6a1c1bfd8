"""The programs that are compared: how each is configured, started and stopped, and what it uses.

A configuration is a template in bench/peers; $listen, $port0 to $port10, $folder and some lines are filled in."""

import os
import re
import signal
import socket
import string
import subprocess
import time

from bench.common.accounting import descendants, lives
from bench.common.place import PEERS, group, user

RULES = 10
PORTS = RULES + 1  # one for each rule, and one for what no rule matches
START_SECONDS = 20
STOP_SECONDS = 5


class Contender:
    """One program with one configuration; started anew for each measurement."""

    def __init__(self, name, template, argv, *, log_off="", log_on="", user_line="", text=None, fixed=None,
                 idle_count=None, breaks=False):
        self.name, self.template, self.argv, self.text = name, template, argv, text
        self.log_off, self.log_on, self.user_line = log_off, log_on, user_line
        self.fixed = fixed or {}
        self.idle_count = idle_count  # as many as it can hold, if that is fewer than others
        self.breaks = breaks  # some connections, when several come at once: they are counted, and not its others
        self.process = None

    def start(self, place, logs=False):
        log_lines = self.log_on if logs else self.log_off
        values = {"listen": place.listen, "folder": place.folder, "log_lines": log_lines, "pem": place.pem,
                  "log_target": "log stdout format raw local0 info" if logs else "",
                  "user_line": self.user_line if user() else "", "names": "", **self.fixed}
        values |= {f"port{i}": place.first_port + i for i in range(PORTS)}
        values = {key: string.Template(str(value)).safe_substitute(folder=place.folder)
                  for key, value in values.items()}
        template = self.text or (PEERS / self.template).read_text()
        config = place.folder / f"{self.name}.conf"
        config.write_text(string.Template(template).substitute(values))
        argv = [string.Template(str(word)).substitute(config=config, **values) for word in self.argv]
        self.output = open(place.folder / f"{self.name}.out", "wb")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
                                        preexec_fn=lambda: os.sched_setaffinity(0, place.server_cpus))
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", place.listen), timeout=1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    said = (place.folder / f"{self.name}.out").read_text(errors="replace")
                    raise SystemExit(f"{self.name} did not start:\n{said}")
                time.sleep(0.02)
        time.sleep(0.1)  # the connection above is over, and so is what follows a start
        self.pids = descendants(self.process.pid)

    def stop(self):
        if self.process is None:
            return
        pids = descendants(self.process.pid) if self.process.poll() is None else []
        self.process.send_signal(signal.SIGINT if self.name.startswith("postern") else signal.SIGTERM)
        # Not the first process alone: a worker that lives on would go on taking connections at its port.
        end = time.monotonic() + STOP_SECONDS
        while any(lives(pid) for pid in pids):
            self.process.poll()
            if time.monotonic() > end:
                for pid in filter(lives, pids):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        self.process.wait()
        self.process = None
        self.output.close()


class Direct:
    """No gateway: clients reach the backend itself.  What a connection costs that is accepted, answered and closed."""

    name = "direct"
    idle_count, breaks = None, False

    def start(self, place, logs=False):
        self.pids = [place.backend.pid]

    def stop(self):
        pass


def names_config(count):
    """Ten routes with so many names in all; the name that is asked for is the last of its route."""
    text = re.sub(r'^route .*?^}\n', "", (PEERS / "postern.conf").read_text(), flags=re.M | re.S)
    for rule in range(RULES):
        names = [f'"{name}"' for name in names_of(rule, count // RULES)]
        text += f'route "r{rule}" {{\n    sni = {{{", ".join(names)}}}\n    proxy = "b{rule}"\n}}\n'
    return text


def names_of(rule, count):
    return [f"host-{number}.zone-{rule}.example.test" for number in range(count, 0, -1)]


def postern(build, name="postern", template="postern.conf", **more):
    return Contender(name, template, [build / "postern-gateway", "-c", "$config"], log_off="level = warn",
                     log_on='level = info\n    file = "$folder/postern.log"', user_line='user = "nobody"', **more)


def all_contenders(build):
    gid = group() if user() else ""
    return {
        "postern": postern(build),
        "postern-handoff": postern(build, "postern-handoff", "postern-handoff.conf"),
        "postern-10-names": postern(build, "postern-10-names", text=names_config(10)),
        "postern-10000-names": postern(build, "postern-10000-names", text=names_config(10000)),
        "bare": Contender("bare", None, [build / "bench/bench-bare", "$listen", "$port0"], text=" "),
        "haproxy": Contender("haproxy", "haproxy.cfg", ["haproxy", "-db", "-f", "$config"],
                             log_on="log global\n    option tcplog", user_line=f"user nobody\n    group {gid}"),
        "nginx": Contender("nginx", "nginx.conf", ["nginx", "-c", "$config"], log_off="access_log off;",
                           log_on="log_format line '$remote_addr [$time_iso8601] $status $bytes_sent $bytes_received "
                                  "$session_time \"$upstream_addr\" \"$ssl_preread_alpn_protocols\"';\n"
                                  "    access_log $folder/nginx.log line;",
                           user_line=f"user nobody {gid};"),
        # It waits with select(2), which knows 1,024 descriptors.  Version 1.20 takes the readiness of a descriptor
        # that it has closed for that of a new one with the same number.
        "sslh": Contender("sslh", "sslh.cfg", ["sslh-select", "-f", "-F$config"], user_line='user: "nobody";',
                          idle_count=400, breaks=True),
        "postern-tls": postern(build, "postern-tls", "postern-tls.conf"),
        "haproxy-tls": Contender("haproxy-tls", "haproxy-tls.cfg", ["haproxy", "-db", "-f", "$config"],
                                 user_line=f"user nobody\n    group {gid}"),
        "hitch": Contender("hitch", "hitch.conf", ["hitch", "--config", "$config"],
                           user_line=f'user = "nobody"\ngroup = "{gid}"'),
        "direct": Direct(),
    }
