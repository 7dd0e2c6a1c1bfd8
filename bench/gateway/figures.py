"""What is measured: each figure is a way to load a contender, and the values that come of it."""

import time

from bench.common import result, rounds
from bench.common.accounting import cpu_ns, private_bytes

SETTLE_SECONDS = 0.1  # the last connections are closed a moment after the client has its reply


class Figure:
    """measure(place, contender) returns {metric: value}; metrics are declared with (title, unit, lower is better)."""

    title, contenders, metrics, bulk_bytes, logs = "", (), {}, 0, False  # contenders: their names

    def __init__(self, key, size):
        self.key, self.size, self.rounds, self.parameters = key, size, size["rounds"], size

    def measure(self, place, contender):
        raise NotImplementedError

    def run(self, session, count):
        """(figures, notes), of the contenders that take part."""
        chosen = session.contenders_of(self)
        found = {contender.name: [] for contender in chosen}
        session.place.start_backend(self.bulk_bytes)
        try:
            for number, contender in rounds.take_turns(chosen, count):
                contender.start(session.place, self.logs)
                try:
                    values = self.measure(session.place, contender)
                finally:
                    contender.stop()
                found[contender.name].append(values)
                rounds.show(self.key, number, count, contender.name, values)
        finally:
            session.place.stop_backend()
        return {self.key: result.figure(self.title, self.metrics, found)}, {}

    def shares(self, place, pids, run):
        """Calls run() and returns (result, CPU of the program under test in ns, how busy each side was)."""
        before, backend_before = cpu_ns(pids), cpu_ns([place.backend.pid])
        result = run()
        time.sleep(SETTLE_SECONDS)
        used, backend_used = cpu_ns(pids) - before, cpu_ns([place.backend.pid]) - backend_before
        wall = result["wall_ns"]
        busy = {"server_busy": used / wall, "generators_busy": (result["cpu_ns"] + backend_used) / wall}
        return result, used, busy

    def run_client(self, client):
        client.go()
        return client.result()


