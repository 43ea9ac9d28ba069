"""Starts one program and prints what it cost: nanoseconds, user and system seconds, peak KiB, exit code.

A process of its own, and a small one: Linux counts what a process held before it became another program into its peak,
so a program that were started by the benchmark itself would never look smaller than the benchmark.
https://man7.org/linux/man-pages/man2/getrusage.2.html (2026-11)
"""

import posix
import sys
import time


def main() -> None:
    program = sys.argv[1:]
    quiet = [
        (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
        (posix.POSIX_SPAWN_OPEN, 1, "/dev/null", posix.O_WRONLY, 0),
    ]
    began = time.perf_counter_ns()
    process = posix.posix_spawn(program[0], program, posix.environ, file_actions=quiet)
    _, status, usage = posix.wait4(process, 0)
    took = time.perf_counter_ns() - began
    code = posix.waitstatus_to_exitcode(status)
    sys.stdout.write(f"{took} {usage.ru_utime} {usage.ru_stime} {usage.ru_maxrss} {code}\n")


if __name__ == "__main__":
    main()
