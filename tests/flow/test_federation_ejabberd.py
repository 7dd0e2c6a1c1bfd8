"""ejabberd as the other server, in every way in which the two can be linked."""

from harness.federation_peers import EjabberdMember
from harness.neighbours import LINKS, Link, Neighbours, linked

# ejabberd 23.01 takes only certificates for clients of who connects, and does not say so to dialback.
PUBLIC = Link(both={"secure": False}, proofs=("certificate", "dialback"), public=True)
# The system, whose files are not ours, tells it the addresses of names; as a name an IPv6 address is nothing to others.
OLD = {name: link for name, link in LINKS.items() if name != "IPv6"}


@linked(**OLD, **{"public authority": PUBLIC})
class TestEjabberd(Neighbours):
    member = EjabberdMember
