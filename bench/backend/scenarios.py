"""What is measured of all servers alike: each scenario starts a server anew, drives it, and reads what it used."""

import time

from bench.backend import floor, latency
from bench.backend.drive import Generator, Meter
from bench.backend.population import Population
from bench.common import result, rounds
from bench.common.accounting import memory, reclaimed, switches

AT_ONCE = 16         # logins under way
WARM_UP_SECONDS = 0.3  # a run that takes so long says how many fill the time that is wanted


def quantiles(of):
    return {key: (f"{of}, {words}", "us", True)
            for key, words in (("p50_us", "half of them"), ("p99_us", "99 %"), ("p999_us", "99.9 %"))}


class Scenario:
    """metrics(part): {key: (title, unit, lower is better)}; measure(place, contender, way): {part: values}, part being a
    part of the scenario with a table of its own ("" if it has but one)."""

    key = title = ""
    population, archive = None, False
    ways_matter = True  # whether it is measured through the gateway and plainly
    alone = False       # Postern, without peers
    small = False       # each as it takes the least memory

    def __init__(self, sizes):
        self.parameters = sizes[self.key] if self.key in sizes else {}
        self.size, self.rounds = self.parameters, sizes["rounds"]

    def measure(self, place, contender, way):
        raise NotImplementedError

    def name_of(self, part, way):
        return "-".join(filter(None, (self.key, part, way if self.ways_matter else "")))

    def title_of(self, part, way):
        words = f"{self.title}{self.parts[part]}" if part else self.title
        how = {"gateway": ", over TLS through the gateway", "plain": ", without TLS"}
        return words + (how[way] if self.ways_matter else "")

    def contenders(self, session):
        return session.small_contenders() if self.small else session.contenders(self.alone)

    def extra(self, place, way):
        """{name: {part: values}}: what is measured beside the servers in each round."""
        return {}

    def run(self, session, count):
        ways = session.ways if self.ways_matter else ["plain"]
        found = {}

        def keep(number, name, way, values_of_parts):
            for part, values in values_of_parts.items():
                found.setdefault((part, way), {}).setdefault(name, []).append(values)
                rounds.show(self.name_of(part, way), number, count, name, values)

        contenders = self.contenders(session)
        for number, (contender, way) in rounds.take_turns([(one, way) for way in ways for one in contenders], count):
            before = reclaimed()
            contender.start(session.place, self.population, archive=self.archive)
            try:
                values_of_parts = self.measure(session.place, contender, way)
            finally:
                contender.stop()
            pages = reclaimed() - before
            for values in values_of_parts.values():
                values["reclaimed_pages"] = pages
            keep(number, contender.name, way, values_of_parts)
            if contender is contenders[0]:
                for name, values in self.extra(session.place, way).items():
                    keep(number, name, way, values)
        return {self.name_of(part, way): self.figure(part, way, of_contenders)
                for (part, way), of_contenders in found.items()}, self.notes(contenders)

    def figure(self, part, way, of_contenders):
        curves = latency.take_curves(of_contenders)
        more = {"percents": latency.PERCENTS, "curves": curves} if curves else {}
        metrics = self.metrics(part)
        if way == "plain":
            metrics.pop("gateway_cpu_us", None)
        return result.figure(self.title_of(part, way), metrics, of_contenders, **more)

    def notes(self, contenders):
        return {}


