"""Writes image layers from this machine's files into a registry: a minimal root, CPython, TensorFlow."""

import gzip
import hashlib
import io
import os
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.real.cannot import cannot
from tests.real.packages import command_path, need_commands
from tests.real.registry import BlobUpload, LocalRegistry

# What a person or a launcher expects to find in an image of NVIDIA's, and dash, bash and coreutils bring.
COMMANDS = (
    "basename", "bash", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dirname", "du", "echo",
    "env", "expr", "false", "find", "grep", "head", "hostname", "id", "kill", "ln", "ls", "mkdir", "mktemp",
    "mv", "nproc", "printf", "ps", "pwd", "readlink", "rm", "rmdir", "sed", "seq", "sh", "sleep", "sort", "stty",
    "stat", "sync", "tail", "tee", "test", "timeout", "touch", "tr", "true", "tty", "uname", "uniq", "wc",
    "whoami", "yes",
)  # fmt: skip

PASSWD = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"

# Debian has had /bin, /lib and so on as links into /usr since 2019.
MERGED = ("bin", "lib", "lib64", "sbin")

# Nothing that a program runs: CPython's own tests, its editor, its static library, Tk, and the pip of pyenv.
LIBRARY_WITHOUT = re.compile(
    r"(test|idlelib|tkinter|turtledemo|ensurepip|site-packages|lib-dynload/_tkinter\..*"
    r"|config-.*/.*\.(a|o)|.*\.opt-[12]\.pyc)(/.+)?"
)

