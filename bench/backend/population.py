"""Accounts for all contenders: the same users, passwords, keys and rosters, each in its server's own store.

User i has as contacts those next to them in a ring: i±1 … i±contacts/2, with subscription both, a name, and one group.
Every account has its own salt and its SCRAM-SHA-256 keys of 4096 iterations; no server has a password.  A population is
made once for each size, and copied for each start, so every round begins with the same bytes."""

import base64
import hashlib
import hmac
import pathlib
import shutil
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor

from bench.backend import erlang
from bench.backend.home import Home

DOMAIN, PASSWORD, GROUP, ITERATIONS = "example.test", "parting is such sweet sorrow", "Friends", 4096
FORM = 2  # of what is kept: another one is made anew
HASHES = "sha256", "sha1", "sha512"  # the first is everybody's, the others those that Postern makes for each password, too
PIE = "urn:xmpp:pie:0"
MAKE_SECONDS = 600
LOAD = """
    {ok, _} = application:ensure_all_started(ejabberd),
    {ok, Rows} = file:consult("ROWS"),
    lists:foreach(fun(Row) -> ok = mnesia:dirty_write(Row) end, Rows),
    dumped = mnesia:dump_log(),
    init:stop().
"""


def _salt(user):
    """A text, as Prosody's salts are; the same every time, so that populations can be compared."""
    digest = hashlib.sha256(f"salt of user{user}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _keys(user):
    """(salt, stored key and server key of each hash).  Source: RFC 5802, section 3."""
    salt, found = _salt(user), []
    for digest in HASHES:
        salted = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), salt.encode(), ITERATIONS)
        stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
        found += [stored, hmac.digest(salted, b"Server Key", digest)]
    return salt, *found


def _coded(value):
    return base64.b64encode(value).decode()


