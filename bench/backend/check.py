"""Whether each contender is configured as meant; what differs in what they offer is printed.

TLS, certificate, SCRAM, rosters, stored passwords, and that an archive has what was said."""

import base64
import subprocess
import sys

from bench.backend.population import DOMAIN, GROUP, ITERATIONS, PASSWORD, Population
from bench.common.place import ROOT

sys.path.insert(0, str(ROOT / "tests" / "flow"))

from harness.rawxmpp import AuthenticationFailed, RawClient, mechanisms  # noqa: E402

CIPHER, CURVE, USERS, CONTACTS, MESSAGES = "TLS_AES_128_GCM_SHA256", "X25519", 24, 20, 5
MAM = "urn:xmpp:mam:2"


class Wrong(Exception):
    pass


def expect(what, wanted, got):
    if got != wanted:
        raise Wrong(f"{what}: expected {wanted}, got {got}")


def _s_client(way, *options):
    done = subprocess.run(["openssl", "s_client", "-connect", f"{way[0]}:{way[1]}", "-servername", DOMAIN, "-alpn",
                           "xmpp-client", "-brief", *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20)
    return dict(line.split(": ", 1) for line in (done.stdout + done.stderr).splitlines() if ": " in line)


def check_tls(way):
    """What the load generators offer is what is used; older versions are refused."""
    said = _s_client(way, "-tls1_3", "-ciphersuites", CIPHER, "-groups", CURVE)
    for what, wanted in (("Protocol version", "TLSv1.3"), ("Ciphersuite", CIPHER), ("Signature type", "ECDSA"),
                         ("Server Temp Key", "X25519, 253 bits")):
        expect(what, wanted, said.get(what))
    if "Protocol version" in _s_client(way, "-tls1_2"):
        raise Wrong("TLS 1.2 is accepted")


def connect(way):
    client = RawClient(way[0], way[1])
    return client.start_tls(sni=DOMAIN, alpn=["xmpp-client"]) if way[2] == "direct" else client


def ask(client, payload, to="", kind="get"):
    """The answer to an iq; other stanzas are passed over."""
    client.send(f"<iq type='{kind}' id='ask'{to}>{payload}</iq>")
    while True:
        answer = client.next()
        if answer.tag == "{jabber:client}iq" and answer.get("id") == "ask":
            expect("answer", "result", answer.get("type"))
            return answer


def check_login(way):
    """SCRAM and PLAIN; what is offered before and after."""
    with connect(way) as client:
        offered = mechanisms(client.open(DOMAIN))
        client.login_here("user0", PASSWORD, "SCRAM-SHA-256")
        challenge = client.received.partition(b"<challenge ")[2].partition(b">")[2].partition(b"<")[0]
        expect("iterations", f"i={ITERATIONS}", base64.b64decode(challenge).decode().split(",")[2])
        items = ask(client, "<query xmlns='jabber:iq:roster'/>")[0]
        expect("contacts", CONTACTS, len(items))
        for item in items:
            expect("subscription", "both", item.get("subscription"))
            expect("groups", [GROUP], [group.text for group in item])
        if "SCRAM-SHA-1" in offered:
            raise Wrong("SCRAM-SHA-1 is offered, without keys")
        told = ask(client, "<query xmlns='http://jabber.org/protocol/disco#info'/>", f" to='{DOMAIN}'")[0]
        features = {element.get("var") for element in told if element.get("var")}
    with connect(way) as client:
        client.login("user1", PASSWORD, DOMAIN, "PLAIN")
    with connect(way) as client:
        try:
            client.login("user2", "wrong", DOMAIN, "SCRAM-SHA-256")
        except AuthenticationFailed:
            return offered, features
    raise Wrong("a wrong password is accepted")


def check_store(contender):
    """That nothing in it is a password."""
    for path in (contender.home.path / "store").rglob("*"):
        if path.is_file() and PASSWORD.encode() in path.read_bytes():
            raise Wrong(f"a password in {path.name}")


def check_archive(way):
    """Both sides' archives have the messages, in order."""
    texts = [f"message {number}" for number in range(MESSAGES)]
    with connect(way) as romeo, connect(way) as juliet:
        romeo.login("user0", PASSWORD, DOMAIN, "PLAIN")
        to = juliet.login("user1", PASSWORD, DOMAIN, "PLAIN")
        for text in texts:
            romeo.send(f"<message to='{to}' type='chat' id='{text}'><body>{text}</body></message>")
        for text in texts:
            expect("message", text, juliet.next().findtext("{jabber:client}body"))
        for client in romeo, juliet:
            expect("archive", texts, list(archived(client)))


def archived(client):
    client.send(f"<iq type='set' id='mam'><query xmlns='{MAM}'/></iq>")
    while True:
        stanza = client.next()
        if stanza.tag == "{jabber:client}iq":
            expect("answer", "result", stanza.get("type"))
            return
        yield next(stanza.iter("{jabber:client}body")).text


def check(place, contenders):
    """Whether all is as meant."""
    population, good, offers = Population(USERS, CONTACTS), True, {}
    for name, contender in contenders.items():
        try:
            contender.start(place, population)
            check_tls(contender.gateway)
            check_tls(contender.direct)
            for way in contender.plain, contender.gateway:
                offers[name] = check_login(way)
            check_store(contender)
            contender.stop()
            contender.start(place, population, archive=True)
            check_archive(contender.plain)
            print(f"{name}: as meant; {contender.version}")
        except (Wrong, SystemExit) as why:
            good = False
            print(f"{name}: {why}")
        finally:
            contender.stop()
    common = set.intersection(*(features for _, features in offers.values())) if offers else set()
    for name, (offered, features) in offers.items():
        print(f"{name} offers {' '.join(sorted(offered))}; beyond what all serve: {' '.join(sorted(features - common))}")
    return good
