"""A random order of the numbers below n, without a list of them: n may be larger than memory, or than 64 bits.

A Feistel network permutes the numbers of an even number of bits; what falls outside is permuted again until it falls
inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", cycle walking).
"""

import hashlib

_ROUNDS = 6


def permuted(index: int, size: int, key: str) -> int:
    """The number at place `index` of a random order of 0 .. size - 1; the order depends on `size` and `key` alone."""
    if not 0 <= index < size:
        raise IndexError(index)
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (_hash(f"{key}\0{number}\0{right}") & mask)
        index = left << half | right
        if index < size:
            return index


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=32).digest())
