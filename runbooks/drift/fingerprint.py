"""Fingerprints: whether two processes hold the same value, without telling which.

The salt is random and belongs to one broker, so a table made in advance is of no use. Whoever can read the broker can
also read the salt, and could try guesses: for what may be a secret the digest is therefore one that is slow to make.
Fingerprints are for comparing and leave the broker only inside ``Report``; nothing shows them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import lru_cache

_LENGTH = 16
"""Bytes of a fingerprint: two different values never share one by chance."""


class Salt:
    """The salt of one broker.

    Attributes:
        value: 32 random bytes.
        id: tells it from others, and tells nothing about it.
    """

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.id = hashlib.sha256(b"id of the salt" + value).hexdigest()[:8]

    @classmethod
    def random(cls) -> Salt:
        """A new one."""
        return cls(secrets.token_bytes(32))

    def fingerprint(self, text: str, *, secret: bool) -> str:
        """What stands for a value.

        Args:
            text: the value itself.
            secret: whether it may be one; all sides must see this alike, or equal values look different.
        """
        return _fingerprint(self.value, text, secret)


# Each process asks for the same few values at every beat.
@lru_cache(maxsize=2048)
def _fingerprint(salt: bytes, text: str, secret: bool) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if secret:
        # About 15 ms and 4 MB for one guess.
        return hashlib.scrypt(data, salt=salt, n=2**12, r=8, p=1, dklen=_LENGTH).hex()
    return hmac.digest(salt, data, "sha256")[:_LENGTH].hex()
