"""Installs the Debian packages that hold the real parts, where they are absent and it may."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.real.cannot import cannot

PACKAGE_OF: Mapping[str, str] = {
    "chromium": "chromium",
    "containerd": "containerd",
    "docker": "docker.io",
    "docker-compose": "docker-compose",
    "docker-registry": "docker-registry",
    "dockerd": "docker.io",
    "dot": "graphviz",
    "ldd": "libc-bin",
    "mount": "mount",
    "munged": "munge",
    "npm": "npm",
    "podman": "podman",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "runc": "runc",
    "sbatch": "slurm-client",
    "setpriv": "util-linux",
    "shellcheck": "shellcheck",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
}
"""The Debian package that brings each command."""

# A user's PATH often lacks the folders where Debian puts daemons.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

POLICY = Path("/usr/sbin/policy-rc.d")


def command_path(command: str) -> Path | None:
    """Where the command is, or None."""
    found = shutil.which(command, path=SEARCH_PATH)
    return Path(found) if found else None


def need_commands(*commands: str) -> dict[str, Path]:
    """The path of each command, after installing the Debian packages of those that are missing."""
    missing = [command for command in commands if command_path(command) is None]
    if missing:
        _install(missing)
    paths: dict[str, Path] = {}
    for command in commands:
        path = command_path(command)
        if path is None:
            cannot(f"{command} is missing although package {PACKAGE_OF[command]} is installed")
        paths[command] = path
    return paths


def _install(commands: list[str]) -> None:
    packages = sorted({PACKAGE_OF[command] for command in commands})
    wanted = f"{', '.join(commands)} missing (Debian: {' '.join(packages)})"
    if os.geteuid() != 0:
        cannot(f"{wanted}, and only root can install packages")
    if command_path("apt-get") is None:
        cannot(f"{wanted}, and this machine has no apt-get")
    with _services_kept_still():
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            # Waits for another apt that is at work instead of failing at once.
            ended = subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=300", "--quiet", *arguments],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
            if ended.returncode != 0:
                lines = (ended.stderr.strip() or ended.stdout.strip() or "no output").splitlines()
                cannot(f"{wanted}, and apt-get {arguments[0]} failed: {lines[-1]}")


@contextmanager
def _services_kept_still() -> Iterator[None]:
    """Keep the packages from starting services of their own: the tests start theirs by hand.

    By Debian's specification of policy-rc.d, exit code 101 forbids the action.
    A policy that is already there is the machine's own, and stays.
    """
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
