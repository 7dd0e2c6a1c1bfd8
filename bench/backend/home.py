"""The folder of one server under test: its user, its certificate, its configuration, made from bench/peers/.

Started as root, each server runs as the user that its Debian package makes, Postern as nobody; else all are ours."""

import os
import pwd
import shutil
import string
import subprocess

from bench.common.place import PEERS

AS_ROOT = os.geteuid() == 0
USERS = {"postern": "nobody", "gateway": "nobody", "prosody": "prosody", "ejabberd": "ejabberd"}


class Home:
    """server: a key of USERS.  path / "store" is where it keeps what it keeps."""

    def __init__(self, path, server):
        self.path, self.server = path, server
        path.mkdir(mode=0o755)

    def certificate(self, place):
        """The place's certificate, in the forms that the servers want."""
        for source, name in (place.cert, "cert.pem"), (place.key, "key.pem"), (place.pem, "both.pem"):
            shutil.copy(source, self.path / name)
        names = self.path / "certificates"
        names.mkdir()
        shutil.copy(place.cert, names / f"{place.domain}.crt")
        shutil.copy(place.key, names / f"{place.domain}.key")

    def configure(self, template, place, **values):
        """Write a template's text with these values; the path."""
        text = string.Template((PEERS / template).read_text()).substitute(home=self.path, domain=place.domain, **values)
        path = self.path / template
        path.write_text(text)
        return path

    def own(self):
        """Give all to the server's user."""
        if AS_ROOT:
            user = pwd.getpwnam(USERS[self.server])
            subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", self.path], check=True)

    def become(self):
        """What stands before the server's command line: its user, and that it ends with us, however we end."""
        words = ["setpriv", "--pdeathsig", "KILL"]
        if AS_ROOT:
            user = pwd.getpwnam(USERS[self.server])
            words += ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--init-groups"]
        return words

    def remove(self):
        shutil.rmtree(self.path)
