"""Prosody as the other server, in every way in which the two can be linked."""

import dataclasses

from harness.federation_peers import ProsodyMember
from harness.neighbours import LINKS, Link, Neighbours, linked

BIDI = {f"{name}, bidi": dataclasses.replace(LINKS[name], theirs={"bidi": True})
        for name in ("certificates", "dialback", "certificates, direct TLS", "gateway, terminated")}


@linked(**LINKS, **BIDI, **{"public authority": Link(public=True)})
class TestProsody(Neighbours):
    member = ProsodyMember