# TensorFlow's C++ headers serve only to compile operations; NumPy's and h5py's tests only to test them.
SITE_WITHOUT = re.compile(r"(tensorflow_core/include|numpy/(.+/)?tests|h5py/tests|pip|pip-[^/]+)(/.+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer as the registry holds it."""

    name: str
    digest: str
    size_bytes: int
    """Packed, as it is pulled."""
    diff_id: str
    """The digest of the layer unpacked, which an image's configuration wants."""
    unpacked_bytes: int


class LayerWriter:
    """A tar stream into a registry; folders above a file are written before it."""

    def __init__(self, upload: BlobUpload) -> None:
        """Pack what is written, and send it."""
        self._hash = hashlib.sha256()
        self.unpacked_bytes = 0
        # Level 1: a third larger than level 9, and many times as fast.
        self._packed = gzip.GzipFile(filename="", fileobj=_Sink(upload.write), mode="wb", compresslevel=1, mtime=0)
        self._tar = tarfile.open(fileobj=_Sink(self._count), mode="w|", format=tarfile.GNU_FORMAT)  # noqa: SIM115
        self._written: set[PurePosixPath] = {PurePosixPath(".")}

    def _count(self, content: bytes) -> int:
        self._hash.update(content)
        self.unpacked_bytes += len(content)
        return self._packed.write(content)

    def folder(self, path: str, mode: int = 0o755) -> None:
        """An empty folder."""
        member = self._member(path, mode)
        if member is not None:
            member.type = tarfile.DIRTYPE
            self._tar.addfile(member)

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        member = self._member(path, 0o777)
        if member is not None:
            member.type = tarfile.SYMTYPE
            member.linkname = target
            self._tar.addfile(member)

    def text(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file with this text."""
        member = self._member(path, mode)
        if member is not None:
            member.size = len(text.encode())
            self._tar.addfile(member, io.BytesIO(text.encode()))

    def file(self, path: str, source: Path) -> None:
        """A file of this machine: what a link points to, with its mode and its time of change.

        The time counts: CPython takes byte code only when it names the time of its source.
        """
        found = source.stat()
        member = self._member(path, stat.S_IMODE(found.st_mode) & 0o755)
        if member is not None:
            member.size = found.st_size
            member.mtime = int(found.st_mtime)
            with source.open("rb") as content:
                self._tar.addfile(member, content)

    def tree(self, path: str, source: Path, without: re.Pattern[str]) -> None:
        """A folder of this machine, without what the pattern matches: a whole path relative to it."""
        for found in _walk(source, source, without):
            name = f"{path}/{found.relative_to(source)}"
            if found.is_symlink():
                self.link(name, str(found.readlink()))
            elif found.is_dir():
                self.folder(name)
            else:
                self.file(name, found)

    def close(self) -> str:
        """End the layer and give its diff id."""
        self._tar.close()
        self._packed.close()
        return f"sha256:{self._hash.hexdigest()}"

    def _member(self, path: str, mode: int) -> tarfile.TarInfo | None:
        name = PurePosixPath(path)
        if name in self._written:
            return None
        if name.parent not in self._written:
            self.folder(str(name.parent))
        self._written.add(name)
        member = tarfile.TarInfo(str(name))
        member.mode = mode
        return member


class _Sink(io.RawIOBase):
    """Hands every write on to a function: all that tarfile and gzip ask of a file."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, content: "bytes | bytearray | memoryview[int]") -> int:  # type: ignore[override]
        self._write(bytes(content))
        return len(content)


def write_layer(registry: LocalRegistry, repository: str, name: str, fill: Callable[[LayerWriter], None]) -> Layer:
    """Fill a layer and leave it in the registry."""
    with registry.blob_upload(repository) as upload:
        writer = LayerWriter(upload)
        fill(writer)
        diff_id = writer.close()
    return Layer(
        name=name,
        digest=upload.digest,
        size_bytes=upload.size_bytes,
        diff_id=diff_id,
        unpacked_bytes=writer.unpacked_bytes,
    )


def fill_base(layer: LayerWriter) -> None:
    """A root that runs a shell: the commands of this machine with the libraries they need."""
    for name in MERGED:
        layer.link(name, f"usr/{name}")
        layer.folder(f"usr/{name}")
    for name in ("dev", "home", "proc", "run", "sys", "var", "workspace"):
        layer.folder(name)
    layer.folder("root", 0o700)
    layer.folder("tmp", 0o1777)
    layer.folder("var/tmp", 0o1777)
    layer.text("etc/passwd", PASSWD)
    layer.text("etc/group", GROUP)
    layer.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    layer.file("etc/os-release", Path("/etc/os-release"))
    sources = []
    for command in COMMANDS:
        path = command_path(command)
        if path is None:
            cannot(f"the image wants the command {command}, which this machine lacks")
        sources.append(path)
        layer.file(f"usr/bin/{command}", path)
    _add_libraries(layer, sources)


def fill_python(layer: LayerWriter, prefix: Path, version: str) -> None:
    """CPython, moved to /usr/local, with `python` and `python3` on the PATH."""
    binary = prefix / "bin" / f"python{version}"
    layer.file(f"usr/local/bin/python{version}", binary)
    layer.link("usr/local/bin/python3", f"python{version}")
    layer.link("usr/local/bin/python", f"python{version}")
    library = prefix / "lib" / f"python{version}"
    layer.tree(f"usr/local/lib/python{version}", library, LIBRARY_WITHOUT)
    layer.folder(f"usr/local/lib/python{version}/site-packages")
    extensions = [path for path in library.glob("lib-dynload/*.so") if not path.name.startswith("_tkinter")]
    _add_libraries(layer, [binary, *extensions])


def fill_tensorflow(layer: LayerWriter, site_packages: Path, version: str) -> None:
    """The installed packages, and the libraries of this machine that they need and do not bring."""
    layer.tree(f"usr/local/lib/python{version}/site-packages", site_packages, SITE_WITHOUT)
    extensions = [path for path in site_packages.rglob("*.so*") if path.is_file()]
    _add_libraries(layer, extensions, brought=site_packages)


def _add_libraries(layer: LayerWriter, binaries: Iterable[Path], brought: Path | None = None) -> None:
    """Add what the dynamic linker would load for these, where it looks without being told."""
    libraries = _linked_libraries(binaries)
    folder = _merged(_linked_libraries([Path("/bin/sh")])["libc.so.6"].parent)
    for name, path in sorted(libraries.items()):
        if brought is not None and brought in path.parents:
            continue
        if name.startswith("/"):
            # The dynamic linker itself, which binaries name by its whole path.
            layer.file(_merged(Path(name)), path)
        else:
            layer.file(f"{folder}/{name}", path)


def _linked_libraries(binaries: Iterable[Path]) -> dict[str, Path]:
    """Name of each library, as the linker asks for it, and where it is on this machine."""
    ldd = need_commands("ldd")["ldd"]
    # Not an error: ldd ends with 1 when one of the files is a script or linked statically.
    told = subprocess.run(
        [str(ldd), *map(str, binaries)],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    ).stdout
    libraries: dict[str, Path] = {}
    for line in told.splitlines():
        found = re.fullmatch(r"\s+(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)", line)
        if found:
            libraries[found[1] or found[2]] = Path(found[2])
    return libraries


def _merged(path: Path) -> str:
    """The path inside the image, below /usr where Debian's links lead there."""
    parts = path.parts[1:]
    return "/".join(("usr", *parts) if parts[0] in MERGED else parts)


def _walk(folder: Path, top: Path, without: re.Pattern[str]) -> Iterator[Path]:
    for found in sorted(folder.iterdir()):
        if without.fullmatch(str(found.relative_to(top))):
            continue
        yield found
        if found.is_dir() and not found.is_symlink():
            yield from _walk(found, top, without)
