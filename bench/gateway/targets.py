"""What the gateway is meant to reach, each as a ratio of two medians of the same run."""

# (title, figure, metric, ours, against, limit, at_most): ours / best of against must be at most (or at least) limit.
TARGETS = [
    ("CPU for each proxied connection", "connection", "us", "postern", ("haproxy", "nginx", "sslh"), 0.80, True),
    ("the same, with a line in a log file for each", "connection-logged", "us", "postern", ("haproxy", "nginx"), 0.80,
     True),
    ("CPU for each handed-off connection, against proxied ones", "connection", "us", "postern-handoff",
     ("haproxy", "nginx", "sslh"), 0.30, True),
    ("bulk relay, 1 stream: throughput", "bulk-1", "gb_per_s", "postern", ("haproxy", "nginx", "sslh"), 1.05, False),
    ("bulk relay, 1 stream: CPU for each GB", "bulk-1", "cpu_s_per_gb", "postern", ("haproxy", "nginx", "sslh"), 0.90,
     True),
    ("bulk relay, 4 streams: throughput", "bulk-4", "gb_per_s", "postern", ("haproxy", "nginx", "sslh"), 1.05, False),
    ("bulk relay, 4 streams: CPU for each GB", "bulk-4", "cpu_s_per_gb", "postern", ("haproxy", "nginx", "sslh"), 0.90,
     True),
    ("user-space memory for each idle proxied connection", "idle", "bytes", "postern", None, 600, True),
    ("CPU for each connection, 10,000 names against 10", "names", "us", "postern-10000-names", ("postern-10-names",),
     1.05, True),
    ("time to the first byte, 99th percentile", "first-byte", "p99_us", "postern", ("haproxy", "nginx", "sslh"), 1.0,
     True),
    ("TLS 1.3 handshakes for each second of CPU, new", "tls-new", "per_s", "postern-tls", ("haproxy-tls", "hitch"), 1.0,
     False),
    ("TLS 1.3 handshakes for each second of CPU, resumed", "tls-resumed", "per_s", "postern-tls",
     ("haproxy-tls", "hitch"), 1.0, False),
    ("memory for each idle terminated connection", "tls-idle", "bytes", "postern-tls", ("haproxy-tls", "hitch"), 0.80,
     True),
]


def best(values, lower_is_better):
    """The name of the best of {name: value}."""
    return (min if lower_is_better else max)(values, key=values.get)


def verdicts(figures):
    """For each target that was measured: (title, ours, theirs, best peer, ratio or value, limit, at_most, reached)."""
    for title, key, metric, ours, against, limit, at_most in TARGETS:
        medians = figures.get(key, {}).get("medians", {})
        if ours not in medians:
            continue
        value = medians[ours][metric]
        if against is None:
            yield title, value, None, None, value, limit, at_most, value <= limit
            continue
        lower = figures[key]["metrics"][metric]["lower_is_better"]
        # Who breaks connections does less than the others, so it is shown, and not compared with.
        others = {name: medians[name][metric] for name in against
                  if name in medians and not medians[name].get("broken")}
        if not others:
            continue
        name = best(others, lower)
        ratio = value / others[name]
        yield title, value, others[name], name, ratio, limit, at_most, ratio <= limit if at_most else ratio >= limit
