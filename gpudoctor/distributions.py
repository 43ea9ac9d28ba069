"""What each Linux distribution calls the things that a fix installs."""

from __future__ import annotations

from gpudoctor.facts import SystemFacts
from gpudoctor.readings import Unread

DRIVER_GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"
TOOLKIT_GUIDE = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"

_FAMILIES = {
    "apt": ("debian", "ubuntu"),
    "dnf": ("rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"),
    "zypper": ("suse", "sles", "opensuse", "opensuse-leap", "opensuse-tumbleweed"),
}

_KEYRING = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg"
_REPOSITORY = "https://nvidia.github.io/libnvidia-container"


def package_manager(system: SystemFacts) -> str:
    """apt, dnf or zypper, from ID and ID_LIKE of os-release; "" for any other."""
    identity = () if isinstance(system.os_id, Unread) else (system.os_id,)
    like = () if isinstance(system.os_like, Unread) else system.os_like
    for name in (*identity, *like):
        for manager, names in _FAMILIES.items():
            if name in names:
                return manager
    return ""


def install_driver(system: SystemFacts) -> tuple[str, ...]:
    """Commands that install the driver which the distribution recommends; none where it carries none.

    https://ubuntu.com/server/docs/nvidia-drivers-installation and the page NvidiaGraphicsDrivers of the Debian wiki
    (2026-11)
    """
    if system.os_id == "ubuntu":
        return ("sudo ubuntu-drivers install",)
    if system.os_id == "debian":
        return ("sudo apt-get install linux-headers-$(uname -r) nvidia-driver  # section non-free of sources.list",)
    return ()


def install_toolkit(system: SystemFacts) -> tuple[str, ...]:
    """Commands that install the NVIDIA Container Toolkit from NVIDIA's repository. Source: TOOLKIT_GUIDE (2026-11)"""
    manager = package_manager(system)
    if manager == "apt":
        return (
            f"curl -fsSL {_REPOSITORY}/gpgkey | sudo gpg --dearmor -o {_KEYRING}",
            f"curl -fsSL {_REPOSITORY}/stable/deb/nvidia-container-toolkit.list"
            f" | sed 's#deb https://#deb [signed-by={_KEYRING}] https://#'"
            " | sudo tee /etc/apt/sources.list.d/nvidia-container-toolkit.list",
            "sudo apt-get update && sudo apt-get install -y nvidia-container-toolkit",
        )
    if manager == "dnf":
        return (
            f"curl -fsSL {_REPOSITORY}/stable/rpm/nvidia-container-toolkit.repo"
            " | sudo tee /etc/yum.repos.d/nvidia-container-toolkit.repo",
            "sudo dnf install -y nvidia-container-toolkit",
        )
    if manager == "zypper":
        return (
            f"sudo zypper ar {_REPOSITORY}/stable/rpm/nvidia-container-toolkit.repo",
            "sudo zypper --gpg-auto-import-keys install -y nvidia-container-toolkit",
        )
    return ()


def rebuild_initramfs(system: SystemFacts) -> tuple[str, ...]:
    """Command that puts a changed module blacklist into the boot image."""
    manager = package_manager(system)
    if manager == "apt":
        return ("sudo update-initramfs -u",)
    return ("sudo dracut --force",) if manager in ("dnf", "zypper") else ()


REGISTER_RUNTIME = ("sudo nvidia-ctk runtime configure --runtime=docker", "sudo systemctl restart docker")
"""Makes Docker know the NVIDIA runtime. Source: TOOLKIT_GUIDE (2026-11)"""
