"""What each Linux distribution calls the things that a fix installs."""

from __future__ import annotations

import re

from gpudoctor.facts import SystemFacts
from gpudoctor.readings import Unread

DRIVER_GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"
KERNEL_MODULES = f"{DRIVER_GUIDE}kernel-modules.html"
TOOLKIT_GUIDE = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"

_FAMILIES = {
    "apt": ("debian", "ubuntu"),
    "dnf": ("rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"),
    "zypper": ("suse", "sles", "opensuse", "opensuse-leap", "opensuse-tumbleweed"),
}

_FROM_NVIDIA = "# from NVIDIA's repository, see the guide"
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
    """Commands that install the driver which the distribution recommends, or NVIDIA's own repository carries.

    https://ubuntu.com/server/docs/nvidia-drivers-installation, the page NvidiaGraphicsDrivers of the Debian wiki, and
    KERNEL_MODULES (2026-11)
    """
    if system.os_id == "ubuntu":
        return ("sudo ubuntu-drivers install",)
    if system.os_id == "debian":
        return ("sudo apt-get install linux-headers-$(uname -r) nvidia-driver  # section non-free of sources.list",)
    return tuple(f"{command}  {_FROM_NVIDIA}" for command in _installs(system, "nvidia-open"))


def install_branch(system: SystemFacts, branch: int, flavour: str) -> tuple[str, ...]:
    """Commands that install one branch of the driver, with its open or its proprietary kernel module.

    KERNEL_MODULES; for Ubuntu https://ubuntu.com/server/docs/nvidia-drivers-installation; for SUSE
    https://developer.nvidia.com/blog/nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/; for older
    branches the package nvidia-tesla-470-driver of Debian and https://rpmfusion.org/Howto/NVIDIA (2026-11)
    """
    is_open = flavour == "open"
    if system.os_id == "ubuntu":
        return (f"sudo apt-get install nvidia-driver-{branch}{'-open' if is_open else ''}",)
    if system.os_id == "debian" and branch == _KEPLER_BRANCH:
        return (f"sudo apt-get install nvidia-tesla-{branch}-driver  # section non-free of sources.list",)
    if _builds_with_akmods(system) and not is_open:
        names = f"akmod-nvidia-{branch}xx xorg-x11-drv-nvidia-{branch}xx-cuda"
        return (f"sudo dnf install --allowerasing {names}  # from RPM Fusion",)
    if package_manager(system) == "apt":
        package = "nvidia-open" if is_open else "cuda-drivers"
        return (
            f"sudo apt-get install nvidia-driver-pinning-{branch} && sudo apt-get install {package}  {_FROM_NVIDIA}",
        )
    if package_manager(system) == "dnf":
        package = "nvidia-open" if is_open else "cuda-drivers"
        if _has_module_streams(system):
            stream = f"{branch}-open" if is_open else f"{branch}-dkms"
            return (f"sudo dnf -y module switch-to nvidia-driver:{stream} --allowerasing  {_FROM_NVIDIA}",)
        lock = f"sudo dnf versionlock add '*nvidia*{branch}*'"
        return (lock, f"sudo dnf install --allowerasing {package}  {_FROM_NVIDIA}")
    if package_manager(system) == "zypper":
        package = f"nvidia-open-{branch}" if is_open else f"cuda-drivers-{branch}"
        return (f"sudo zypper install --details --force-resolution {package}  {_FROM_NVIDIA}",)
    return ()


# Debian has a package of its own for the last branch that knows Kepler.
_KEPLER_BRANCH = 470


def _builds_with_akmods(system: SystemFacts) -> bool:
    return any(name.startswith("akmod-nvidia") for name in _package_names(system))


def _has_module_streams(system: SystemFacts) -> bool:
    """NVIDIA's repository has a stream for every branch for Enterprise Linux 8 and 9 and Amazon Linux 2023 alone."""
    release = system.kernel_release
    return not isinstance(release, Unread) and any(mark in release for mark in (".el8", ".el9", ".amzn2023"))


def switch_to_open_module(system: SystemFacts, branch: int) -> tuple[str, ...]:
    """Commands that change the proprietary kernel module for the open one of the same branch.

    https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/advanced-options.html (2026-11)
    """
    if system.os_id == "ubuntu":
        # Ubuntu's own packages; those of NVIDIA's repository are called nvidia-open there, too.
        installed = {name for name in _package_names(system) if name.startswith("nvidia-driver-")}
        server = "-server" if f"nvidia-driver-{branch}-server" in installed else ""
        return (f"sudo apt-get install nvidia-driver-{branch}{server}-open",)
    if package_manager(system) == "apt":
        return (f"sudo apt-get install --autoremove --purge nvidia-open  {_FROM_NVIDIA}",)
    if package_manager(system) == "dnf":
        return (f"sudo dnf install --allowerasing nvidia-open  {_FROM_NVIDIA}",)
    if package_manager(system) == "zypper":
        return (f"sudo zypper install --details --force-resolution nvidia-open  {_FROM_NVIDIA}",)
    return ()


