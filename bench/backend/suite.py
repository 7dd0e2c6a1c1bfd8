"""The backend's benchmarks, as bench.run wants a suite."""

from bench.backend.check import check
from bench.backend.contenders import all_contenders, durable_contenders, small_contenders
from bench.backend.own import OWN
from bench.backend.scenarios import Archive, Chat, Idle, Login, Mixed, Presence, Start
from bench.backend.shards import Shards
from bench.backend.sizes import SIZES
from bench.backend.targets import TARGETS as targets  # noqa: F401
from bench.backend.vain import Vain
from bench.common.place import Place

name = "backend"
KINDS = (Chat, Archive, Idle, Login, Presence, Mixed, Vain, Start, Shards, *OWN)


def keys():
    return [kind.key for kind in KINDS]


class Session:
    def __init__(self, given):
        self.given, self.ways = given, given.ways
        self.place = Place(given.build)

    def scenario(self, key):
        kind = next(kind for kind in KINDS if kind.key == key)
        return kind(SIZES[self.given.size])

    def contenders(self, alone=False):
        return self._chosen(all_contenders, () if alone else self.given.peers)

    def durable_contenders(self):
        return self._chosen(durable_contenders, self.given.peers)

    def small_contenders(self):
        return self._chosen(small_contenders, self.given.peers)

    def _chosen(self, contenders, peers):
        return [one for one in contenders(self.given.build).values()
                if one.server == "postern" or peers is None or one.server in peers]

    def versions(self):
        return {one.name: f"{one.name} {one.version.removeprefix('postern-backend ')}" for one in self.contenders()}

    def check(self):
        found = {one.name: one for one in self.contenders() + self.durable_contenders()}
        return check(self.place, found | {f"{one.name}-small": one for one in self.small_contenders()})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.close()


def open(given):
    return Session(given)
