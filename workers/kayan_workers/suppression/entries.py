"""A suppression list in memory, a million addresses in 13 MB: of each address a hash, and why it is suppressed."""

from __future__ import annotations

import hashlib
import threading
from array import array
from bisect import bisect_left

_BUCKETS = 4096
"""So many short sorted arrays: what comes into one moves little, and no long sort holds up the rest of the process."""

_REASONS = ("BOUNCE", "COMPLAINT", "OTHER")
"""What SES says today, and whatever it may say one day. The number of the reason takes the place of the hash's last two bits."""


class Entries:
    """Addresses in lower case, with SES's word for why each is suppressed. Serves many threads.

    Two of them are taken for the same once in 2^62 pairs, so the list may name an address that it does not hold, and never the other way.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        self._lock = threading.Lock()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, address: str) -> str | None:
        key = _key(address)
        with self._lock:
            bucket, place, is_there = self._find(key)
            return _REASONS[bucket[place] - key] if is_there else None

    def add(self, address: str, reason: str) -> bool:
        """Whether it is new."""
        key = _key(address)
        entry = key + (_REASONS.index(reason) if reason in _REASONS else len(_REASONS) - 1)
        with self._lock:
            bucket, place, is_there = self._find(key)
            if is_there:
                bucket[place] = entry
                return False
            bucket.insert(place, entry)
            self._count += 1
            return True

    def discard(self, address: str) -> None:
        with self._lock:
            bucket, place, is_there = self._find(_key(address))
            if is_there:
                del bucket[place]
                self._count -= 1

    def _find(self, key: int) -> tuple[array[int], int, bool]:
        bucket = self._buckets[key >> 52]
        place = bisect_left(bucket, key)
        return bucket, place, place < len(bucket) and bucket[place] - key < 4


def _key(address: str) -> int:
    """A multiple of four."""
    return int.from_bytes(hashlib.blake2b(address.encode(errors="surrogatepass"), digest_size=8).digest(), "big") & ~3
