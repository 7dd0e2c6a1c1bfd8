"""The servers that are compared: Postern, and Prosody and ejabberd of Debian, each behind a gateway of its own."""

import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

from bench.backend import erlang
from bench.backend.home import Home
from bench.common.accounting import descendants, lives

START_SECONDS, STOP_SECONDS, ATTEMPTS = 60, 20, 3
HOST = "127.0.0.1"
BUSY_WAIT_OFF = ("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
HEADER = ("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
          "to='{domain}' version='1.0'>")


def _package(name):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True).stdout


class NotServing(Exception):
    """A program ended, or did not answer in time."""


class Program:
    """A process of a contender, with all that it starts."""

    def __init__(self, argv, home, cpus, environment=None):
        self.output = home.path / "output"
        with open(self.output, "ab") as output:
            self.began = time.monotonic()
            self.popen = subprocess.Popen(
                [*home.become(), *map(str, argv)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=home.path,
                env=environment, preexec_fn=lambda: self._prepare(cpus))

    @staticmethod
    def _prepare(cpus):
        os.sched_setaffinity(0, cpus)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def pids(self):
        return descendants(self.popen.pid)

    def wait(self, answers):
        """Until answers() is true; ms since the program was started."""
        while not answers():
            if self.popen.poll() is not None or time.monotonic() > self.began + START_SECONDS:
                raise NotServing(f"{self.popen.args} does not serve:\n{self.output.read_text(errors='replace')[-3000:]}")
            time.sleep(0.0005)
        return (time.monotonic() - self.began) * 1000

    def stop(self, number=signal.SIGTERM):
        """Not the first process alone: one that lives on would keep the ports."""
        pids = self.pids() if self.popen.poll() is None else []
        self.popen.send_signal(number)
        end = time.monotonic() + STOP_SECONDS
        while any(map(lives, pids)):
            self.popen.poll()
            if time.monotonic() > end:
                for pid in filter(lives, pids):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        self.popen.wait()


class Contender:
    """plain and gateway are (address, port, "none" or "direct") once it has started; direct is its own port for TLS.
    durability says when an archived message is safe on the disk, as seen with strace."""

    server = template = durability = None

    def __init__(self, build, name=None):
        self.build, self.name = pathlib.Path(build), name or self.server
        self.home = self.front_home = self.program = self.front = self.ready_ms = None

    def start(self, place, population, archive=False, shards=1):
        """Returns when it answers, and so does the gateway before it."""
        for left in reversed(range(ATTEMPTS)):
            try:
                return self._start(place, population, archive, shards)
            except NotServing as why:
                self.stop()
                if "in use" not in str(why) or not left:
                    raise SystemExit(why) from None  # else somebody else took one of the ports
            except BaseException:
                self.stop()
                raise

    def _start(self, place, population, archive, shards):
        port = place.free_ports(4)
        self.plain, self.direct, self.gateway = (HOST, port, "none"), (HOST, port + 1, "direct"), (HOST, port + 2, "direct")
        self.home = Home(place.folder / self.server, self.server)
        self.home.certificate(place)
        population.put(place, self.server, self.home.path / "store")
        config = self.home.configure(self.template, place, plain_port=port, tls_port=port + 1, **self.values(archive, shards))
        self.prepare()
        self.home.own()
        argv, environment = self.command(config, port + 3)
        self.program = Program(argv, self.home, place.server_cpus, environment)
        self.ready_ms = self.program.wait(lambda: self._answers(place.domain))
        self._start_front(place)

    def _answers(self, domain):
        """Whether it has accepted a stream, by the features that it sends."""
        try:
            with socket.create_connection(self.plain[:2], timeout=START_SECONDS) as sock:
                sock.sendall(HEADER.format(domain=domain).encode())
                got = b""
                while b"features>" not in got:
                    more = sock.recv(8192)
                    if not more:
                        return False
                    got += more
                return True
        except OSError:
            return False

    def _start_front(self, place):
        self.front_home = Home(place.folder / "gateway", "gateway")
        target, way = self.front_lines()
        config = self.front_home.configure("postern-front.conf", place, gateway_port=self.gateway[1], target=target, way=way)
        self.front_home.own()
        self.front = Program([self.build / "postern-gateway", "-c", config], self.front_home, place.other_cpus)
        self.front.wait(self._front_listens)

    def _front_listens(self):
        try:
            socket.create_connection(self.gateway[:2]).close()
            return True
        except OSError:
            return False

    def front_lines(self):
        """The gateway's: where clients go, and how."""
        return f'upstream "server" {{\n    server = "{HOST}:{self.direct[1]}"\n}}', 'proxy = "server"'

    def prepare(self):
        """What else its home needs."""

    def pids(self):
        return self.program.pids()

    def gateway_pids(self):
        return self.front.pids()

    def stop(self):
        for name in "front", "program":
            program = getattr(self, name)
            if program is not None:
                program.stop()
                setattr(self, name, None)
        for name in "front_home", "home":
            home = getattr(self, name)
            if home is not None:
                home.remove()
                setattr(self, name, None)


class Postern(Contender):
    server, template = "postern", "postern-backend.conf"
    durability = "both copies synced, in one commit with others, before the sender's client is told that it arrived"

    @property
    def version(self):
        return subprocess.run([self.build / "postern-backend", "-V"], capture_output=True, text=True).stdout.split("\n")[0]

    def values(self, archive, shards):
        return {"shards": shards, "archive_line": "archive = true" if archive else "archive = false"}

    def prepare(self):
        (self.home.path / "run").mkdir(mode=0o700)

    def command(self, config, _port):
        return [self.build / "postern-backend", "-c", config], None

    def front_lines(self):
        return f'backend "server" {{\n    inlet = "{self.home.path}/run/inlet.sock"\n}}', 'handoff = "server"'


class Prosody(Contender):
    server, template = "prosody", "prosody.cfg.lua"
    durability = "both copies written to files before delivery, never synced: lost with the machine's power"
    storage = 'storage = {{ archive = "internal" }}'
    # Of the collectors of Lua 5.4 this one takes half of the other's time, for half as much memory again
    # (prosody.im/doc/advanced_gc).
    collector = 'gc = { mode = "generational" }'

    @property
    def version(self):
        lua = subprocess.run(["lua5.4", "-v"], capture_output=True, text=True).stdout.split(" ")[1]
        return f"{_package('prosody')}, Lua {lua}"

    def values(self, archive, _shards):
        lines = self.storage.format(home=self.home.path) + "\ndefault_archive_policy = true"
        return {"collector": self.collector, "archive_module": '"mam";' if archive else "",
                "archive_lines": lines if archive else ""}

    def command(self, config, _port):
        return ["prosody", "-F", "--config", config], None


class ProsodySmall(Prosody):
    """With the collector that it has by default, which takes less memory."""

    collector = ""


class ProsodySql(Prosody):
    """Its archive in SQLite, as its documentation has it."""

    durability = "each copy in a synced transaction of its own, before delivery"
    storage = ('storage = {{ archive = "sql" }}\n'
               'sql = {{ driver = "SQLite3"; database = "{home}/store/archive.sqlite" }}')


class Ejabberd(Contender):
    server, template = "ejabberd", "ejabberd.yml"
    durability = "both copies written to mnesia's files, not synced within seconds: lost with the machine's power"
    database, lines, environment = "mnesia", "", {}

    @property
    def version(self):
        return f"{_package('ejabberd')}, Erlang {_package('erlang-base')}"

    def values(self, archive, _shards):
        module = f"  mod_mam:\n    default: always\n    db_type: {self.database}"
        return {"archive_module": module if archive else "",
                "archive_lines": self.lines.format(home=self.home.path) if archive else ""}

    def command(self, _config, port):
        command = erlang.command(self.home, port, *BUSY_WAIT_OFF)
        return [*command, "-s", "ejabberd"], erlang.environment(self.home) | self.environment


class EjabberdSmall(Ejabberd):
    """Every collection is a whole one, which leaves half of the memory for some more CPU time."""

    environment = {"ERL_FULLSWEEP_AFTER": "0"}


class EjabberdSql(Ejabberd):
    """Its archive in SQLite, which its documentation prefers to mnesia for large ones."""

    durability = "each copy in a synced transaction of its own"
    database, lines = "sql", 'sql_type: sqlite\nsql_database: "{home}/store/archive.sqlite"'


def all_contenders(build):
    """Each with the store that costs it least, and as it takes the least CPU time."""
    return {kind.server: kind(build) for kind in (Postern, Prosody, Ejabberd)}


def small_contenders(build):
    """Each as it takes the least memory."""
    return {kind.server: kind(build) for kind in (Postern, ProsodySmall, EjabberdSmall)}


def durable_contenders(build):
    """The archives of the others where they are as durable as Postern's."""
    return {name: kind(build, name) for name, kind in (("prosody-sql", ProsodySql), ("ejabberd-sql", EjabberdSql))}
