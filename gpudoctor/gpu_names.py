"""Finds the product that a GPU's name means, whether a person typed it or NVML reported it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

# People leave these out, and NVML prints them for some boards of a product and not for others.
_MAY_BE_MISSING = frozenset((
    "nvidia", "geforce", "quadro", "tesla", "grid", "jetson", "nvs", "rtx", "gtx", "gt", "generation", "edition",
))  # fmt: skip
# A TITAN is told from the next only by its other words, so no more than the maker may be missing.
_MAY_BE_MISSING_OF_A_TITAN = frozenset(("nvidia", "geforce"))

# How a board is built, sold or sliced: none of these says which product it is.
_SAYS_NOTHING = frozenset((
    "nvidia", "gpu", "graphics", "card", "generation", "edition", "server", "workstation", "laptop", "mobile",
    "notebook", "embedded", "maxq", "with", "design", "passive", "oem", "lhr", "d", "ac", "lc", "sxm", "pci",
    "pcie", "express", "nvl", "hgx", "dgx", "dgxs", "fhhl", "3e", "developer", "kit", "devkit", "module",
))  # fmt: skip
# 80gb and 144g are memory, hbm3e and sxm5 the package, 24q and 10c vGPU profiles, pg509 a board's code, g1 and
# g2 the halves of a Tesla K10.
_SAYS_NOTHING_SHAPE = r"\d+(?:gb?|gib|mb)|hbm\d\w*|g?ddr\d\w*|sxm\d|nvl\d+|\d+[abcq]|pg\d{3}|g[12]"

# Words that make another product of the same number: an RTX 6000 is not an RTX 6000 Ada.
_NEXT_GENERATION = frozenset(("ada", "blackwell", "pro", "sff", "server", "workstation", "maxq"))

# rtx3090, 1080ti, rtx6000ada, h100pcie: written as one word, meant as more. The M of a 980M and the S of a V100S
# stay where they are, because those are products of their own; the D of an A100D is vGPU's word for its 80 GB.
_RUN_TOGETHER = (
    r"(?P<family>geforce|quadro|tesla|rtx|gtx|gt)?"
    r"(?P<model>a?\d{3,4}m?|[abhklmptv]\d{1,3}|g[bh]\d{3})"
    r"(?P<variant>tisuper|ti|super|ada|d|pcie|sxm\d?|nvl)?"
)
_TITAN = r"titan(x|xp|v|z|rtx|black)"
# K20c, K20m, K20Xm, K40t: cooling and revision letters of one product.
_TESLA_KEPLER = r"(k[24]0)(?:[cdmst]|st|xm?)"

# A slice is judged by its parent: "MIG 1g.5gb" as NVML says it, "-1-5C" for a vGPU backed by MIG. What follows
# a board's code ("PG509-200") is its revision.
_SLICE = re.compile(r"\bmig\b.*|-\d-\d+c(?:me)?\b|(?<=\bpg\d{3})-\d{3}\b")
_SIZE_WITH_BLANK = re.compile(r"\b(\d+) (gb|gib|mb)\b")
_NO_WORD = re.compile(r"[^a-z0-9]+")


class NameIndex(Generic[T]):
    """What `find` walks through: the words of every product's name, and what is kept under it.

    A name is taken apart when it is first in question, because most never are.
    """

    def __init__(self, products: Iterable[tuple[str, T]]) -> None:
        self._products = tuple((_NO_WORD.sub("", name.casefold()), name, value) for name, value in products)
        self._words: dict[str, frozenset[str]] = {}

    def entries(self, telling: Iterable[str] | None = None) -> Iterator[tuple[frozenset[str], T]]:
        """Words and value of every product, or at least of those that hold one of the `telling` words."""
        some = None if telling is None else tuple(telling)
        for letters, name, value in self._products:
            if some is None or any(word in letters for word in some):
                yield self._words_of(name), value

    def _words_of(self, name: str) -> frozenset[str]:
        words = self._words.get(name)
        if words is None:
            words = self._words[name] = frozenset(tokens(name))
        return words


def tokens(name: str) -> tuple[str, ...]:
    """The words of a name in one spelling: `NVIDIA A100-SXM4-40GB` is nvidia, a100, sxm4, 40gb."""
    text = _SLICE.sub(" ", name.casefold().replace("max-q", "maxq"))
    text = _SIZE_WITH_BLANK.sub(r"\1\2", _NO_WORD.sub(" ", text))
    return tuple(part for word in text.split() for part in _parts(word))


def _parts(word: str) -> tuple[str, ...]:
    if titan := re.fullmatch(_TITAN, word):
        return ("titan", titan[1])
    if word.isalpha() or word.isdecimal():  # what is run together has both, save for a TITAN
        return (word,)
    if kepler := re.fullmatch(_TESLA_KEPLER, word):
        return (kepler[1],)
    if found := re.fullmatch(_RUN_TOGETHER, word):
        variant = ("ti", "super") if found["variant"] == "tisuper" else (found["variant"],)
        return tuple(part for part in (found["family"], found["model"], *variant) if part)
    return (word,)


def index(products: Iterable[tuple[str, T]]) -> NameIndex[T]:
    """Make the products ready to be found by name."""
    return NameIndex(products)


def find(name: str, products: NameIndex[T]) -> T | None:
    """The one product that the name can mean; None when it means none, or could mean several.

    1. Every word of the product stands in the name, save those that people and NVML leave out.
    2. No word of the name is left over that could make it another product (Ti, SUPER, Ada, a number).
    3. Of the products that remain, the one with the most words in common, then with the fewest missing.
    """
    asked = frozenset(tokens(name))
    meant = [(words, value) for words, value in products.entries(asked - _MAY_BE_MISSING) if _can_mean(asked, words)]
    ranked = sorted(
        ((len(words & asked), -len(words - asked - {"nvidia"}), position) for position, (words, _) in enumerate(meant)),
        reverse=True,
    )
    if not ranked or (len(ranked) > 1 and ranked[0][:2] == ranked[1][:2]):
        return None
    words, value = meant[ranked[0][2]]
    if "quadro" in words - asked and "rtx" in words and _number_was_used_again(asked, words, products):
        return None
    return value


def _can_mean(asked: frozenset[str], words: frozenset[str]) -> bool:
    missing = words - asked
    if "pro" in asked:  # every RTX PRO is a Blackwell
        missing -= {"blackwell"}
    omittable = _MAY_BE_MISSING_OF_A_TITAN if "titan" in words else _MAY_BE_MISSING
    if not missing <= omittable or words & asked <= _MAY_BE_MISSING:
        return False
    return all(_says_nothing(word, words) for word in asked - words)


def _says_nothing(word: str, words: frozenset[str]) -> bool:
    if word in _SAYS_NOTHING or re.fullmatch(_SAYS_NOTHING_SHAPE, word):
        return True
    if word in ("tesla", "grid"):  # both stood before names that now have no family
        return words.isdisjoint(["geforce", "gtx", "gt", "quadro", "rtx", "titan", "jetson", "nvs"])
    if word == "quadro":  # still said of the boards that followed Quadro: RTX A6000, T1000
        return "geforce" not in words and ("rtx" in words or any(re.fullmatch(r"t\d{3,4}", w) for w in words))
    return word == "pascal" and {"titan", "x"} <= words and "gtx" not in words


def _number_was_used_again(asked: frozenset[str], words: frozenset[str], products: NameIndex[T]) -> bool:
    """Whether "RTX 6000" without Quadro could also mean the RTX 6000 Ada."""
    numbers = {word for word in words if word.isdigit()}
    return any(
        other != words and numbers <= other and other - asked <= _MAY_BE_MISSING | _NEXT_GENERATION
        for other, _ in products.entries()
    )


def nearest(name: str, names: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The known names most like an unknown one, best first; empty when nothing is like it."""
    from difflib import SequenceMatcher

    def plain(text: str) -> tuple[str, ...]:
        return tuple(word for word in tokens(text) if word not in _MAY_BE_MISSING)

    asked = plain(name)
    letters = sorted("".join(asked))
    matcher = SequenceMatcher(b=" ".join(asked), autojunk=False)
    ranked: list[tuple[float, str]] = []
    for known in names:
        words = plain(known)
        matcher.set_seq1(" ".join(words))
        # A number in common says most: "RTX 6000" is near "RTX 6000 Ada" and far from "RTX 3060".
        shared = sum(1.0 if any(map(str.isdigit, word)) else 0.3 for word in words if word in asked)
        transposed = 0.2 if sorted("".join(words)) == letters else 0.0  # 3900 for 3090
        likeness = matcher.ratio() + shared + transposed
        # Measured: "banana" reaches 0.6 with "Jetson Nano", "rtx 3900" 0.95 with "RTX 3090".
        if likeness >= 0.65:
            ranked.append((-likeness, known))
    return tuple(known for _, known in sorted(ranked)[:limit])
