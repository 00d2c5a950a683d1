"""What every file that this package writes needs: the permissions that its user wants."""

from __future__ import annotations

import os
import threading

_LOCK = threading.Lock()


def umask() -> int:
    """Read the process's umask (there is no call that only reads it)."""
    with _LOCK:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask
