"""Two Posterns, in every way in which they can be linked."""

from harness.neighbours import LINKS, Link, Neighbours, linked

BOTH = {"both behind gateways": Link(both={"way": "terminated", "offers": ("direct",)})}


@linked(**LINKS, **BOTH, **{"public authority": Link(public=True)})
class TestPostern(Neighbours):
    pass
