"""What the C library's allocator gives back to the system, and when.

Files of half a megabyte come and go by the thousand. glibc takes memory for each from the system
and gives it back when a few are freed; the kernel then clears every page again before it can be
written: a copy took ten times as long as into memory that was kept.
"""

from __future__ import annotations

import ctypes

# Freed at an arena's end, so much is kept; larger blocks than this go back at once.
KEPT_BYTES = 32 << 20
# Python holds its lock while it allocates: more arenas than these would only keep more memory.
ARENAS = 2
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h


def keep_freed_memory() -> bool:
    """Keep what is freed for the next file; whether this C library can be told to."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is None:
        return False
    options = (
        (_TRIM_THRESHOLD, KEPT_BYTES),
        (_MMAP_THRESHOLD, KEPT_BYTES),
        (_ARENA_MAX, ARENAS),
    )
    return [tell(option, value) for option, value in options] == [1] * len(options)
