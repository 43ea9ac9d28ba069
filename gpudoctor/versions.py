"""Version numbers of drivers, CUDA, TensorFlow and GPUs: read, compare, print.

Every class keeps the text it was read from and compares by its numbers alone, missing ones counted as zero:
driver 455.45.01 equals 455.45.1, CUDA 11.1 equals 11.1.0.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

_V = TypeVar("_V", bound="Version")

# Longer numbers than any vendor prints are refused: they are not versions, and comparing them is not free.
_MAX_TEXT = 64


class VersionError(ValueError):
    """Text that is no version of the kind asked for; the message says what one looks like."""


class Version:
    """Numbers separated by dots. Immutable, hashable, ordered within its own class."""

    __slots__ = ("numbers", "text")

    kind: ClassVar[str] = "version"
    example: ClassVar[str] = "1.2.3"
    min_numbers: ClassVar[int] = 1
    max_numbers: ClassVar[int] = 6

    text: str
    numbers: tuple[int, ...]

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "numbers", self._numbers(text))

    @classmethod
    def parse(cls: type[_V], text: object) -> _V:
        """Read `text`.

        Raises VersionError when it is no text or not of this kind.
        """
        if not isinstance(text, str):
            raise VersionError(f"expected {cls.kind} as text like {cls.example!r}, found {_shown(str(text))}")
        return cls(text)

    @classmethod
    def _numbers(cls, text: str) -> tuple[int, ...]:
        return cls._split(text, text)

    @classmethod
    def _split(cls, numeric: str, text: str) -> tuple[int, ...]:
        parts = numeric.split(".") if len(text) <= _MAX_TEXT else []
        # isdecimal alone would admit digits of other scripts, which int() reads and nobody prints.
        digits = "".join(parts)
        numeric_only = digits.isascii() and digits.isdecimal() and "" not in parts
        if not numeric_only or not cls.min_numbers <= len(parts) <= cls.max_numbers:
            raise VersionError(f"{_shown(text)} is no {cls.kind}; one looks like {cls.example}")
        numbers = [int(part) for part in parts]
        while len(numbers) > 1 and numbers[-1] == 0:
            numbers.pop()
        return tuple(numbers)

    def _key(self) -> Any:
        return self.numbers

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._key() == other._key())

    def __lt__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._key() < other._key())

    def __le__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._key() <= other._key())

    def __gt__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._key() > other._key())

    def __ge__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._key() >= other._key())

    # slots and a closed __setattr__ defeat the default copy and pickle protocols
    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (type(self), (self.text,))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…")


# In the order in which they come before a release. https://peps.python.org/pep-0440/ (2026-11)
_PRERELEASE_WORDS = ("dev", "a", "alpha", "b", "beta", "rc")


class DriverVersion(Version):
    """Version of NVIDIA's kernel driver, such as 455.45.01. By hand: `cat /proc/driver/nvidia/version`."""

    __slots__ = ()
    kind = "driver version"
    example = "535.129.03"
    max_numbers = 4

    @property
    def branch(self) -> int:
        """First number: 535.129.03 is on branch 535."""
        return self.numbers[0]


class CudaVersion(Version):
    """Version of CUDA, such as 11.1 or 11.1.1."""

    __slots__ = ()
    kind = "CUDA version"
    example = "11.8"
    max_numbers = 4

    @property
    def major(self) -> int:
        """First number: inside one, minor-version compatibility holds (from 11 on)."""
        return self.numbers[0]

    @property
    def minor(self) -> int:
        """Second number, 0 where none is given."""
        return self.numbers[1] if len(self.numbers) > 1 else 0

    @classmethod
    def from_nvml(cls, number: int) -> CudaVersion:
        """NVML and the driver API give 1000 * major + 10 * minor: 11010 is 11.1."""
        return cls(f"{number // 1000}.{number % 1000 // 10}")


class ComputeCapability(Version):
    """Compute capability of a GPU, such as 8.6. By hand: `nvidia-smi --query-gpu=compute_cap --format=csv`."""

    __slots__ = ()
    kind = "compute capability"
    example = "8.6"
    min_numbers = 2
    max_numbers = 2

    @property
    def major(self) -> int:
        """Generation: native code runs inside one major only."""
        return self.numbers[0]

    @property
    def minor(self) -> int:
        """Second number: native code for X.Y runs on X.Z with Z >= Y."""
        return self.numbers[1] if len(self.numbers) > 1 else 0

    def _key(self) -> tuple[int, int]:
        return (self.major, self.minor)


class TfVersion(Version):
    """Version of TensorFlow, such as 1.15.5, 2.3 or 1.12.0-rc2: a pre-release sorts before its release."""

    __slots__ = ("prerelease",)
    kind = "TensorFlow version"
    example = "2.17.0"
    max_numbers = 3

    prerelease: str
    """rc2 of 1.12.0-rc2, "" of a release."""

    def __init__(self, text: str) -> None:
        _, dash, prerelease = text.partition("-")
        word, _ = self._prerelease(prerelease)
        if dash and word not in _PRERELEASE_WORDS:
            raise VersionError(f"{_shown(text)} is no {self.kind}; one looks like {self.example}")
        object.__setattr__(self, "prerelease", prerelease)
        super().__init__(text)

    @staticmethod
    def _prerelease(text: str) -> tuple[str, str]:
        """rc2 as ("rc", "2")."""
        word = text.rstrip("0123456789")
        return word, text[len(word) :]

    @classmethod
    def _numbers(cls, text: str) -> tuple[int, ...]:
        return cls._split(text.partition("-")[0], text)

    @property
    def minor(self) -> tuple[int, int]:
        """(1, 15) for 1.15.5: the line that users ask for."""
        return (self.numbers[0], self.numbers[1] if len(self.numbers) > 1 else 0)

    def _key(self) -> tuple[tuple[int, ...], int, int]:
        word, number = self._prerelease(self.prerelease)
        rank = _PRERELEASE_WORDS.index(word) if word else len(_PRERELEASE_WORDS)
        return (self.numbers, rank, int(number or 0))
