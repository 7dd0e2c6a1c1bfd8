"""Servers of other people that stand behind the gateway: Apache, Prosody, ejabberd, OpenSSH."""

import os
import pwd
import shutil
import subprocess

from harness.place import AS_ROOT, USER
from harness.ports import reserve_port
from harness.process import Process
from harness.tcp import listens
from harness.wait import wait_until


class Peer(Process):
    with_children = True

    def wait_port(self, port, host="127.0.0.1"):
        wait_until(lambda: listens(port, host) or not self.running(), f"{self.name} listens")
        assert self.running(), self.log_text()
        return self


APACHE = """
ServerRoot {path}
PidFile {path}/apache.pid
ServerName localhost
{user}
Mutex file:{path}
ErrorLog {path}/apache-error.log
{modules}
LogFormat "%a %>s \\"%r\\"" seen
CustomLog {path}/apache-access.log seen
<Directory />
    Require all granted
</Directory>
{extra}
"""


class Apache(Peer):
    MODULES = ("mpm_event", "authz_core", "ssl", "remoteip", "socache_shmcb")

    def __init__(self, place, extra, port):
        self.place, self.port = place, port
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in self.MODULES)
        config = place.write("apache.conf", APACHE.format(
            path=place.path, modules=modules, extra=extra, user=f"User {USER}\nGroup nogroup" if AS_ROOT else ""))
        super().__init__("apache", ["/usr/sbin/apache2", "-X", "-f", config], place.path / "apache.log")

    def start(self):
        super().start()
        return self.wait_port(self.port)

    def access_log(self):
        path = self.place.path / "apache-access.log"
        return path.read_text() if path.exists() else ""


PROSODY = """
{as_root}
pidfile = "{path}/prosody.pid"
data_path = "{path}/prosody-data"
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping" }}
modules_disabled = {{ "s2s" }}
log = {{ info = "*console" }}
c2s_ports = {{}}
certificates = "{path}/prosody-certs"
authentication = "internal_hashed"
{extra}
VirtualHost "{domain}"
"""


class Prosody(Peer):
    def __init__(self, place, extra, port, domain, cert, key, template=PROSODY, host="127.0.0.1",
                 **fields):
        self.port, self.domain, self.host = port, domain, host
        for name in ("prosody-data", "prosody-certs"):
            (place.path / name).mkdir()
        shutil.copy(cert, place.path / "prosody-certs" / f"{domain}.crt")
        shutil.copy(key, place.path / "prosody-certs" / f"{domain}.key")
        self.config = place.write("prosody.cfg.lua", template.format(
            path=place.path, extra=extra, domain=domain, port=port, host=host,
            as_root="run_as_root = true" if AS_ROOT else "", **fields))
        super().__init__("prosody", ["/usr/bin/prosody", "-F", "--config", self.config], place.path / "prosody.log",
                         cwd=place.path)

    def start(self):
        super().start()
        return self.wait_port(self.port, self.host)

    def add_user(self, local, password):
        subprocess.run(["prosodyctl", "--config", self.config, "register", local, self.domain, password], check=True,
                       capture_output=True, timeout=60)


EJABBERD = """
hosts:
  - {domain}
certfiles:
  - {cert}
loglevel: info
auth_method: internal
auth_password_format: scram
listen:
{extra}
modules:
  mod_disco: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
"""


class Ejabberd(Peer):
    USER = "ejabberd"

    def __init__(self, place, extra, port, domain, cert, key, template=EJABBERD, host="127.0.0.1",
                 inetrc="", **fields):
        self.port, self.domain, self.host = port, domain, host
        folder = place.path / "ejabberd"
        for name in ("", "spool", "logs"):
            (folder / name).mkdir()
        both = folder / "both.pem"
        both.write_text(cert.read_text() + key.read_text())
        (folder / "ejabberd.yml").write_text(template.format(
            domain=domain, cert=both, extra=extra, port=port, host=host, **fields))
        (folder / "inetrc").write_text(inetrc)
        (folder / "ctl.cfg").write_text(f"ERL_DIST_PORT={reserve_port()}\nINET_DIST_INTERFACE=127.0.0.1\n"
                                        "ERL_EPMD_ADDRESS=127.0.0.1\n")
        if AS_ROOT:
            entry = pwd.getpwnam(self.USER)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        # As root ejabberdctl would use su, whose child ends in a session of its own and outlives us.
        become = ["env", f"HOME={folder}"]  # for Erlang's cookie
        if AS_ROOT:
            become += ["setpriv", "--reuid", self.USER, "--regid", self.USER, "--init-groups"]
        self.ctl = [*become, "/usr/sbin/ejabberdctl", "--config-dir", folder, "--config", folder / "ejabberd.yml",
                    "--ctl-config", folder / "ctl.cfg", "--logs", folder / "logs", "--spool", folder / "spool",
                    "--node", f"postern-{os.getpid()}-{port}@127.0.0.1"]
        super().__init__("ejabberd", [*self.ctl, "foreground"], place.path / "ejabberd.log")

    def start(self):
        super().start()
        return self.wait_port(self.port, self.host)

    def add_user(self, local, password):
        argv = [*map(str, self.ctl), "register", local, self.domain, password]
        # Its commands may not be there yet when its ports are.
        wait_until(lambda: subprocess.run(argv, capture_output=True, timeout=60).returncode == 0, "ejabberd takes an account")


class Sshd(Peer):
    """OpenSSH's server for the user that runs the tests, who logs in with a key."""

    def __init__(self, place):
        self.place, self.port = place, reserve_port()
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place.path / f"{name}.key"], check=True)
        keys = place.path / "authorized_keys"
        shutil.copy(place.path / "user.key.pub", keys)
        if AS_ROOT:
            os.makedirs("/run/sshd", exist_ok=True)
        config = place.write("sshd.conf", f"""
ListenAddress 127.0.0.1:{self.port}
HostKey {place.path}/host.key
AuthorizedKeysFile {keys}
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PidFile none
""")
        super().__init__("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", config], place.path / "sshd.log")

    def start(self):
        super().start()
        return self.wait_port(self.port)

    def run(self, port, command):
        """What a command prints over SSH to this port of 127.0.0.1."""
        done = subprocess.run(
            ["ssh", "-F", "none", "-p", str(port), "-i", self.place.path / "user.key", "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
             f"{pwd.getpwuid(os.geteuid()).pw_name}@127.0.0.1", command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout
