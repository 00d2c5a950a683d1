"""The three ways in which work can end early.

Every message says what was wrong, where, and what to do next; the console command prints
it and exits with the class's `exit_code`.
"""


class PartialPoolError(Exception):
    """Common base, so that `except PartialPoolError` covers all three."""

    exit_code = 1


class InputError(PartialPoolError):
    """A data file, a prior setting, an option or a Stan program is not usable as given."""

    exit_code = 2


class ToolchainError(PartialPoolError):
    """CmdStan could not be found, assembled or run, or a program could not be compiled."""

    exit_code = 3


class SamplingError(PartialPoolError):
    """Stan started and did not deliver complete draws."""

    exit_code = 4