class Chat(Scenario):
    key, title = "chat", "one-to-one chat of 100 users"
    population = Population(100, 20)
    windows, generator_options = (1, 16), ()
    parts = {str(window): f", {window} at once in each pair" for window in windows}

    def metrics(self, part):
        return {"cpu_us": ("CPU for each message", "us", True), "per_s": ("throughput", "1/s", False),
                **quantiles("latency"), "gateway_cpu_us": ("CPU of the gateway", "us", True),
                "wakeups": ("wake-ups for each", "", True)}

    def measure(self, place, contender, way):
        users = self.population.users
        found = {}
        with Generator(place, getattr(contender, way), options=self.generator_options) as generator:
            come_online(generator, self.population)
            for window in self.windows_for(contender):
                count = fitting_count(generator, users // 2, window, self.size["seconds"])
                meter = Meter(contender)
                answer = generator.ask("chat", users // 2, window, count)
                found[str(window)] = meter.read(answer, answer["count"]) | latency.values(answer["latency"])
            generator.ask("logout")
        return found


    def windows_for(self, contender):
        return self.windows


class Archive(Chat):
    key, title, archive = "archive", "the same, every message kept in both archives", True

    def contenders(self, session):
        self.durable = session.durable_contenders()
        return session.contenders() + self.durable

    def windows_for(self, contender):
        """With a synced transaction for each copy they would not answer for minutes when 800 are under way."""
        return self.windows[:1] if contender in self.durable else self.windows

    def notes(self, contenders):
        return {contender.name: contender.durability + (" (only with 1 at once)" if contender in self.durable else "")
                for contender in contenders}


class Login(Scenario):
    key, title = "login", "login storm"
    mechanisms = {"scram": "SCRAM-SHA-256", "plain": "PLAIN"}
    parts = {part: f", {mechanism}, {AT_ONCE} at once" for part, mechanism in mechanisms.items()}

    def __init__(self, sizes):
        super().__init__(sizes)
        self.population = Population(self.size["users"], self.size["contacts"])

    def metrics(self, part):
        return {"cpu_us": ("CPU for each login", "us", True), "per_s": ("throughput", "1/s", False), **quantiles("a login"),
                "gateway_cpu_us": ("CPU of the gateway", "us", True)}

    def measure(self, place, contender, way):
        found = {}
        for part, mechanism in self.mechanisms.items():
            with Generator(place, getattr(contender, way), mechanism) as generator:
                generator.ask("login", 0, AT_ONCE, AT_ONCE)  # the first ones pay for what all share
                generator.ask("logout")
                found[part] = self._storm(generator, contender)
                if found[part]["derived"]:  # a client that has not been here before computes its key
                    found[part] = self._storm(generator, contender)
        return found

    def _storm(self, generator, contender):
        meter = Meter(contender)
        answer = generator.ask("login", 0, self.population.users, AT_ONCE)
        found = meter.read(answer, answer["count"]) | latency.values(answer["latency"]) | {"derived": answer["derived"]}
        generator.ask("logout")
        return found


class Presence(Scenario):
    key, title = "presence", "presence storm"

    def __init__(self, sizes):
        super().__init__(sizes)
        self.population = Population(self.size["users"], self.size["contacts"])
        self.title = f"{self.population.users} users with {self.population.contacts} contacts each come online"

    def metrics(self, part):
        return {"cpu_us": ("CPU for each user", "us", True), "per_s": ("users", "1/s", False),
                "after_mib": ("memory of the server some time later", "MiB", True),
                "gateway_cpu_us": ("CPU of the gateway", "us", True)}

    def measure(self, place, contender, way):
        with Generator(place, getattr(contender, way)) as generator:
            generator.ask("login", 0, self.population.users, AT_ONCE)
            generator.ask("roster", self.population.contacts)
            meter = Meter(contender)
            answer = generator.ask("available", self.population.contacts)
            found = meter.read(answer, self.population.users)
            generator.ask("idle", self.size["seconds"])
            found["after_mib"] = memory(contender.pids())["Pss"] / 2**20
            generator.ask("logout")
        return {"": found}


class Mixed(Scenario):
    key, title = "mixed", "mixed day"

    def __init__(self, sizes):
        super().__init__(sizes)
        self.population = Population(self.size["users"], self.size["contacts"])
        self.title = f"a mixed day of {self.population.users} sessions"

    def metrics(self, part):
        return {"p50_us": ("latency of a message, half of them", "us", True), "p99_us": ("99 %", "us", True),
                "p999_us": ("99.9 %", "us", True), "presence_p99_us": ("a presence, 99 %", "us", True),
                "query_p99_us": ("an answer, 99 %", "us", True), "login_p99_us": ("a login, 99 %", "us", True), "cpu_percent": ("of a core", "%", True),
                "gateway_cpu_percent": ("gateway", "%", True), "wakeups_per_s": ("wake-ups", "1/s", True)}

    def measure(self, place, contender, way):
        with Generator(place, getattr(contender, way)) as generator:
            come_online(generator, self.population)
            found = self.drive(place, generator, contender)
            generator.ask("logout")
        return {"": found}

    def day(self, generator):
        """Each user does each of these things at random times, on average as often as "every" says, in seconds."""
        rates = (self.population.users / self.size["every"][what]
                 for what in ("letters", "presences", "queries", "logins", "keepalives"))
        return generator.ask("mixed", self.size["seconds"], self.population.contacts, *rates)

    def drive(self, place, generator, contender):
        meter = Meter(contender)
        answer = self.day(generator)
        found = meter.read(answer, answer["wall_ns"] / 1e9)
        return {"cpu_percent": 100 * found["server_busy"], "gateway_cpu_percent": found["gateway_cpu_us"] / 1e4,
                "wakeups_per_s": found["wakeups"], "generators_busy": found["generators_busy"],
                "late_p99_us": answer["late"]["p99_us"],
                **{f"{what}_p99_us": answer[f"{what}_latency"]["p99_us"] for what in ("presence", "query", "login")},
                } | latency.values(answer["latency"])


class Idle(Scenario):
    key, title, small = "idle", "idle sessions", True

    def __init__(self, sizes):
        super().__init__(sizes)
        self.population = Population(self.size["sessions"], self.size["contacts"])
        self.title = f"{self.population.users} idle sessions with a roster of {self.population.contacts} and presence"

    def metrics(self, part):
        return {"bytes": ("memory for each session", "bytes", True), "pss_mib": ("memory of the server", "MiB", True),
                "wakeups_per_s": ("wake-ups", "1/s", True)}

    def measure(self, place, contender, way):
        with Generator(place, getattr(contender, way)) as generator:
            # What the first sessions need once and for all is not theirs alone.
            generator.ask("login", 0, self.size["first"], AT_ONCE)
            generator.ask("logout")
            time.sleep(self.size["settle"])
            before = memory(contender.pids())["Pss"]
            come_online(generator, self.population, self.size["per_second"])
            generator.tell("idle", self.size["seconds"])
            found = idle_values(contender, self.size["seconds"])
            generator.answer()
            generator.ask("logout")
        return {"": {"bytes": (found["pss_mib"] * 2**20 - before) / self.population.users} | found}

    def extra(self, place, way):
        """What the TLS sessions alone take."""
        if way != "gateway":
            return {}
        return {"floor": {"": floor.measure(place, self.size["first"], self.population.users, self.size["settle"])}}


class Start(Scenario):
    key, title, small = "start", "an idle server, and its start", True
    population, ways_matter = Population(100, 20), False

    def metrics(self, part):
        return {"ready_ms": ("ready", "ms", True), "pss_mib": ("memory", "MiB", True), "rss_mib": ("as if alone", "MiB", True),
                "wakeups_per_s": ("wake-ups", "1/s", True), "switches_per_s": ("context switches", "1/s", True)}

    def measure(self, place, contender, way):
        return {"": {"ready_ms": contender.ready_ms} | idle_values(contender, self.size["seconds"])}


def fitting_count(generator, pairs, window, wanted):
    """How many messages take so many seconds; the server is warm then."""
    count = pairs * window
    while True:
        seconds = generator.ask("chat", pairs, window, count)["wall_ns"] / 1e9
        if seconds >= min(WARM_UP_SECONDS, wanted):
            return max(count, round(count * wanted / seconds))
        count *= 2


def come_online(generator, population, *per_second):
    """All users; their first presence all at once, or so many a second."""
    generator.ask("login", 0, population.users, AT_ONCE)
    generator.ask("roster", population.contacts)
    generator.ask("available", *per_second, population.contacts)


def idle_values(contender, seconds):
    """Of a server that nobody asks for anything; switches are counted in the second half of the time."""
    time.sleep(seconds / 2)
    began, (slept_before, put_off_before) = time.monotonic(), switches(contender.pids())
    time.sleep(seconds / 2 - 0.5)
    slept, put_off = switches(contender.pids())
    passed = time.monotonic() - began
    used = memory(contender.pids())
    return {"pss_mib": used["Pss"] / 2**20, "rss_mib": used["Rss"] / 2**20, "swapped_bytes": used["SwapPss"],
            "wakeups_per_s": (slept - slept_before) / passed,
            "switches_per_s": (slept - slept_before + put_off - put_off_before) / passed}