class Population:
    def __init__(self, users, contacts):
        if contacts % 2 or contacts >= users:
            raise ValueError("contacts must be even, and fewer than users")
        self.users, self.contacts = users, contacts

    def contacts_of(self, user):
        for distance in range(1, self.contacts // 2 + 1):
            yield (user + distance) % self.users
            yield (user - distance) % self.users

    def put(self, place, server, to):
        """Copy the store of a server ("postern", "prosody", "ejabberd") to a path that does not exist yet."""
        folder = pathlib.Path(place.build) / "bench-population" / f"{FORM}-{self.users}-{self.contacts}"
        if not folder.exists():
            self._make(place, folder)
        subprocess.run(["cp", "-a", folder / server, to], check=True)

    def _make(self, place, folder):
        # Not in the build folder, which servers that run as other users may not reach.
        work = pathlib.Path(tempfile.mkdtemp(prefix="postern-population-"))
        work.chmod(0o755)
        try:
            with ProcessPoolExecutor() as pool:
                keys = list(pool.map(_keys, range(self.users), chunksize=50))
            made = work / "made"
            made.mkdir()
            self._make_prosody(made / "prosody", keys)
            for server, make in ("postern", self._make_postern), ("ejabberd", self._make_ejabberd):
                home = Home(work / server, server)
                home.certificate(place)
                (home.path / "store").mkdir(mode=0o700)
                make(place, home, keys)
                (home.path / "store").rename(made / server)
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made, folder)
        finally:
            shutil.rmtree(work)

    def _make_prosody(self, folder, keys):
        host = folder / DOMAIN.replace(".", "%2e")
        (host / "accounts").mkdir(parents=True)
        (host / "roster").mkdir()
        for user, (salt, stored, server, *_) in enumerate(keys):
            (host / "accounts" / f"user{user}.dat").write_text(
                f'return {{\n\t["created"] = 1700000000;\n\t["iteration_count"] = {ITERATIONS};\n\t["salt"] = "{salt}";\n'
                f'\t["server_key"] = "{server.hex()}";\n\t["stored_key"] = "{stored.hex()}";\n'
                '\t["updated"] = 1700000000;\n};\n')
            items = "".join(
                f'\t["user{contact}@{DOMAIN}"] = {{\n\t\t["groups"] = {{\n\t\t\t["{GROUP}"] = true;\n\t\t}};\n'
                f'\t\t["name"] = "User {contact}";\n\t\t["subscription"] = "both";\n\t}};\n'
                for contact in self.contacts_of(user))
            (host / "roster" / f"user{user}.dat").write_text(
                f'return {{\n\t[false] = {{\n\t\t["pending"] = {{}};\n\t\t["version"] = 1;\n\t}};\n{items}}};\n')

    def _make_postern(self, place, home, keys):
        """By its own import, with all keys that it makes when it is given a password: those that an account lacks would
        be made at its first login by PLAIN."""
        (home.path / "run").mkdir(mode=0o700)
        source = home.path / "accounts.xml"
        source.write_text(f"<?xml version='1.0'?>\n<server-data xmlns='{PIE}'><host jid='{DOMAIN}'>\n"
                          + "".join(self._users(keys)) + "</host></server-data>\n")
        config = home.configure("postern-backend.conf", place, plain_port=1, tls_port=2, shards=1, archive_line="")
        home.own()
        _run([*home.become(), place.build / "posternctl", "-c", config, "import", source])

    def _users(self, keys):
        """Source: XEP-0227."""
        for user, (salt, *pairs) in enumerate(keys):
            yield f"<user name='user{user}'>"
            for hash_, stored, server in zip(HASHES, pairs[::2], pairs[1::2]):
                yield (f"<scram-credentials xmlns='{PIE}#scram' mechanism='SCRAM-SHA-{hash_[3:]}'>"
                       f"<iter-count>{ITERATIONS}</iter-count><salt>{_coded(salt.encode())}</salt>"
                       f"<server-key>{_coded(server)}</server-key><stored-key>{_coded(stored)}</stored-key>"
                       "</scram-credentials>")
            yield "<query xmlns='jabber:iq:roster'>"
            for contact in self.contacts_of(user):
                yield (f"<item jid='user{contact}@{DOMAIN}' name='User {contact}' subscription='both'>"
                       f"<group>{GROUP}</group></item>")
            yield "</query></user>\n"

    def _make_ejabberd(self, place, home, keys):
        """ejabberd's import of Prosody's folder knows no SHA-256, so its own database is told the rows."""
        rows = home.path / "rows"
        rows.write_text("".join(self._rows(keys)))
        text = home.configure("ejabberd.yml", place, plain_port=0, tls_port=0, archive_lines="", archive_module="")
        before, _, rest = text.read_text().partition("listen:")
        text.write_text(before + "listen: []\n" + rest[rest.index("modules:"):])  # nobody shall come meanwhile
        home.own()
        _run([*home.become(), *erlang.command(home, place.free_ports(1)), "-eval", LOAD.replace("ROWS", str(rows))],
             env=erlang.environment(home), cwd=home.path)

    def _rows(self, keys):
        """Source: ejabberd 23.01, include/ejabberd_auth.hrl, mod_roster.hrl, and scram.hrl of its xmpp library."""
        def text(value):
            return f'<<"{value}">>'

        for user, (salt, stored, server, *_) in enumerate(keys):
            us = f'{text(f"user{user}")},{text(DOMAIN)}'
            yield (f"{{passwd,{{{us}}},{{scram,{text(_coded(stored))},{text(_coded(server))},"
                   f"{text(_coded(salt.encode()))},sha256,{ITERATIONS}}}}}.\n")
            for contact in self.contacts_of(user):
                jid = f'{{{text(f"user{contact}")},{text(DOMAIN)},{text("")}}}'
                yield (f'{{roster,{{{us},{jid}}},{{{us}}},{jid},{text(f"User {contact}")},both,none,[{text(GROUP)}],'
                       f'{text("")},[]}}.\n')


def _run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_SECONDS, stdin=subprocess.DEVNULL, **more)
    if done.returncode:
        raise SystemExit(f"a population was not made: {command}\n{done.stdout}{done.stderr}")