def build_module(system: SystemFacts, release: str) -> tuple[str, ...]:
    """Commands that build the driver's module for the running kernel, by whatever builds it here.

    1. akmods, where an akmod-nvidia package is installed: https://rpmfusion.org/Howto/NVIDIA (2026-11).
    2. Ubuntu's ready-built modules, where those of another kernel are installed. 3. DKMS, after the kernel's headers:
    DRIVER_GUIDE, pre-installation actions (2026-11).
    """
    names = _package_names(system)
    if _builds_with_akmods(system):
        return (f"sudo akmods --force --kernels {release}", "sudo modprobe nvidia")
    built = next((name for name in sorted(names) if _is_ready_built(name)), None)
    if built is not None and not any("dkms" in name for name in names):
        # linux-modules-nvidia-535-open-6.8.0-79-generic, or with the name of a kernel flavour at its end
        words = built.split("-")
        kind = "-".join(word for word in words[4:6] if word in ("server", "open"))
        flavour = "-".join(("linux-modules-nvidia", words[3], *((kind,) if kind else ())))
        return (f"sudo apt-get install {flavour}-{release}", "sudo modprobe nvidia")
    return (*install_headers(system, release), "sudo dkms autoinstall", "sudo modprobe nvidia")


def _is_ready_built(name: str) -> bool:
    words = name.split("-")
    return name.startswith("linux-modules-nvidia-") and len(words) > 4 and words[3].isdecimal()


def install_headers(system: SystemFacts, release: str) -> tuple[str, ...]:
    """Command that installs what a module is built against. Source: DRIVER_GUIDE, pre-installation actions (2026-11)"""
    manager = package_manager(system)
    if manager == "apt":
        return (f"sudo apt-get install linux-headers-{release}",)
    if manager == "dnf":
        return (f"sudo dnf install kernel-devel-{release}",)
    if manager == "zypper":
        # SUSE's release ends with the kernel's variant: 6.4.0-150600.23.47-default.
        version, dash, variant = release.rpartition("-")
        return (f"sudo zypper install kernel-{variant}-devel={version}",) if dash and variant.isalpha() else ()
    return ()


def enrol_key(system: SystemFacts) -> tuple[str, ...]:
    """Command that offers the key which modules are signed with on this machine to the firmware.

    https://wiki.ubuntu.com/UEFI/SecureBoot, the page SecureBoot of the Debian wiki, and
    /usr/share/doc/akmods/README.secureboot of Fedora (2026-11)
    """
    if any(name.startswith("akmod") for name in _package_names(system)):
        return ("sudo mokutil --import /etc/pki/akmods/certs/public_key.der",)
    if system.os_id == "ubuntu":
        return ("sudo update-secureboot-policy --enroll-key",)
    if package_manager(system) in ("apt", "dnf"):
        return ("sudo mokutil --import /var/lib/dkms/mok.pub",)
    return ()


def remove_packages(system: SystemFacts, names: tuple[str, ...]) -> tuple[str, ...]:
    """Command that removes packages with their configuration."""
    listed = " ".join(names)
    manager = package_manager(system)
    if not names or not manager:
        return ()
    verb = {"apt": "apt-get purge", "dnf": "dnf remove", "zypper": "zypper remove"}[manager]
    return (f"sudo {verb} {listed}",)


def hold_packages(system: SystemFacts, names: tuple[str, ...]) -> tuple[str, ...]:
    """Command that keeps packages from being upgraded behind one's back.

    apt-mark(8), https://dnf-plugins-core.readthedocs.io/en/latest/versionlock.html, zypper(8) (2026-11)
    """
    listed = " ".join(names)
    manager = package_manager(system)
    if not names or not manager:
        return ()
    verb = {"apt": "apt-mark hold", "dnf": "dnf versionlock add", "zypper": "zypper addlock"}[manager]
    return (f"sudo {verb} {listed}",)


def driver_packages(system: SystemFacts) -> tuple[str, ...]:
    """Installed packages that hold the driver itself, not the container toolkit or CUDA; none where none are known."""
    return tuple(sorted(name for name in _package_names(system) if _DRIVER_PACKAGE.match(name)))


# Names of the driver's packages at Ubuntu, Debian, Fedora (RPM Fusion), SUSE and in NVIDIA's repositories.
# nvidia-container-toolkit, nvidia-cuda-toolkit, nvidia-docker2 and cuda-toolkit are none of them.
_DRIVER_PACKAGE = re.compile(
    r"nvidia-(tesla-|legacy-)?(\d+-|\d+xx-|current-|open-)*(driver|dkms|kernel|headless|utils|compute|compute-utils|open"
    r"|alternative|persistenced|smi|video|gl)(?!.*container)"
    r"|libnvidia-(compute|ml|cfg|gl|extra|encode|decode|fbc|ptxjitcompiler|nvvm|common)"
    r"|libcuda1|cuda-drivers|akmod-nvidia|kmod-nvidia|dkms-nvidia|xorg-x11-drv-nvidia|xserver-xorg-video-nvidia"
    r"|linux-modules-nvidia|nvidia-gfxG|nvidia-driver-G|x11-video-nvidia"
)


def _package_names(system: SystemFacts) -> tuple[str, ...]:
    return () if isinstance(system.packages, Unread) else tuple(package.name for package in system.packages)


def _installs(system: SystemFacts, package: str) -> tuple[str, ...]:
    manager = package_manager(system)
    verb = {"apt": "apt-get install", "dnf": "dnf install", "zypper": "zypper install"}
    return (f"sudo {verb[manager]} {package}",) if manager else ()


def enable_units(system: SystemFacts, *units: str) -> tuple[str, ...]:
    """Command that has systemd start units from now on; none where something else runs the machine."""
    return () if system.systemd is not True else (f"sudo systemctl enable {' '.join(units)}",)


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
