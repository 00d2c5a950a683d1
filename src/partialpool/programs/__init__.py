"""Programs: Stan files, what they declare and state, and the toolchain that compiles them.

In: the name of a shipped program, or a path. Out: a `Program` that knows its inputs, parameters
and outputs; `toolchain` turns it into an executable, and finds or assembles CmdStan for that.
"""

from partialpool.families.base import (
    CENTERED,
    DEFAULT,
    DRAWN_GROUPS,
    MARGINAL,
    NONCENTERED,
    SHIPPED,
)
from partialpool.programs.program import (
    RESERVED,
    Program,
    _check_names,
    check_distinct,
    find_program,
    is_shipped,
    lacking,
    load,
    loaded,
    new_program,
    shipped_folder,
)

__all__ = [
    "CENTERED",
    "DEFAULT",
    "DRAWN_GROUPS",
    "MARGINAL",
    "NONCENTERED",
    "RESERVED",
    "SHIPPED",
    "Program",
    "_check_names",
    "check_distinct",
    "find_program",
    "is_shipped",
    "lacking",
    "load",
    "loaded",
    "new_program",
    "shipped_folder",
]
