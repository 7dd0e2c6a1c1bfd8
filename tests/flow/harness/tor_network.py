"""A Tor network of our own on loopback, made of Debian's tor: three directory authorities and two more relays, which
together are the least that onion services work with, and as many clients with an onion service as are asked for.

Nobody in it knows of any other network: the authorities are named in each configuration, relays let nobody out, and
every address is 127.0.0.1.  Source: tor(1), TestingTorNetwork."""

import re
import subprocess
import time
import urllib.request

from harness.ports import reserve_port
from harness.process import Process
from harness.tcp import listens
from harness.wait import wait_until

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
AUTHORITIES, RELAYS = 3, 2
BOOT_S = 180

COMMON = """
TestingTorNetwork 1
DataDirectory {folder}
Nickname {name}
Log notice stdout
SafeLogging 0
ShutdownWaitLength 0
ControlPort 0
NumCPUs 1
LearnCircuitBuildTimeout 0
PathsNeededToBuildCircuits 0.67
VanguardsLiteEnabled 0
{authorities}
"""

# The first vote within twenty seconds, then each minute: services change the places where they can be looked up
# after 24 votes, and are hard to find for some time then.
VOTING = """
TestingV3AuthInitialVotingInterval 20
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 60
V3AuthVoteDelay 2
V3AuthDistDelay 2
"""

RELAY = """
Address 127.0.0.1
ORPort 127.0.0.1:{or_port}
SocksPort 0
ExitPolicy reject *:*
AssumeReachable 1
ServerDNSDetectHijacking 0
ServerDNSResolvConfFile {resolv}
ServerDNSAllowBrokenConfig 1
"""

AUTHORITY = """
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
DirPort 127.0.0.1:{dir_port}
ContactInfo nobody@localhost
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteExit *
TestingMinExitFlagThreshold 0
"""


class Tor(Process):
    def __init__(self, place, name):
        self.place, self.nickname = place, name
        self.folder = place.path / name
        self.folder.mkdir(mode=0o700)
        self.config = place.path / f"{name}.torrc"
        super().__init__(name, ["tor", "--defaults-torrc", place.path / "no-defaults", "-f", self.config, "--hush"],
                         place.path / f"{name}.log")

    def configure(self, authorities, *parts):
        common = COMMON.format(folder=self.folder, name=self.nickname, authorities=authorities)
        self.config.write_text("\n".join((common, VOTING, *parts)))
        return self


def run(*command, stdin=None):
    return subprocess.run([str(word) for word in command], input=stdin, capture_output=True, text=True, timeout=120,
                          check=True).stdout


class Relay(Tor):
    def __init__(self, place, name):
        super().__init__(place, name)
        self.or_port = reserve_port()
        self.options = RELAY.format(or_port=self.or_port, resolv=place.write("resolv.conf", "nameserver 127.0.0.1\n"))


class Authority(Relay):
    def __init__(self, place, name):
        super().__init__(place, name)
        self.dir_port = reserve_port()
        self.options += AUTHORITY.format(dir_port=self.dir_port)

    def line(self):
        """What everybody's configuration says of it.  Makes its keys."""
        keys = self.folder / "keys"
        keys.mkdir(mode=0o700)
        run("tor-gencert", "--create-identity-key", "--passphrase-fd", "0", "-m", "12", "-a",
            f"127.0.0.1:{self.dir_port}", "-i", keys / "authority_identity_key", "-s", keys / "authority_signing_key",
            "-c", keys / "authority_certificate", stdin="none\n")
        v3 = re.search(r"^fingerprint (\w+)", (keys / "authority_certificate").read_text(), re.M)[1]
        # Its own line may name any key: this run only makes that of the relay, and shows it.
        self.configure(f"DirAuthority {self.nickname} orport={self.or_port} v3ident={v3} 127.0.0.1:{self.dir_port} "
                       + "F" * 40, self.options)
        told = run("tor", "--list-fingerprint", "--defaults-torrc", self.place.path / "no-defaults", "-f", self.config,
                   "--hush", "--quiet")
        mine = told.split(None, 1)[1].replace(" ", "").strip()
        return f"DirAuthority {self.nickname} orport={self.or_port} v3ident={v3} 127.0.0.1:{self.dir_port} {mine}"


class Onion(Tor):
    """A client; services may be added to its torrc, config, as to anybody's."""

    def __init__(self, place, name):
        super().__init__(place, name)
        self.socks = reserve_port()
        self.options = f"SocksPort 127.0.0.1:{self.socks}\nClientOnly 1\n"

    def start(self):
        """Until it has made the names of its services, as systemctl waits for it; it has no circuits yet."""
        super().start()
        wait_until(lambda: "Bootstrapped 0%" in self.log_text() or not self.running(), f"{self.name} starts")
        assert self.running(), self.log_text()[-3000:]
        return self

    def is_bootstrapped(self):
        """Whether it can build circuits."""
        return self.running() and "Bootstrapped 100%" in self.log_text()


class TorNetwork:
    def __init__(self, place):
        self.place = place
        self.relays = [Authority(place, f"auth{number}") for number in range(AUTHORITIES)]
        self.authorities = "\n".join(one.line() for one in self.relays)
        self.relays += [Relay(place, f"relay{number}") for number in range(RELAYS)]
        self.clients = []
        for one in self.relays:
            one.configure(self.authorities, one.options)

    def start(self):
        """Until all relays are known to all: who came earlier would make do with some of them.  The first vote, 4 s
        before the time that its result is for, has to know all, or the next one has to be waited for."""
        wait_until(lambda: time.time() % 20 < 1, "the first vote is far away")
        for one in self.relays:
            one.start()
            wait_until(lambda one=one: listens(one.or_port) or not one.running(), f"{one.name} listens")
        wait_until(lambda: all(map(self._knows_all, self.relays[:AUTHORITIES])), "a consensus has all relays", BOOT_S)
        return self

    def _knows_all(self, authority):
        assert authority.running(), authority.log_text()[-3000:]
        try:
            with OPENER.open(f"http://127.0.0.1:{authority.dir_port}/tor/status-vote/current/consensus") as answer:
                flags = re.findall(r"^s (.*)$", answer.read().decode(), re.M)
        except OSError:  # there is none yet
            return False
        return len(flags) == len(self.relays) and all({"HSDir", "Running", "Fast"} <= set(f.split()) for f in flags)

    def onion(self, place, name="tor"):
        """A client, configured and not started."""
        one = Onion(place, name)
        one.configure(self.authorities, one.options)
        self.clients.append(one)
        return one

    def stop(self):
        for one in self.clients + self.relays:
            one.kill()
