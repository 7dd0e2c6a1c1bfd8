"""Certificates and session tickets of a gateway that terminates TLS: which is served, what changes while it runs, and what
a session is good for."""

import os
import signal
import ssl
import subprocess
import warnings
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harness.place import Place
from harness.ports import reserve_port
from harness.postern import Gateway, run
from harness.tcp import connect
from harness.upstream import Upstream
from harness.wait import wait_until

NAME, OTHER = "www.example.test", "mail.example.test"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def echo(sock):
    while data := sock.recv(4096):
        sock.sendall(data)


class Door:
    """A gateway that serves what is in a folder, before a server that echoes."""

    def __init__(self, workers=2, section=""):
        self.place, self.port = Place(), reserve_port()
        self.folder = self.place.path / "certs"
        self.folder.mkdir()
        self.upstream = Upstream(echo)
        self.workers = workers
        self.gateway = Gateway(self.place, self.text(section))

    def text(self, section=""):
        return f"""
workers = {self.workers}
certificate-check = 50ms
drain-timeout = 1s
listener "public" {{ address = "127.0.0.1:{self.port}" }}
tls "site" {{ certificate-folder = "{self.folder}" {section} }}
upstream "echo" {{ server = "127.0.0.1:{self.upstream.address[1]}" }}
route "in" {{ protocol = "tls" terminate = "site" }}
route "on" {{ inside = "site" proxy = "echo" }}
"""

    def make(self, stem, names, kind="ec"):
        """A certificate with its key in one file, put in place by a rename; its serial number."""
        new, key = self.place.path / "new.crt", self.place.path / "new.key"
        option = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        subprocess.run(["openssl", "req", "-x509", *option, "-nodes", "-keyout", key, "-out", new, "-days", "30", "-subj",
                        f"/CN={stem}", "-addext", "subjectAltName=" + ",".join("DNS:" + name for name in names)],
                       check=True, capture_output=True)
        path = self.place.path / "new.pem"
        path.write_bytes(new.read_bytes() + key.read_bytes())
        path.chmod(0o600)
        os.rename(path, self.folder / f"{stem}.pem")
        return x509.load_pem_x509_certificate(new.read_bytes()).serial_number

    def start(self):
        self.gateway.start()
        return self

    def stop(self):
        try:
            self.gateway.stop()
        finally:
            self.gateway.kill()
            self.gateway.log_text()
            self.upstream.socket.close()
            self.place.remove()

    def connect(self, name=NAME, context=None, session=None):
        return (context or client()).wrap_socket(connect(self.port), server_hostname=name, session=session)

    def serial(self, name=NAME):
        with self.connect(name) as sock:
            return certificate(sock).serial_number

    def visit(self, context, name=NAME, session=None):
        """One connection to its end: (session to come back with, whether it was resumed, the worker's mark in ids)."""
        with self.connect(name, context, session) as sock:
            says(sock)
            peer = "%s:%d" % sock.getsockname()
            found, reused = sock.session, sock.session_reused
        return found, reused, self.gateway.close_lines(peer=peer)[0]["conn"][:8]


