"""A server to proxy to that records what the gateway sends it."""

import socket
import threading

from harness.wait import PATIENCE_S


class Upstream:
    """Accepts connections and hands each to serve(sock) on a thread of its own; made errors fail the test at close."""

    def __init__(self, serve, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.serve, self.errors = serve, []
        self.socket = socket.socket(family)
        self.socket.bind(address)
        self.socket.listen(128)
        self.address = self.socket.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S)
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            with sock:
                self.serve(sock)
        except Exception as error:  # reported by the test's thread
            self.errors.append(error)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        assert not self.errors, self.errors
