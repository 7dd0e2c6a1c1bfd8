"""Another server's certificate from the configuration's files to the log: who vouches for it, what is revoked, and what
happens when it has expired and is renewed."""

import datetime
import json
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness.pair import Pair
from harness.wait import wait_until

PEM = serialization.Encoding.PEM
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Authority:
    """For servers, as public ones are: its certificates are not for clients."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
        self.certificate = self._sign(self.name, self.key, x509.BasicConstraints(True, None), 30)
        self.pem = self.certificate.public_bytes(PEM).decode()

    def _sign(self, name, key, constraints, days, *more):
        builder = (x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(NOW - 30 * DAY)
                   .not_valid_after(NOW + days * DAY).add_extension(constraints, critical=True))
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, half, days=30):
        """Have half show a new certificate for its domain."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(x509.Name([]), key, x509.BasicConstraints(False, None), days,
                                 x509.SubjectAlternativeName([x509.DNSName(half.domain)]),
                                 x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))
        half.key.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        half.cert.write_bytes(certificate.public_bytes(PEM))
        return certificate

    def revoke(self, path, *certificates):
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(NOW - DAY).next_update(NOW + DAY)
        for certificate in certificates:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(NOW - DAY).build())
        path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(PEM))


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def pair(authority):
    """near.example knows the authority by a folder of links, as Debian has them, and reads a revocation list."""
    pair = Pair()
    try:
        for half in (pair.near, pair.far):
            half.backend.stop()
        place = pair.near.place
        elsewhere, folder = place.folder("elsewhere"), place.folder("authorities")
        pair.list = place.folder("lists") / "revoked.pem"
        (elsewhere / "an-authority.crt").write_text(authority.pem)
        (folder / "an-authority.pem").symlink_to(elsewhere / "an-authority.crt")
        subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True)
        authority.revoke(pair.list)
        config = pair.near.backend.config
        text = config.read_text().replace(str(place.path / "ca.pem"), str(folder), 1)
        config.write_text(f's2s-crl = "{pair.list}"\n' + text)
        authority.issue(pair.far)
        for half in (pair.near, pair.far):
            half.backend.start()
        yield pair
        encrypted = [line for line in pair.far.backend.log(event="s2s_end") if "tls" in line]
        assert encrypted and not [line for line in encrypted if line.get("certificate") == "no encryption"]
    finally:
        pair.end()


@pytest.fixture
def juliet(pair):
    return pair.enter("juliet@near.example")


def assert_waits(pair, juliet, text, why):
    """There is no stream any more, and the log says why no new one can be."""
    pair.near.backend.ctl("s2s", "close", "far.example")
    seen = len(pair.near.backend.log(event="s2s_failed", failure="bad_certificate"))
    juliet.send_message("romeo@far.example", text)
    juliet.drain()
    line = pair.near.backend.wait_log(count=seen + 1, event="s2s_failed", failure="bad_certificate")
    assert why in line["why"], line
    wait_until(lambda: json.loads(pair.near.backend.ctl("--json", "s2s", "queue", "list")), "it waits")


def change_list(pair, authority, *revoked):
    """The file is watched."""
    seen = len(pair.near.backend.log(event="certificates"))
    authority.revoke(pair.list, *revoked)
    pair.near.backend.wait_log(count=seen + 1, event="certificates")


def renew(half, authority, **how):
    authority.issue(half, **how)
    half.backend.ctl("reload")


def test_a_folder_of_authorities(pair, juliet):
    """In the sandbox, where the kernel has one for files; with a certificate that is for servers alone."""
    romeo = pair.enter("romeo@far.example")
    juliet.send_message(romeo.jid, "by the folder")
    romeo.expect("message", body="by the folder")


def test_revoked(pair, authority, juliet):
    """The list is read again when it changes, and what has waited goes out when its certificate is good again."""
    romeo = pair.enter("romeo@far.example")
    first = x509.load_pem_x509_certificate(pair.far.cert.read_bytes())
    change_list(pair, authority, first)
    assert_waits(pair, juliet, "revoked", "it is revoked")
    renew(pair.far, authority)
    pair.near.backend.retry("far.example")
    romeo.expect("message", body="revoked")


def test_expired_and_renewed(pair, authority, juliet):
    romeo = pair.enter("romeo@far.example")
    renew(pair.far, authority, days=-1)
    assert_waits(pair, juliet, "expired", "it has expired")
    renew(pair.far, authority)
    pair.near.backend.retry("far.example")
    romeo.expect("message", body="expired")
