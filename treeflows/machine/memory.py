"""How much memory there is."""

import os
from pathlib import Path

SHARE = 0.5  # of what there is, that rows may take where nobody says how much
UNKNOWN = 4 * 2**30  # where the system does not tell


def memory_for_rows():
    """Bytes that rows may take if nobody says how many: half of the machine's memory, or of the control group's."""
    limits = []
    try:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not on Windows
        limits.append(UNKNOWN)
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            told = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if told.isdigit():
            limits.append(int(told))
    return int(SHARE * min(limits))
