"""Our own faults and the user's: one line and what to do instead."""

from __future__ import annotations

from gpudoctor import exit_codes


class GpudoctorError(Exception):
    """Ends a command with one line on stderr; caught once, in `cli`."""

    exit_code: int = exit_codes.BAD_INPUT

    def __init__(self, message: str, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class InputError(GpudoctorError):
    """A command line or an input file that cannot be used: exit 2."""


class CouldNotLookError(GpudoctorError):
    """A deciding reading is unread: exit 3."""

    exit_code = exit_codes.COULD_NOT_LOOK


class LaunchError(GpudoctorError):
    """`run` never started the command: exit 125."""

    exit_code = exit_codes.NOT_STARTED
