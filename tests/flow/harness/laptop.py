"""A laptop that is set up by the commands of docs/recipes/tor.md, as they stand there.

Paths and ports are its own.  sudo runs the command, apt-get has tor already, and systemctl has the test start the
servers.  Tor itself is one of harness.tor_network, or played: PlayedTor."""

import os
import re
import string
import subprocess
import threading

from harness.onion import onion_name
from harness.ports import reserve_port
from harness.postern import Backend
from harness.process import BIN
from harness.recipe import RECIPES, Recipe
from harness.stage import Actor
from harness.wait import PATIENCE_S

SHIMS = {
    "sudo": 'exec "$@"',
    "apt-get": '[ "$*" = "install tor" ]',
    "systemctl": 'echo "$*" >{place}/asked && read -r answer <{place}/answer && [ "$answer" = done ]',
    "posternctl": 'exec {bin}/posternctl -c {place}/backend.conf "$@"',
}


class Laptop:
    """tor has config (its torrc), folder (for /var/lib/tor), socks (the port of its proxy) and start().  extra: lines
    for backend.conf that the recipe does not have."""

    def __init__(self, place, tor, extra=""):
        self.place, self.tor, self.recipe, self.extra = place, tor, Recipe("tor.md"), extra
        self.c2s, self.telephone = reserve_port(), reserve_port()
        self.paths = {"/etc/tor/torrc": tor.config, "/var/lib/tor": tor.folder,
                      "/usr/share/doc/postern/examples": place.path / "examples",
                      "/etc/postern/backend.conf": place.path / "backend.conf"}
        self.addresses = {"[::1]:5269": f"[::1]:{reserve_port()}", "127.0.0.1:5222": f"127.0.0.1:{self.c2s}",
                          "127.0.0.1:5224": f"127.0.0.1:{self.telephone}", "127.0.0.1:9050": f"127.0.0.1:{tor.socks}"}
        self.backend = Backend(place, "")
        self.backend.config.unlink()  # the recipe writes it
        self.environment = {**os.environ, "PATH": f"{self._shims()}:{os.environ['PATH']}"}
        (place.path / "examples").mkdir()
        for name in ("torrc-onion.example", "backend-onion.conf.example"):
            place.write(f"examples/{name}", self._here((RECIPES.parents[1] / "conf" / name).read_text()))

    def _here(self, text):
        """With this laptop's own paths and ports."""
        for old, new in {**self.paths, **self.addresses}.items():
            text = text.replace(old, str(new))
        return text

    def _shims(self):
        folder = self.place.path / "bin"
        folder.mkdir()
        for fifo in ("asked", "answer"):
            os.mkfifo(self.place.path / fifo)
        for name, text in SHIMS.items():
            self.place.write(f"bin/{name}", f"#!/bin/sh\n{text.format(place=self.place.path, bin=BIN)}\n", 0o755)
        return folder

    def _serve_systemctl(self):
        words = (self.place.path / "asked").read_text().strip()
        try:
            {"restart tor@default": self.tor.start, "enable --now postern-backend": self._start_backend}[words]()
            answer = "done"
        except Exception as error:  # of whatever kind: the command must end, and fails
            answer = repr(error).replace("\n", " ")
        (self.place.path / "answer").write_text(answer + "\n")

    def _start_backend(self):
        """With folders and a user that are there, and without the harness's own default."""
        text = self.backend.config.read_text().replace('user = "postern"\n', "")
        self.backend.configure(f"s2s = true\n{self.extra}{text}")
        self.backend.start()

    def run(self, command, stdin=""):
        """One line of the recipe; what it prints."""
        for _ in re.findall(r"\bsystemctl\b", command):
            threading.Thread(target=self._serve_systemctl, daemon=True).start()
        done = subprocess.run(["bash", "-euc", self._here(command)], input=stdin, capture_output=True, text=True,
                              env=self.environment, cwd=self.place.path, timeout=4 * PATIENCE_S)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def set_up(self, password):
        """All of them; the last one asks for a password."""
        for command in self.recipe.commands:
            self.run(command, password + "\n")
        return self

    @property
    def domain(self):
        return (self.tor.folder / "postern/hostname").read_text().strip()

    def connect(self):
        """A client's connection, before anything of XMPP."""
        return Actor("127.0.0.1", self.c2s)

    def kill(self):
        self.backend.kill()


class PlayedTor:
    """Tor as far as a laptop sees it: proxy (harness.socks5) leads to the onion service's port."""

    def __init__(self, place, proxy, letter):
        self.config, self.folder, self.proxy, self.socks = place.path / "torrc", place.path / "tor", proxy, proxy.port
        self.name = onion_name(letter)
        assert letter in string.ascii_lowercase + "234567"
        self.config.write_text("# As Debian installs it\n")

    def start(self):
        """Do what the torrc says."""
        options = dict(line.split(None, 1) for line in self.config.read_text().splitlines()
                       if line and not line.startswith("#"))
        assert options.pop("HiddenServiceExportCircuitID") == "haproxy"
        folder, (port, target) = options.pop("HiddenServiceDir"), options.pop("HiddenServicePort").split()
        assert (folder, port, options) == (f"{self.folder}/postern", "5269", {})
        os.makedirs(folder)
        with open(f"{folder}/hostname", "w") as file:
            file.write(self.name + "\n")
        host, port = target.rsplit(":", 1)
        self.proxy.ways[self.name] = (host.strip("[]"), int(port))