class Connections(Figure):
    metrics = {"us": ("CPU for each connection", "us", True)}

    def __init__(self, key, size, title, contenders, requests="rule_hellos", logs=False):
        super().__init__(key, size)
        self.title, self.contenders, self.requests, self.logs = title, contenders, requests, logs

    def measure(self, place, contender):
        count = self.size["connections"]
        direct = contender.name == "direct"
        client = place.client("bench-client", "closed", to=place.first_port if direct else None,
                              requests=[f"{text.rpartition(':')[0]}:0" if direct else text
                                        for text in getattr(place, self.requests)],
                              count=count, concurrency=32, warm_up=count // 10, may_break=contender.breaks)
        client.expect("ready")
        result, used, busy = self.shares(place, contender.pids, lambda: self.run_client(client))
        return {"us": used / result["done"] / 1000, "broken": result["broken"], **busy}


class Bulk(Figure):
    metrics = {"gb_per_s": ("throughput", "GB/s", False), "cpu_s_per_gb": ("CPU for each GB", "s", True)}

    def __init__(self, key, size, streams, contenders):
        super().__init__(key, size)
        self.title = f"bulk relay, {streams} stream{'s' if streams > 1 else ''}"
        self.streams, self.contenders = streams, contenders
        self.bulk_bytes = size["bulk_bytes"] // streams

    def measure(self, place, contender):
        client = place.client("bench-client", "bulk", requests=place.bulk_hello, count=self.streams,
                              bytes=self.bulk_bytes)
        client.expect("ready")
        result, used, busy = self.shares(place, contender.pids, lambda: self.run_client(client))
        gigabytes = self.bulk_bytes * self.streams / 1e9
        return {"gb_per_s": gigabytes / (result["wall_ns"] / 1e9), "cpu_s_per_gb": used / 1e9 / gigabytes, **busy}


class Idle(Figure):
    metrics = {"bytes": ("private memory for each connection", "bytes", True)}

    def __init__(self, key, size, title, contenders, program="bench-client"):
        super().__init__(key, size)
        self.title, self.contenders, self.program = title, contenders, program

    def client(self, place, count):
        more = {"requests": place.rule_hellos} if self.program == "bench-client" else {}
        return place.client(self.program, "idle", count=count, concurrency=32, **more)

    def hold(self, place, count, look):
        client = self.client(place, count)
        client.expect("ready")
        client.go()
        client.expect("open")
        time.sleep(SETTLE_SECONDS)
        seen = look()
        client.go()
        client.result()
        return seen

    def measure(self, place, contender):
        count = contender.idle_count or self.size["idle"]
        # What the first connections need once and for all is not theirs alone.
        self.hold(place, min(100, count), lambda: None)
        time.sleep(SETTLE_SECONDS)
        before = private_bytes(contender.pids)
        after = self.hold(place, count, lambda: private_bytes(contender.pids))
        return {"bytes": (after - before) / count, "connections": count}


class FirstByte(Figure):
    metrics = {"p99_us": ("99th percentile of the time to the first byte", "us", True)}

    def __init__(self, key, size, contenders):
        super().__init__(key, size)
        self.title, self.contenders = f"{size['rate']} new connections each second", contenders

    def measure(self, place, contender):
        direct = contender.name == "direct"
        client = place.client("bench-client", "open", to=place.first_port if direct else None,
                              requests=[f"{text.rpartition(':')[0]}:0" if direct else text
                                        for text in place.rule_hellos],
                              rate=self.size["rate"], seconds=self.size["seconds"], warm_up=500,
                              may_break=contender.breaks)
        client.expect("ready")
        result, used, busy = self.shares(place, contender.pids, lambda: self.run_client(client))
        return {"p99_us": result["first_byte_p99_us"], "p50_us": result["first_byte_p50_us"],
                "late_p99_us": result["late_p99_us"], "broken": result["broken"], **busy}


class Handshakes(Figure):
    metrics = {"per_s": ("handshakes for each second of CPU", "1/s", False)}

    def __init__(self, key, size, mode, contenders):
        super().__init__(key, size)
        self.title = f"TLS 1.3 handshakes, {'new' if mode == 'full' else 'resumed'}"
        self.mode, self.contenders = mode, contenders

    def measure(self, place, contender):
        count = self.size["handshakes"]
        client = place.client("bench-tls-client", self.mode, count=count, concurrency=16, warm_up=max(count // 10, 64))
        client.expect("ready")
        result, used, busy = self.shares(place, contender.pids, lambda: self.run_client(client))
        return {"per_s": count / (used / 1e9), **busy}


SIZES = {
    "full": {"rounds": 7, "connections": 6000, "bulk_bytes": 2 << 30, "idle": 5000, "rate": 5000, "seconds": 3,
             "handshakes": 2000},
    "quick": {"rounds": 3, "connections": 3000, "bulk_bytes": 1 << 30, "idle": 5000, "rate": 5000, "seconds": 2,
              "handshakes": 1000},
    "smoke": {"rounds": 1, "connections": 100, "bulk_bytes": 16 << 20, "idle": 50, "rate": 200, "seconds": 1,
              "handshakes": 50},
}


def all_figures(size):
    peers = ("haproxy", "nginx", "sslh")
    relays = ("postern", *peers)
    terminators = ("postern-tls", "haproxy-tls", "hitch")
    return [
        Connections("connection", size, "a proxied connection, without logs", (*relays, "postern-handoff", "bare", "direct")),
        Connections("connection-logged", size, "a proxied connection, with a line in a log file for each",
                    ("postern", "haproxy", "nginx")),
        Bulk("bulk-1", size, 1, relays),
        Bulk("bulk-4", size, 4, relays),
        Idle("idle", size, "idle proxied connections", relays),
        Connections("names", size, "a proxied connection, routed by name", ("postern-10-names", "postern-10000-names"),
                    requests="name_hellos"),
        FirstByte("first-byte", size, (*relays, "direct")),
        Handshakes("tls-new", size, "full", terminators),
        Handshakes("tls-resumed", size, "resumed", terminators),
        Idle("tls-idle", size, "idle terminated connections", terminators, program="bench-tls-client"),
    ]
