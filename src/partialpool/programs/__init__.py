"""Programs: a .stan file, what it declares and states, and the toolchain that compiles it."""

from partialpool.programs.program import (
    CENTERED,
    DEFAULT,
    DRAWN_GROUPS,
    MARGINAL,
    NONCENTERED,
    RESERVED,
    SHIPPED,
    Program,
    _check_names,
    check_distinct,
    chosen,
    find_program,
    lacking,
    load,
    new_program,
    shipped_folder,
)

__all__ = [
    "CENTERED",
    "DEFAULT",
    "DRAWN_GROUPS",
    "MARGINAL",
    "NONCENTERED",
    "Program",
    "RESERVED",
    "SHIPPED",
    "_check_names",
    "check_distinct",
    "chosen",
    "find_program",
    "lacking",
    "load",
    "new_program",
    "shipped_folder",
]
