"""Free ports that no other test run on this machine will take.

The gateway listens with SO_REUSEPORT, so two runs that chose the same port would silently share it: each port is
reserved by a lock for the life of this process.  The range lies below that of the kernel's own choices."""

import fcntl
import os
import random
import socket
import tempfile

FIRST, LAST = 20000, 32000
_locks = []  # kept open: the lock lives as long as the descriptor


def _is_free(port):
    """For TCP and UDP."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(family, kind) as probe:
                    probe.bind((host, port))
        except OSError as error:
            if family == socket.AF_INET or error.errno == 98:  # EADDRINUSE; an address may be missing
                return False
    return True


def reserve_port(first=FIRST, last=LAST):
    folder = os.path.join(tempfile.gettempdir(), f"postern-test-ports-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for port in random.sample(range(first, last), min(500, last - first)):
        lock = open(os.path.join(folder, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if _is_free(port):
            _locks.append(lock)
            return port
        lock.close()
    raise RuntimeError("no free port")


def reserve_address():
    """An address of this machine that no other test run uses, for ports that cannot be chosen."""
    port = reserve_port()
    return f"127.100.{port >> 8}.{port & 255}"
