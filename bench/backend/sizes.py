"""How much is measured: for figures that stand, for a quick look, and only to see that everything still works."""

def _day(faster):
    """How long, in seconds, each user takes from one thing to the next of its kind."""
    return {"letters": 120 / faster, "presences": 600 / faster, "queries": 300 / faster, "logins": 3600 / faster,
            "keepalives": 60 / faster}


DAY, BUSY_DAY, HECTIC_DAY = _day(1), _day(10), _day(120)
FULL = {
    "rounds": 5,
    "chat": {"seconds": 2},
    "archive": {"seconds": 2},
    "login": {"users": 1000, "contacts": 20},
    "presence": {"users": 1000, "contacts": 50, "seconds": 10},
    "mixed": {"users": 5000, "contacts": 20, "seconds": 120, "every": DAY},
    "vain": {"users": 1000, "contacts": 20, "seconds": 30, "every": DAY},
    "idle": {"sessions": 1000, "contacts": 20, "first": 100, "per_second": 100, "seconds": 60, "settle": 5},
    "start": {"seconds": 60},
    "shards": {"seconds": 4},
    "own-sm": {"seconds": 2},
    "own-relay": {"messages": 16000, "warm_up": 208},
    "own-streams": {"first": 50, "streams": 300, "settle": 1},
    "own-unreachable": {"first": 200, "domains": 2000, "seconds": 30},
    "own-roster": {"times": 200},
    "own-offline": {"messages": 90},
}
QUICK = FULL | {
    "rounds": 2,
    "chat": {"seconds": 1},
    "archive": {"seconds": 1},
    "login": {"users": 400, "contacts": 20},
    "presence": {"users": 400, "contacts": 50, "seconds": 10},
    "mixed": {"users": 1000, "contacts": 20, "seconds": 15, "every": BUSY_DAY},
    "vain": {"users": 400, "contacts": 20, "seconds": 15, "every": BUSY_DAY},
    "idle": {"sessions": 400, "contacts": 20, "first": 50, "per_second": 100, "seconds": 20, "settle": 2},
    "start": {"seconds": 10},
    "shards": {"seconds": 1},
    "own-sm": {"seconds": 1},
    "own-relay": {"messages": 4000, "warm_up": 208},
    "own-streams": {"first": 50, "streams": 75, "settle": 1},
    "own-unreachable": {"first": 200, "domains": 1000, "seconds": 10},
    "own-roster": {"times": 50},
}
SMOKE = {
    "rounds": 1,
    "chat": {"seconds": 0.05},
    "archive": {"seconds": 0.05},
    "login": {"users": 30, "contacts": 10},
    "presence": {"users": 30, "contacts": 10, "seconds": 0.1},
    "mixed": {"users": 30, "contacts": 10, "seconds": 1, "every": HECTIC_DAY},
    "vain": {"users": 30, "contacts": 10, "seconds": 1, "every": HECTIC_DAY},
    "idle": {"sessions": 30, "contacts": 10, "first": 10, "per_second": 100, "seconds": 1, "settle": 0.1},
    "start": {"seconds": 1},
    "shards": {"seconds": 0.05},
    "own-sm": {"seconds": 0.05},
    "own-relay": {"messages": 32, "warm_up": 16},
    "own-streams": {"first": 2, "streams": 2, "settle": 0.1},
    "own-unreachable": {"first": 50, "domains": 50, "seconds": 1},
    "own-roster": {"times": 2},
    "own-offline": {"messages": 5},
}
SIZES = {"full": FULL, "quick": QUICK, "smoke": SMOKE}
