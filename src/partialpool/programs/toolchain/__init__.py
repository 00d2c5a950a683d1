"""Finds, installs or assembles CmdStan, compiles Stan programs, and keeps their executables."""

from partialpool.programs.toolchain.cache import cache_entries, prune_cache
from partialpool.programs.toolchain.compile import compile_program, compile_programs
from partialpool.programs.toolchain.doctor import Check, doctor
from partialpool.programs.toolchain.locate import CmdStan, find_cmdstan
from partialpool.programs.toolchain.stanc import check_syntax, format_program, program_info

__all__ = [
    "Check",
    "CmdStan",
    "cache_entries",
    "check_syntax",
    "compile_program",
    "compile_programs",
    "doctor",
    "find_cmdstan",
    "format_program",
    "program_info",
    "prune_cache",
]
