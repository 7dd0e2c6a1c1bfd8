"""Three machines on one: a client, the gateway and a server, each in a network namespace of its own.

    client 10.99.1.2, fd99:1::2  --  10.99.1.1, fd99:1::1 gateway 10.99.2.1, fd99:2::1  --  10.99.2.2, fd99:2::2 server

The server's way back to the client leads through the gateway, which forwards nothing."""

import ctypes
import os
import subprocess


def possible():
    """Whether this kernel lets us."""
    return subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0


class Networks:
    def __init__(self):
        self.holders = {}
        for name in ("client", "gateway", "server"):
            self.holders[name] = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
                                                  stdout=subprocess.PIPE)
            self.holders[name].stdout.read(1)  # it is there
            self.run(name, "ip", "link", "set", "lo", "up")
        for number, (name, other) in enumerate((("client", "gateway"), ("gateway", "server")), start=1):
            left, right = f"v{number}a", f"v{number}b"
            self.run(name, "ip", "link", "add", left, "type", "veth", "peer", "name", right, "netns",
                     str(self.holders[other].pid))
            ends = ((name, left, "2", "1"), (other, right, "1", "2")) if name == "client" else (
                (name, left, "1", "2"), (other, right, "2", "1"))
            for owner, link, host, _ in ends:
                self.run(owner, "ip", "link", "set", link, "up")
                self.run(owner, "ip", "address", "add", f"10.99.{number}.{host}/24", "dev", link)
                self.run(owner, "ip", "address", "add", f"fd99:{number}::{host}/64", "dev", link, "nodad")
        self.run("client", "ip", "route", "add", "default", "via", "10.99.1.1")
        self.run("client", "ip", "-6", "route", "add", "default", "via", "fd99:1::1")
        self.run("server", "ip", "route", "add", "default", "via", "10.99.2.1")
        self.run("server", "ip", "-6", "route", "add", "default", "via", "fd99:2::1")

    def inside(self, name):
        """The words before a command line that make it run there."""
        return ["nsenter", f"--net=/proc/{self.holders[name].pid}/ns/net"]

    def run(self, name, *command):
        done = subprocess.run([*self.inside(name), *command], capture_output=True, text=True, timeout=30,
                              env={**os.environ, "http_proxy": ""})
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def stop(self):
        for holder in self.holders.values():
            holder.kill()
            holder.wait()
            holder.stdout.close()


CLONE_NEWNET = 0x40000000  # sched.h


class Alone:
    """What is started within has this machine's loopback addresses, and no way to anywhere else:  with Alone(): ..."""

    def __enter__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._check(self.libc.unshare(CLONE_NEWNET))
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return self

    def __exit__(self, *_error):
        self._check(self.libc.setns(self.before, CLONE_NEWNET))
        os.close(self.before)

    @staticmethod
    def _check(result):
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
