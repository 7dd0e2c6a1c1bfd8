"""Connect many times, send the same few bytes each time, and hold on to all of it:

    silent.py PORT COUNT SOURCE [HEX]

Prints "held" once all are connected, and ends, with everything, when its standard input does."""

import os
import resource
import select
import socket
import sys

IP_BIND_ADDRESS_NO_PORT = 24  # see tcp.py

port, count, source = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
first = bytes.fromhex(sys.argv[4]) if len(sys.argv) > 4 else b""

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 64), hard))
socks, poller, waiting = [], select.epoll(), set()
for _ in range(count):
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
    if sock.connect_ex(("127.0.0.1", port)) != 0:
        waiting.add(sock.fileno())
        poller.register(sock, select.EPOLLOUT)
    elif first:
        sock.send(first)
    socks.append(sock)
    while len(waiting) > 500 or (waiting and len(socks) == count):
        for fd, _ in poller.poll(60) or sys.exit("not accepted in time"):
            waiting.discard(fd)
            poller.unregister(fd)
            if first:
                os.write(fd, first)
print("held", flush=True)
sys.stdin.read()
