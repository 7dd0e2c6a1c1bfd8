"""A certificate authority for clients, whose certificates name XMPP addresses (RFC 6120 section 13.7.1.4), and for
servers that talk to others."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

XMPP_ADDRESS = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")  # id-on-xmppAddr


def _utf8_string(text):
    data = text.encode()
    assert len(data) < 128
    return b"\x0c" + bytes([len(data)]) + data


class IssuedCertificate:
    """files: (chain, key), der: the chain as the gateway tells it."""

    def __init__(self, place, stem, certificate, issuer, key):
        chain = [certificate, issuer]
        self.der = [one.public_bytes(serialization.Encoding.DER) for one in chain]
        pem = "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption()).decode()
        self.files = place.write(f"{stem}.pem", pem), place.write(f"{stem}.key", secret, 0o600)


class Authority:
    def __init__(self, place, stem="client-ca"):
        self.place, self.stem, self.count = place, stem, 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem)])
        self.certificate = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(self.key, hashes.SHA256())
        self.path = place.write(f"{stem}.pem", self.certificate.public_bytes(serialization.Encoding.PEM).decode())

    def _builder(self, subject, key, days=30):
        today = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(today - datetime.timedelta(days=60))
                .not_valid_after(today + datetime.timedelta(days=days)))

    def client(self, *addresses, days=30, usage=ExtendedKeyUsageOID.CLIENT_AUTH):
        """A certificate for XMPP addresses, valid for some days from now."""
        self.count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a client")])
        builder = self._builder(subject, key, days).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if addresses:
            names = [x509.OtherName(XMPP_ADDRESS, _utf8_string(one)) for one in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return IssuedCertificate(self.place, f"{self.stem}-{self.count}", certificate, self.certificate, key)

    def server(self, *domains, days=30, usages=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)):
        """A certificate for servers of these domains; expired when days is negative."""
        self.count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
        usage = x509.ExtendedKeyUsage(usages)
        names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
        certificate = (self._builder(subject, key, days).add_extension(usage, critical=False)
                       .add_extension(names, critical=False).sign(self.key, hashes.SHA256()))
        return IssuedCertificate(self.place, f"{self.stem}-{self.count}", certificate, self.certificate, key)
