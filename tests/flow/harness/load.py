"""Clients that come and go all the time, and count how often they are let down."""

import socket
import threading
import time

from harness.tcp import connect
from harness.wait import PATIENCE_S, wait_until


class Load:
    """Threads that make one short connection after another; failed holds what went wrong."""

    def __init__(self, port, request, answer, clients=4):
        self.port, self.request, self.answer = port, request, answer
        self.done, self.failed, self.stopping = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(f"127.0.3.{i + 1}",), daemon=True)
                        for i in range(clients)]

    def _once(self, source):
        with connect(self.port, source=source) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(self.request)
            data = b""
            while self.answer not in data:
                part = sock.recv(65536)
                if not part:
                    raise ConnectionError(f"ended after {data[:100]!r}")
                data += part

    def _run(self, source):
        while not self.stopping:
            start = time.monotonic()
            try:
                self._once(source)
            except OSError as error:
                with self.lock:
                    self.failed.append((error, time.monotonic() - start))
            else:
                with self.lock:
                    self.done += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait(1)
        return self

    def wait(self, count):
        """Until so many more connections were served."""
        wanted = self.done + count
        wait_until(lambda: self.done >= wanted or self.failed, f"{count} more connections")

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join(PATIENCE_S)
