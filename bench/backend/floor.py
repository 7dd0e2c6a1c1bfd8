"""The TLS floor: what a session takes of a server that has nothing else (bench-tls-floor)."""

import os
import subprocess
import time

from bench.common.accounting import memory

AT_ONCE = 16


class Holder:
    """bench-tls-client with so many sessions, until it is let go of."""

    def __init__(self, place, port, count):
        self.process = place.spawn("bench-tls-client", "idle", "--to", f"127.0.0.1:{port}", "--count", count,
                                   "--concurrency", AT_ONCE, "--cipher", "TLS_AES_128_GCM_SHA256", stdin=subprocess.PIPE)
        self._step("ready")
        self._step("open", go_on=False)

    def _step(self, word, go_on=True):
        if self.process.stdout.readline().strip() != word:
            raise SystemExit("bench-tls-client failed")
        if go_on:
            self._go()

    def _go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def close(self):
        self._go()
        self.process.stdout.read()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def measure(place, first, count, settle):
    """{"bytes": of each session}, of count beyond what the first ones have filled."""
    port = place.free_ports(1)
    server = place.spawn("bench-tls-floor", "--port", port, "--certificate", place.cert, "--key", place.key)
    try:
        os.sched_setaffinity(server.pid, place.server_cpus)
        server.stdout.readline()
        Holder(place, port, first).close()
        time.sleep(settle)
        before = memory([server.pid])["Pss"]
        holder = Holder(place, port, count)
        time.sleep(settle)
        used = memory([server.pid])
        holder.close()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    return {"bytes": (used["Pss"] - before) / count, "pss_mib": used["Pss"] / 2**20, "swapped_bytes": used["SwapPss"]}
