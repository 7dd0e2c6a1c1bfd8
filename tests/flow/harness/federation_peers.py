"""Prosody and ejabberd as members of a federation."""

import shutil
import signal

from harness.federation import Member
from harness.peers import Ejabberd, Prosody
from harness.tcp import listens
from harness.wait import wait_until

RELOADED = "Reloading configuration file"
PROSODY = """
{as_root}
pidfile = "{path}/prosody.pid"
data_path = "{path}/prosody-data"
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "offline", "version", "vcard", "register_ibr", "s2s", "dialback",
                      "s2s_auth_certs", {modules} }}
allow_registration = true
log = {{ debug = "*console" }}
interfaces = {{ "{host}" }}
c2s_ports = {{}}
c2s_direct_tls_ports = {{ {port} }}
s2s_ports = {{ {s2s} }}
s2s_direct_tls_ports = {{ {s2s_direct} }}
certificates = "{path}/prosody-certs"
ssl = {{ cafile = "{ca}" }}
s2s_secure_auth = {secure}
authentication = "internal_plain"
unbound = {{ resolvconf = false, hoststxt = false, forward = "{dns}" }}
{extra}
VirtualHost "{domain}"
"""


class ProsodyMember(Member):
    """bidi: XEP-0288; sm: XEP-0198.  Source: https://prosody.im/doc/s2s."""

    def __init__(self, federation, domain, bidi=False, sm=False, extra="", **arguments):
        super().__init__(federation, domain, **arguments)
        dns = federation.nameserver
        self.processes = [Prosody(
            self.place, extra, self.c2s_direct, domain, *self.certificate.files, template=PROSODY, host=self.address,
            s2s=self.port, s2s_direct=self.direct_port, ca=federation.authority.path, dns=f"{dns.address}@{dns.port}",
            secure="true" if self.secure else "false", modules=", ".join(f'"{name}"' for name, wanted in (("s2s_bidi", bidi), ("smacks", sm)) if wanted))]

    def show(self, certificate):
        """Another certificate from now on."""
        prosody = self.processes[0]
        for path, ending in zip(certificate.files, ("crt", "key")):
            shutil.copy(path, self.place.path / "prosody-certs" / f"{self.domain}.{ending}")
        reloads = prosody.log_text().count(RELOADED)
        prosody.signal(signal.SIGHUP)
        wait_until(lambda: prosody.log_text().count(RELOADED) > reloads, "Prosody reads its configuration again")


EJABBERD = """
hosts:
  - {domain}
certfiles:
  - {cert}
ca_file: {ca}
s2s_cafile: {ca}
loglevel: info
auth_method: internal
auth_password_format: plain
s2s_use_starttls: required
listen:
  - module: ejabberd_c2s
    ip: "{host}"
    port: {port}
    tls: true
    access: all
  - module: ejabberd_s2s_in
    ip: "{host}"
    port: {s2s}
  - module: ejabberd_s2s_in
    ip: "{host}"
    port: {s2s_direct}
    tls: true
acl: {{}}
registration_timeout: infinity
modules:
  mod_disco: {{}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_register: {{}}
  mod_roster: {{}}
  mod_vcard: {{}}
  mod_version: {{}}
{modules}
{extra}
"""
INETRC = """
{{resolv_conf, ""}}.
{{hosts_file, ""}}.
{{nameserver, {{{address}}}, {port}}}.
{{lookup, [dns]}}.
"""


class EjabberdMember(Member):
    """It asks our name server for SRV records (Erlang, "Inet Configuration"), and the system for addresses.

    Source: https://docs.ejabberd.im/admin/configuration/toplevel."""

    only_numbers = True

    def __init__(self, federation, domain, extra="", **arguments):
        super().__init__(federation, domain, **arguments)
        dns = federation.nameserver
        self.processes = [Ejabberd(
            self.place, extra, self.c2s_direct, domain, *self.certificate.files, template=EJABBERD, host=self.address,
            s2s=self.port, s2s_direct=self.direct_port, ca=federation.authority.path,
            inetrc=INETRC.format(address=dns.address.replace(".", ","), port=dns.port),
            modules="" if self.secure else "  mod_s2s_dialback: {}")]

    def kill(self):
        """ejabberdctl ends before its server does."""
        super().kill()
        wait_until(lambda: not listens(self.c2s_direct, self.address), "ejabberd ends")
