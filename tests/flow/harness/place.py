"""A folder for one deployment, and the user that its servers run as.

Started as root, the servers become "nobody": the folder is then open for passing through, and what the servers keep is
theirs.  Started by anyone else, everything belongs to that user."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

AS_ROOT = os.geteuid() == 0
USER = "nobody" if AS_ROOT else None


class Place:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-"))
        if AS_ROOT:
            self.path.chmod(0o711)

    def own(self, path):
        if AS_ROOT:
            entry = pwd.getpwnam(USER)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def folder(self, name):
        """A private folder of the servers' user."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return self.own(path)

    def write(self, name, text, mode=0o644):
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def user_line(self):
        """The configuration's line for the user, or nothing."""
        return f'user = "{USER}"\n' if AS_ROOT else ""

    def certificate(self, stem, names):
        """A self-signed certificate that is its own CA, for DNS names and IPv4 addresses; (certificate, key) paths."""
        cert, key = self.path / f"{stem}.crt", self.path / f"{stem}.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", key, "-out", cert, "-days", "30", "-subj", f"/CN={names[0]}",
             "-addext", "basicConstraints=critical,CA:true",
             "-addext", "subjectAltName=" + ",".join(("IP:" if name[0].isdigit() else "DNS:") + name for name in names)],
            check=True, capture_output=True)
        key.chmod(0o600)
        self.own(key)
        return cert, key

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
