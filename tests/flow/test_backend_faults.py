"""The backend alone, treated badly: what must not end it, lose what it has promised, or reach another client."""

import array
import base64
import datetime
import json
import os
import signal
import socket
import struct
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Backend, run
from harness.rawxmpp import RawClient
from harness.site import BACKEND, DOMAIN, XMPPS
from harness.wait import wait_until

HEADER = (f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>")
BIND = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
USERS = [f"user{i}" for i in range(8)]  # of different shards
PASSWORD = "a-secret-of-the-tests"


class Alone:
    """A backend without a gateway."""

    def __init__(self, extra="shards = 4"):
        self.place = Place()
        self.port, self.direct = reserve_port(), reserve_port()
        self.certificate = cert, key = self.place.certificate("alone", [DOMAIN])
        self.backend = Backend(self.place, BACKEND.format(extra=extra, host_extra="", c2s=self.port, c2s_direct=self.direct,
                                                          domain=DOMAIN, xmpps=XMPPS, cert=cert, key=key))

    def start(self, users=USERS):
        self.backend.start()
        for user in users:
            self.backend.add_user(f"{user}@{DOMAIN}", PASSWORD)
        return self

    def stop(self):
        try:
            self.backend.stop()
            assert PASSWORD not in self.backend.log_text()
        finally:
            self.backend.kill()
            self.place.remove()

    def client(self):
        return RawClient("127.0.0.1", self.direct).start_tls(sni=DOMAIN)

    def status(self):
        return json.loads(self.backend.ctl("--json", "status"))


@pytest.fixture
def alone():
    made = []

    def make(extra="shards = 4", start=True, **arguments):
        made.append(Alone(extra))
        return made[-1].start(**arguments) if start else made[-1]

    yield make
    for one in made:
        one.stop()


def sign_for(cert, key, first, last):
    """The certificate again, valid from one year to another."""
    old, private = x509.load_pem_x509_certificate(cert.read_bytes()), load_pem_private_key(key.read_bytes(), None)
    new = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), old.serial_number,
                                  datetime.datetime(first, 1, 1), datetime.datetime(last, 1, 1), list(old.extensions))
    cert.write_bytes(new.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM))


def test_what_is_wrong_with_a_certificate_is_told_before_anything_starts(place):
    cert, key = place.certificate("ours", [DOMAIN])
    foreign_cert, foreign_key = place.certificate("foreign", ["foreign.test"])
    late_cert, late_key = place.certificate("late", [DOMAIN])
    sign_for(late_cert, late_key, 2020, 2021)
    early_cert, early_key = place.certificate("early", [DOMAIN])
    sign_for(early_cert, early_key, 2900, 2901)
    path = place.path / "backend.conf"
    for certificate, private, status, text in (
            (cert, key, 0, ""),
            (place.path / "none", key, 2, f"{path}:3: host \"{DOMAIN}\": certificate: {place.path}/none: No such file"),
            (cert, place.path / "none", 2, f"{path}:4: host \"{DOMAIN}\": key: {place.path}/none: No such file"),
            (cert, foreign_key, 2, f"{path}:4: host \"{DOMAIN}\": key: {foreign_key}: not the key of"),
            (late_cert, late_key, 0, f"{path}:3: host \"{DOMAIN}\": certificate: the certificate has expired"),
            (early_cert, early_key, 0, "the certificate is not valid yet"),
            (foreign_cert, foreign_key, 0, f"the certificate is not for {DOMAIN}")):
        place.write(path.name, f'{place.user_line() or chr(10)}host "{DOMAIN}" {{\n'
                               f'certificate = "{certificate}"\nkey = "{private}"\n}}\n')
        done = run("postern-backend", "-t", "-c", path)
        assert done.returncode == status, done.stderr
        assert text in done.stderr.replace("\\", "") and bool(text) == bool(done.stderr)


def test_what_is_wrong_with_a_certificate_is_in_the_log(alone):
    """Once, and as the configuration wants the log to be."""
    server = alone("log { format = json }", start=False)
    sign_for(*server.certificate, 2020, 2021)
    server.start(users=())
    line, = server.backend.log(event="certificate")
    assert line["msg"].endswith(f'host "{DOMAIN}": certificate: the certificate has expired')
    assert '"event":"certificate"' in server.backend.log_text()


def plain(user):
    text = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
    return f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{text}</auth>"


def pipelined(user, *stanzas):
    """Everything that a client may say without waiting for an answer."""
    return "".join((HEADER, plain(user), HEADER, BIND, *stanzas))


@pytest.mark.release
@pytest.mark.tsan
def test_a_login_in_one_piece(alone):
    """Wherever the user's shard is, what follows the password is read there, once, in order."""
    server = alone()
    for user in USERS:
        with server.client() as client:
            client.send(pipelined(user, "<presence/>", f"<message to='{user}@{DOMAIN}' id='1'><body/></message>",
                                  f"<message to='{user}@{DOMAIN}' id='2'><body/></message>"))
            while b"id='2'" not in client.received:
                client.receive()
            client.send("</stream:stream>")
            client.receive_all()
            text = client.received.decode()
        assert text.index("<success") < text.index("<jid>") < text.index("id='1'") < text.index("id='2'")
        assert text.count("id='1'") == 1 and text.endswith("</stream:stream>")


