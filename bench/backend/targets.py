"""What the backend is meant to reach, against the better of Prosody and ejabberd."""

from bench.common.targets import Target

PEERS = ("prosody", "ejabberd")
WAYS = {"gateway": "TLS through the gateway", "plain": "no TLS"}


def _both_ways():
    for way, words in WAYS.items():
        for window in 1, 16:
            key, what = f"chat-{window}-{way}", f"chat, {window} at once, {words}"
            yield Target(f"{what}: CPU for each message", key, "cpu_us", "postern", PEERS, 0.20)
            yield Target(f"{what}: throughput", key, "per_s", "postern", PEERS, 3.0, at_most=False)
            yield Target(f"{what}, archived: CPU for each message", f"archive-{window}-{way}", "cpu_us", "postern",
                         (*PEERS, "prosody-sql", "ejabberd-sql"), 0.20)
        yield Target(f"an idle session, {words}: memory", f"idle-{way}", "bytes", "postern", PEERS, 0.36)
        for part, mechanism in ("scram", "SCRAM-SHA-256"), ("plain", "PLAIN"):
            key, what = f"login-{part}-{way}", f"login, {mechanism}, {words}"
            yield Target(f"{what}: CPU", key, "cpu_us", "postern", PEERS, 0.50)
            yield Target(f"{what}: 99th percentile", key, "p99_us", "postern", PEERS, 0.50)
        yield Target(f"presence storm, {words}: CPU", f"presence-{way}", "cpu_us", "postern", PEERS, 0.20)
        yield Target(f"mixed day, {words}: 99th percentile", f"mixed-{way}", "p99_us", "postern", PEERS, 1 / 3)


TARGETS = [
    *_both_ways(),
    Target("an idle session beyond the TLS floor", "idle-gateway", "bytes", "postern", (), 4096, minus="floor"),
    Target("mixed day: wake-ups that do nothing", "vain", "vain_per_s", "postern", (), 0),
    Target("an idle server: memory", "start", "pss_mib", "postern", PEERS, 0.50),
    Target("an idle server: wake-ups", "start", "wakeups_per_s", "postern", (), 0),
    Target("start-up: ready", "start", "ready_ms", "postern", (), 50),
    Target("two shards against one: throughput", "shards", "free_per_s", "postern-2", ("postern-1",), 1.7, at_most=False),
    Target("two shards against one: messages for the busiest one's CPU", "shards", "capacity", "postern-2", ("postern-1",),
           1.7, at_most=False),
    Target("two shards: time in which one waits for a lock", "shards", "locked_percent", "postern-2", (), 0.1),
    *(Target(f"a message to another server, {window} at once: CPU of the server that it {does}", "own-relay",
             f"{way}_{window}_us", "postern", (), 25) for window in (16,) for way, does in (("out", "leaves"), ("in", "comes to"))),
    Target("an idle stream from another server: memory", "own-streams", "in_bytes", "postern", (), 20480),
    Target("an idle stream to another server: memory", "own-streams", "out_bytes", "postern", (), 20480),
    Target("2,000 domains that cannot be reached", "own-unreachable", "percent_of_2000", "postern", (), 0.1),
]
