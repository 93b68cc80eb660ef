"""Stored bytes that tell whether they are still what was stored.

A stored blob begins with a line of text that has the length and the digest of what follows. The
digest also covers the key, so that a file under another one's name is noticed. Blobs of stores that
are older than this have no such line; they are read as they are.
"""

from hashlib import blake2b

__all__ = [
    "FIRST_WORDS",
    "has_checksum",
    "sealed",
    "tail_of",
    "unsealed",
    "with_tail",
    "without_tail",
]

FIRST_WORDS = b"ssefw-blob 1 "
DIGEST_BYTES = 16
"""As long as MD5's: two different blobs of one digest do not happen by accident."""
DIGITS = 15
HEADER_BYTES = len(FIRST_WORDS) + 2 * DIGEST_BYTES + 1 + DIGITS + 1
SLIPS = 3
"""First words with so many wrong bytes are first words, and damaged."""


def _digest(key: str, payload: bytes) -> bytes:
    name = key.encode("utf-8", "surrogatepass")
    state = blake2b(len(name).to_bytes(8, "big") + name, digest_size=DIGEST_BYTES)
    state.update(payload)
    return state.hexdigest().encode()


def sealed(key: str, payload: bytes) -> bytes:
    """Return what is stored for a payload."""
    header = b"%s%s %0*d\n" % (FIRST_WORDS, _digest(key, payload), DIGITS, len(payload))
    return header + payload


def has_checksum(stored: bytes) -> bool:
    """Whether stored bytes say what they should be."""
    return stored.startswith(FIRST_WORDS)


def unsealed(key: str, stored: bytes) -> bytes:
    """Return the payload of what is stored.

    Raises
    ------
    ValueError
        If it is not what was stored; the message says in what.
    """
    if not has_checksum(stored):
        if _seem_first_words(stored[: len(FIRST_WORDS)]):
            raise ValueError("its first bytes are damaged")
        return stored
    header, payload = stored[:HEADER_BYTES], stored[HEADER_BYTES:]
    words = header[len(FIRST_WORDS) :].split(b" ")
    if len(words) != 2 or not header.endswith(b"\n") or not words[1][:-1].isdigit():
        raise ValueError("its first line is damaged")
    if len(payload) != int(words[1]):
        raise ValueError(f"{len(payload)} bytes of {int(words[1])} are there")
    if words[0] != _digest(key, payload):
        raise ValueError("its content does not fit its checksum")
    return payload


def _seem_first_words(start: bytes) -> bool:
    """Whether bytes are the first words but for a few, or the beginning of them."""
    wrong = sum(a != b for a, b in zip(start, FIRST_WORDS, strict=False))
    return wrong <= SLIPS if len(start) == len(FIRST_WORDS) else wrong == 0


TAIL_BYTES = 8
"""Of the digest behind a document. A change goes unnoticed once in 2^64 times, and documents of a
few hundred bytes, of which there are many, grow little."""


def tail_of(body: bytes) -> bytes:
    """Return the digest of a document."""
    return blake2b(body, digest_size=TAIL_BYTES).digest()


def with_tail(body: bytes) -> bytes:
    """Return what is stored for a BSON document, which says itself where it ends."""
    return body + tail_of(body)


def without_tail(stored: bytes) -> bytes:
    """Return the BSON document of what is stored; one of an old store has no digest behind it.

    Raises
    ------
    ValueError
        If it is not what was stored.
    """
    length = int.from_bytes(stored[:4], "little")
    body, tail = stored[:length], stored[length:]
    if len(body) < max(length, 5) or (tail and tail != tail_of(body)):
        raise ValueError("its content does not fit its checksum")
    return body


LONGEST_SEARCH = 16_384
"""Bytes of a document in which one wrong bit is looked for: some seconds."""


def turned_back(stored: bytes) -> bytes | None:
    """Return the BSON document of which one bit has flipped; None if it was more than that.

    That is the commonest thing to happen to bytes in memory and on wires, and the digest tells
    which bit it was.
    """
    if len(stored) > LONGEST_SEARCH:
        return None
    content = bytearray(stored)
    for place in range(len(content)):
        for bit in range(8):
            content[place] ^= 1 << bit
            length = int.from_bytes(content[:4], "little")
            if length + TAIL_BYTES == len(content):
                body = bytes(content[:length])
                if tail_of(body) == content[length:]:
                    return body
            content[place] ^= 1 << bit
    return None
