"""What the gateway is meant to reach."""

from bench.common.targets import Target

PROXIES = ("haproxy", "nginx", "sslh")
TERMINATORS = ("haproxy-tls", "hitch")

TARGETS = [
    Target("CPU for each proxied connection", "connection", "us", "postern", PROXIES, 0.80),
    Target("the same, with a line in a log file for each", "connection-logged", "us", "postern", ("haproxy", "nginx"), 0.80),
    Target("CPU for each handed-off connection, against proxied ones", "connection", "us", "postern-handoff", PROXIES, 0.30),
    Target("bulk relay, 1 stream: throughput", "bulk-1", "gb_per_s", "postern", PROXIES, 1.05, at_most=False),
    Target("bulk relay, 1 stream: CPU for each GB", "bulk-1", "cpu_s_per_gb", "postern", PROXIES, 0.90),
    Target("bulk relay, 4 streams: throughput", "bulk-4", "gb_per_s", "postern", PROXIES, 1.05, at_most=False),
    Target("bulk relay, 4 streams: CPU for each GB", "bulk-4", "cpu_s_per_gb", "postern", PROXIES, 0.90),
    Target("user-space memory for each idle proxied connection", "idle", "bytes", "postern", (), 600),
    Target("CPU for each connection, 10,000 names against 10", "names", "us", "postern-10000-names",
           ("postern-10-names",), 1.05),
    Target("time to the first byte, 99th percentile", "first-byte", "p99_us", "postern", PROXIES, 1.0),
    Target("TLS 1.3 handshakes for each second of CPU, new", "tls-new", "per_s", "postern-tls", TERMINATORS, 1.0,
           at_most=False),
    Target("TLS 1.3 handshakes for each second of CPU, resumed", "tls-resumed", "per_s", "postern-tls", TERMINATORS, 1.0,
           at_most=False),
    Target("memory for each idle terminated connection", "tls-idle", "bytes", "postern-tls", TERMINATORS, 0.80),
]
