"""The gateway's benchmarks, as bench.run wants a suite."""

from bench.common.machine import said
from bench.gateway.contenders import all_contenders
from bench.gateway.figures import SIZES, all_figures
from bench.gateway.place import GatewayPlace
from bench.gateway.targets import TARGETS as targets  # noqa: F401

name = "gateway"


def keys():
    return [figure.key for figure in all_figures(SIZES["full"])]


class Session:
    def __init__(self, given):
        self.given = given
        self.contenders = all_contenders(given.build)
        self.figures = {figure.key: figure for figure in all_figures(SIZES[given.size])}
        self.place = GatewayPlace(given.build)

    def scenario(self, key):
        return self.figures[key]

    def contenders_of(self, figure):
        peers = self.given.peers
        return [self.contenders[each] for each in figure.contenders
                if peers is None or each in ("direct", "bare") or each.startswith("postern")
                or each.removesuffix("-tls") in peers]

    def versions(self):
        return {"postern": said(str(self.given.build / "postern-gateway"), "-V"), "haproxy": said("haproxy", "-v"),
                "nginx": said("nginx", "-v"), "sslh": said("sslh-select", "-V"), "hitch": said("hitch", "--version")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.close()


def open(given):
    return Session(given)