@pytest.fixture
def door():
    made = []

    def make(**arguments):
        made.append(Door(**arguments))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def client(version=None, ciphers=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def certificate(sock):
    return x509.load_der_x509_certificate(sock.getpeercert(binary_form=True))


def says(sock, text=b"are you there?"):
    """What is said comes back; with TLS 1.3 the tickets have come as well."""
    sock.sendall(text)
    data = b""
    while len(data) < len(text):
        part = sock.recv(4096)
        assert part, "the connection ended"
        data += part
    assert data == text


@pytest.mark.release
def test_kind_of_key_by_what_the_client_can(door):
    one = door()
    one.make("rsa", [NAME], "rsa")
    one.make("ecdsa", [NAME])
    one.start()
    kinds = {"ECDHE-RSA-AES128-GCM-SHA256": rsa.RSAPublicKey, "ECDHE-ECDSA-AES128-GCM-SHA256": ec.EllipticCurvePublicKey}
    for cipher, kind in kinds.items():
        with one.connect(context=client(ssl.TLSVersion.TLSv1_2, cipher)) as sock:
            assert isinstance(certificate(sock).public_key(), kind)
    with one.connect() as sock:
        assert isinstance(certificate(sock).public_key(), ec.EllipticCurvePublicKey)


@pytest.mark.release
def test_a_renewed_certificate_reaches_living_workers(door):
    one = door()
    old, other = one.make("site", [NAME]), one.make("other", [OTHER])
    one.start()
    workers = [worker["pid"] for worker in one.gateway.status()["workers"]]
    with one.connect() as living:
        new = one.make("site", [NAME])
        one.gateway.wait_log(event="certificates")
        wait_until(lambda: {one.serial() for _ in range(8)} == {new}, "both workers serve the new one")
        says(living)
        assert certificate(living).serial_number == old
    assert one.serial(OTHER) == other
    added = one.make("added", ["added.example.test"])
    wait_until(lambda: {one.serial("added.example.test") for _ in range(8)} == {added}, "a new name is served")
    (one.folder / "added.pem").unlink()
    wait_until(lambda: one.serial("added.example.test") != added, "a name that is gone is not")
    assert [worker["pid"] for worker in one.gateway.status()["workers"]] == workers


def test_certificates_are_listed_with_names_and_expiry(door):
    one = door()
    one.make("site", [NAME, OTHER])
    one.make("rsa", ["*.rsa.example.test"], "rsa")
    one.start()

    def listed():
        done = run("posternctl", "--gateway", one.gateway.config, "gateway", "certs")
        assert done.returncode == 0, done.stderr
        head, *rows = [line.split("\t") for line in done.stdout.splitlines()]
        return {row["names"]: row for row in (dict(zip(head, row)) for row in rows)}

    rows = listed()
    assert set(rows) == {f"{NAME} {OTHER}", "*.rsa.example.test"}
    for row in rows.values():
        assert row["tls"] == "site" and int(row["days_left"]) in (29, 30)
        assert row["until"] == (datetime.now(timezone.utc) + timedelta(days=30)).strftime("%Y-%m-%d")
    one.make("site", ["renewed.example.test"])
    one.gateway.wait_log(event="certificates")
    assert set(listed()) == {"renewed.example.test", "*.rsa.example.test"}


@pytest.mark.release
def test_a_broken_change_keeps_the_old_and_a_new_worker_has_what_is_served(door):
    one = door(workers=1)
    first = one.make("site", [NAME])
    one.start()
    good = (one.folder / "site.pem").read_bytes()
    second = one.make("site", [NAME])
    wait_until(lambda: one.serial() == second, "the second is served")
    (one.folder / "site.pem").write_bytes(good[:300] + b"-----BEGIN PRIVATE KEY-----\n")
    line = one.gateway.wait_log(event="certificate_unusable")
    assert "site.pem" in line["file"] and "stays in use" in line["msg"]
    assert one.serial() == second
    os.kill(one.gateway.status()["workers"][0]["pid"], signal.SIGKILL)
    one.gateway.wait_log(event="worker_died")
    wait_until(lambda: one.gateway.status()["workers"][0]["ready"], "another worker")
    assert one.serial() == second != first


@pytest.mark.release
@pytest.mark.parametrize("version", VERSIONS)
def test_tickets_hold_for_all_workers_and_over_a_reload(door, version):
    one = door(workers=2)
    one.make("site", [NAME, OTHER])
    one.start()
    context = client(version)
    session, reused, _ = one.visit(context)
    assert not reused
    workers = set()
    while len(workers) < 2:  # the kernel spreads connections by their ports
        again, reused, worker = one.visit(context, session=session)
        assert reused
        workers.add(worker)
    done = run("posternctl", "--gateway", one.gateway.config, "gateway", "reload")
    assert done.returncode == 0, done.stderr
    session, reused, worker = one.visit(context, session=again)
    assert reused and worker not in workers
    assert not one.visit(context, OTHER, session)[1]  # the same certificate, another name
    one.gateway.configure(one.text("client-certificate = optional"))
    done = run("posternctl", "--gateway", one.gateway.config, "gateway", "reload")
    assert done.returncode == 0, done.stderr
    assert not one.visit(context, session=session)[1]  # another policy


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_resumes_under_the_same_name_only(door, version):
    one = door(workers=1)
    one.make("site", [NAME, OTHER])
    one.start()
    kept = one.place.path / "session.pem"

    def s_client(name, *arguments):
        with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{one.port}", "-servername", name, version,
                               *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as process:
            process.stdin.write("are you there?\n")
            process.stdin.flush()
            text = ""
            while "are you there?" not in text:  # behind it, tickets have come
                line = process.stdout.readline()
                assert line, text
                text += line
            return text + process.communicate("Q\n", 60)[0]

    assert "\nNew, TLSv1" in s_client(NAME, "-sess_out", kept)
    assert "\nReused, TLSv1" in s_client(NAME, "-sess_in", kept)
    assert "\nNew, TLSv1" in s_client(NAME, "-sess_out", kept)
    assert "\nNew, TLSv1" in s_client(OTHER, "-sess_in", kept)


def test_no_tickets(door):
    one = door(workers=1, section="tickets = false")
    one.make("site", [NAME])
    one.start()
    context = client(ssl.TLSVersion.TLSv1_2)
    session = one.visit(context)[0]
    assert not session.has_ticket and not one.visit(context, session=session)[1]


@pytest.mark.parametrize("section, accepted, refused", [
    ("profile = modern", ["TLSv1_3"], ["TLSv1_2"]),
    ("profile = intermediate", ["TLSv1_2", "TLSv1_3"], ["TLSv1_1"]),
])
def test_profiles(door, section, accepted, refused):
    one = door(workers=1, section=section)
    one.make("site", [NAME])
    one.start()
    for version in accepted:
        with one.connect(context=client(ssl.TLSVersion[version])) as sock:
            says(sock)
            assert sock.version() == version.replace("_", ".")
    for version in refused:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions
            context = client(ssl.TLSVersion[version], "DEFAULT@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION|protocol version"):
            one.connect(context=context)


@pytest.mark.parametrize("section, accepted, refused", [
    ('ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"', "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384",
     "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256"),
    ('ciphersuites = "TLS_CHACHA20_POLY1305_SHA256"', "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
     "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256"),
    ('curves = "P-384"', "-curves P-384", "-curves P-256"),
])
def test_lists_of_ones_own(door, section, accepted, refused):
    """What the profile would take is refused when the list has something else."""
    one = door(workers=1, section=section)
    one.make("site", [NAME])
    one.start()
    done = [subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{one.port}", "-servername", NAME,
                            *arguments.split()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            for arguments in (accepted, refused)]
    assert [one.returncode for one in done] == [0, 1]
    assert "handshake failure" in done[1].stderr


def test_unknown_names(door):
    one = door(workers=1, section="unknown-name = refuse")
    one.make("site", [NAME, "*.sub.example.test"])
    one.start()
    one.connect("a.sub.example.test").close()
    for name in (OTHER, "a.b.sub.example.test", None):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME|unrecognized name"):
            one.connect(name)
