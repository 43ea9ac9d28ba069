"""The processor as the kernel describes it: instruction sets, and whether a hypervisor made it."""

from __future__ import annotations

from gpudoctor.probe.world import World
from gpudoctor.readings import Reading, Unread, Why

_NAME = "/proc/cpuinfo"
# Some 2 kB for each of at most some thousand processors.
_MOST_BYTES = 16 << 20

# Of TensorFlow's own builds and of NVIDIA's. https://www.tensorflow.org/install/pip (2026-11)
_INSTRUCTION_SETS = ("avx", "avx2", "avx512f", "fma", "sse4_1", "sse4_2")

_DMI = "/sys/class/dmi/id"
# How hypervisors name their machines, and the makers that make no others; a hypervisor that hides the processor's flag,
# as passing a GPU through once required, is still known by these. systemd-detect-virt(1)
_PRODUCTS = (
    "google compute engine",
    "kvm",
    "openstack",
    "standard pc (",
    "virtual machine",  # of Microsoft, who makes computers too
    "virtualbox",
    "vmware",
)
_MAKERS = (
    "amazon ec2",
    "bochs",
    "innotek gmbh",
    "kubevirt",
    "nutanix",
    "openstack",
    "parallels",
    "qemu",
    "vmware",
    "xen",
)
_BARE_METAL = ".metal"  # p4d.metal of Amazon


def flags(world: World) -> Reading[tuple[str, ...]]:
    """Instruction sets that every processor has, sorted; empty on other architectures than x86."""
    text = _text(world)
    if isinstance(text, Unread):
        return text
    found = _flags(text)
    if found is None:
        if "vendor_id" in text or not text.strip():
            return Unread(source=_NAME, why=Why.GARBLED, detail="it names no flags of a processor")
        return ()
    return tuple(name for name in _INSTRUCTION_SETS if name in found)


def virtual_machine(world: World) -> Reading[str]:
    """Product name of a hypervisor's machine, "" on bare metal.

    1. Maker and product in the firmware's tables. 2. The flag `hypervisor` of an x86 processor.
    """
    maker, product = (_word(world, name) for name in ("sys_vendor", "product_name"))
    name = product if isinstance(product, str) and product else "virtual machine"
    if isinstance(maker, str) and isinstance(product, str) and _is_virtual(maker.lower(), product.lower()):
        return name
    text = _text(world)
    found = None if isinstance(text, Unread) else _flags(text)
    if found is not None:
        return name if "hypervisor" in found else ""
    return "" if isinstance(product, str) else product


def _is_virtual(maker: str, product: str) -> bool:
    return not product.endswith(_BARE_METAL) and (product.startswith(_PRODUCTS) or maker.startswith(_MAKERS))


def _word(world: World, name: str) -> Reading[str]:
    text = world.read(f"{_DMI}/{name}")
    if isinstance(text, Unread):
        return text
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:100]


def _text(world: World) -> Reading[str]:
    content = world.read_bytes(_NAME, most_bytes=_MOST_BYTES)
    return content if isinstance(content, Unread) else content.decode("utf-8", "replace")


def _flags(text: str) -> frozenset[str] | None:
    """Flags that all processors have, None where none has a line of them."""
    common: frozenset[str] | None = None
    # Sixteen processors in a row are alike, and their lines too.
    for line in {line for line in text.splitlines() if line.startswith("flags")}:
        name, colon, value = line.partition(":")
        if colon and name.strip() == "flags":
            found = frozenset(value.split())
            common = found if common is None else common & found
    return common
