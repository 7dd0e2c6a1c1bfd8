"""Names as onion services have them.  Source: Tor's rend-spec-v3, section 6."""

import base64
import hashlib


def onion_name(word):
    """The same for the same word; nobody has its key."""
    key, version = hashlib.sha256(word.encode()).digest(), b"\x03"
    checksum = hashlib.sha3_256(b".onion checksum" + key + version).digest()[:2]
    return base64.b32encode(key + checksum + version).decode().lower() + ".onion"