@pytest.mark.parametrize("namespace", ["jabber:server", "jabber:whatever"])
def test_a_stream_of_another_kind(alone, namespace):
    server = alone(users=())
    with server.client() as client:
        client.send(HEADER.replace("jabber:client", namespace))
        assert b"<stream:error><invalid-namespace" in client.receive_all()[0]
    server.backend.wait_log(event="stream_end", reason="bad_header")


def test_authentication_begun_again_and_again(alone):
    """Each attempt asks the store, so those given up count like those that failed."""
    server = alone(users=())
    first = base64.b64encode(b"n,,n=user0,r=abc").decode()
    with server.client() as client:
        client.send(HEADER + f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{first}</auth>" * 9)
        text = client.receive_all()[0].decode()
    assert text.count("<challenge") == 5 and "<policy-violation" in text
    server.backend.wait_log(event="stream_end", reason="auth_failed", state="sasl")


class Admin(threading.Thread):
    """Makes accounts, one after another, as long as the server answers; knows which ones it was promised."""

    def __init__(self, backend, name):
        super().__init__()
        self.path, self.name, self.promised = str(backend.run_dir / "control.sock"), name, []

    def run(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.path)
            answers = sock.makefile("rb")
            try:
                for count in range(100000):
                    jid = f"{self.name}-{count}@{DOMAIN}"
                    request = {"command": "adduser", "args": {"jid": jid, "password": PASSWORD}}
                    sock.sendall(json.dumps(request).encode() + b"\n")
                    answer = answers.readline()
                    if not answer.endswith(b"\n"):
                        return
                    assert json.loads(answer)["ok"], answer
                    self.promised.append(jid)
            except OSError:
                return


def stop_under_load(server, number):
    """The accounts that were promised before the signal."""
    backend = server.backend
    admins = [Admin(backend, f"new{i}") for i in range(16)]
    for admin in admins:
        admin.start()
    clients = [server.client() for _ in USERS]
    for user, client in zip(USERS, clients):
        client.send(pipelined(user))
    wait_until(lambda: sum(len(admin.promised) for admin in admins) >= 5, "some accounts")
    backend.signal(number)
    status = backend.popen.wait(60)
    for thing in admins:
        thing.join()
    for client in clients:
        client.tcp.close()
    backend.check_clean()
    assert status == (0 if number == signal.SIGTERM else -number)
    return sorted(jid for admin in admins for jid in admin.promised)


@pytest.mark.release
@pytest.mark.tsan
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_while_accounts_are_made(alone, number):
    """Passwords are being hashed, and the store writes: what was promised is there afterwards."""
    server = alone()
    promised = stop_under_load(server, number)
    server.backend.start()
    there = server.backend.ctl("users").split()
    assert set(promised) <= set(there)


def test_sigterm_tells_every_client(alone):
    server = alone()
    clients = [server.client() for _ in USERS]
    for user, client in zip(USERS, clients):
        client.login(user, PASSWORD, DOMAIN, mechanism="SCRAM-SHA-1")
    server.backend.signal(signal.SIGTERM)
    for client in clients:
        assert client.receive_all()[0].decode() == (
            "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
        client.tcp.close()
    assert server.backend.popen.wait(60) == 0
    assert len(server.backend.log(event="stream_end", reason="shutdown")) == len(clients)


def proxy_header():
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H4s4sHH", 12, b"\x7f\0\0\1", b"\x7f\0\0\1", 12345, 443)


def hand_over(inlet, message, *descriptors):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as gate:
        gate.connect(str(inlet))
        gate.sendmsg([message], rights)


@pytest.mark.release
def test_what_is_no_connection_is_not_taken_from_the_inlet(alone):
    server = alone(users=())
    inlet = server.backend.inlet
    with open(os.devnull, "r+b") as device, open(__file__, "rb") as file, socket.create_server(("127.0.0.1", 0)) as \
            listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        bad = [(proxy_header(), thing.fileno()) for thing in (device, file, listener, datagrams)]
        one, other = socket.socketpair()
        bad += [(b"garbage", one.fileno()), (proxy_header() + b"more", one.fileno()), (proxy_header()[:20], one.fileno()),
                (proxy_header(), one.fileno(), other.fileno()), (proxy_header(),)]
        for message, *descriptors in bad:
            hand_over(inlet, message, *descriptors)
        wait_until(lambda: server.status()["counters"]["inlet_faults"] == len(bad), "every fault is counted")
        other.sendall(HEADER.encode())
        hand_over(inlet, proxy_header(), one.fileno())
        one.close()
        answer = b""
        while not answer.endswith(b"</stream:features>"):
            answer += other.recv(4096)
        other.close()
    line = server.backend.wait_log(event="stream_end")
    assert (line["reason"], line["peer"]) == ("client_eof", "127.0.0.1:12345")
    assert server.status()["counters"]["streams"] == 1
