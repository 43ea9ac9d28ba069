"""Exit codes: the same in every command."""

WELL = 0
"""Looked, and nothing is wrong."""
WRONG = 1
"""Looked, and something is wrong."""
BAD_INPUT = 2
"""The command line or an input file cannot be used."""
COULD_NOT_LOOK = 3
"""A deciding reading is unread, and no error was found."""
NOT_STARTED = 125
"""`run` only: the command was never started."""
NOT_EXECUTABLE = 126
"""`run` only: the command is there and cannot be executed, as Docker has it."""
NOT_FOUND = 127
"""`run` only: the image has no such command, as Docker has it."""
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141
"""Whoever read our output is gone: 128 + SIGPIPE, as of any other program."""
