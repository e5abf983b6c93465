"""README.zh-CN.md says what README.md says, section by section, and the links of both lead somewhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATHS = {language: ROOT / name for language, name in (("en", "README.md"), ("zh", "README.zh-CN.md"))}
ENGLISH, CHINESE = (path.read_text(encoding="utf-8") for path in PATHS.values())

FENCE = re.compile(r"^```\w*\n.*?^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, up to the next one."""

    level: int
    title: str
    prose: str
    blocks: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """As GitHub makes it."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")

    @property
    def rows(self) -> list[str]:
        return [line for line in self.prose.splitlines() if line.startswith("|")]

    @property
    def links(self) -> list[str]:
        return LINK.findall(self.prose)

    @property
    def names(self) -> set[str]:
        """What stands in back-ticks: commands, settings, paths, metrics, fields."""
        return {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", self.prose)}

    @property
    def numbers(self) -> set[str]:
        return set(re.findall(r"\d+(?:[.,]\d+)*", re.sub(r"`[^`]+`", "", LINK.sub("", self.prose))))

    @property
    def pieces(self) -> str:
        """Paragraphs (p), items of lists (i) and tables (t) in their order."""
        lines = ["", *self.prose.splitlines()]
        return "".join(_kind(line, after) for after, line in pairwise(lines))

    def without_rows(self) -> "Section":
        prose = "\n".join(line for line in self.prose.splitlines() if not line.startswith("|"))
        return Section(self.level, self.title, prose, self.blocks)


def _kind(line: str, after: str) -> str:
    """What begins with a line: nothing where it goes on with what stands before it."""
    if line.startswith("- "):
        return "i"
    if not line or after:
        return ""
    return "t" if line.startswith("|") else "p"


def sections_of(text: str) -> list[Section]:
    """Sections in their order; a `#` inside a code block begins none."""
    blocks = [match[0] for match in FENCE.finditer(text)]
    pieces = re.split(r"^(#+) (.*)$", FENCE.sub("\0", text), flags=re.MULTILINE)
    found = []
    for marks, title, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        count = body.count("\0")
        inside = tuple(re.sub(r"^```.*\n?", "", block, flags=re.MULTILINE) for block in blocks[:count])
        del blocks[:count]
        found.append(Section(len(marks), title, body.replace("\0", ""), inside))
    return found


def commands(block: str) -> list[str]:
    """The lines of a block without their comments, which may be translated."""
    return [re.sub(r"(^|\s+)#( .*)?$", "", line) for line in block.splitlines()]


def place_of(link: str, sections: list[Section]) -> str:
    """A link to a heading as the place of that heading, so that those of two languages compare."""
    anchors = [f"#{section.anchor}" for section in sections]
    return f"#{anchors.index(link)}" if link in anchors else link


def differences(english: str, chinese: str) -> Iterator[str]:
    """Each difference, with the section it is in."""
    ours, theirs = sections_of(english), sections_of(chinese)
    for en, zh in zip_longest(ours, theirs):
        if en is None or zh is None or en.level != zh.level:
            here, there = (section and f"{'#' * section.level} {section.title}" for section in (en, zh))
            yield f"headings: {here} stands beside {there}"
            return
        # A table whose rows are checked against the code stands in README.md alone; the Chinese section links to it.
        refers = f"README.md#{en.anchor}" in zh.links
        whole = en.without_rows() if refers else en
        for what in [*block_differences(en, zh), *prose_differences(whole, zh)]:
            yield f"{en.title} / {zh.title}: {what}"
        goals = {place_of(link, ours) for link in en.links} - {"README.zh-CN.md"}
        others = {place_of(link, theirs) for link in zh.links} - {"README.md", f"README.md#{en.anchor}"}
        if goals != others:
            yield f"{en.title} / {zh.title}: links {sorted(goals ^ others)} are in one only (#n is the heading n)"


def block_differences(en: Section, zh: Section) -> Iterator[str]:
    if len(en.blocks) != len(zh.blocks):
        yield f"{len(en.blocks)} code blocks, in Chinese {len(zh.blocks)}"
    for ours, theirs in zip(en.blocks, zh.blocks, strict=False):
        for line, other in zip_longest(commands(ours), commands(theirs)):
            if line != other:
                yield f"the code has {line!r}, in Chinese {other!r}"


def prose_differences(en: Section, zh: Section) -> Iterator[str]:
    if missing := en.names - zh.names:
        yield f"not in Chinese: {sorted(missing)}"
    if more := zh.names - en.names:
        yield f"in Chinese only: {sorted(more)}"
    if missing := en.numbers - zh.numbers:
        yield f"numbers that are not in Chinese: {sorted(missing)}"
    if en.pieces != zh.pieces:
        yield f"paragraphs (p), items (i) and tables (t) are {en.pieces}, in Chinese {zh.pieces}"
    if [row.count("|") for row in en.rows] != [row.count("|") for row in zh.rows]:
        yield f"tables of {len(en.rows)} lines, in Chinese {len(zh.rows)}, or with other columns"


def test_the_chinese_readme_says_what_the_english_one_says() -> None:
    assert list(differences(ENGLISH, CHINESE)) == []


@pytest.mark.parametrize("language", PATHS)
def test_every_link_leads_somewhere(language: str) -> None:
    anchors = {path.name: {section.anchor for section in sections_of(path.read_text("utf-8"))} for path in PATHS.values()}
    here = PATHS[language].name
    broken = []
    for section in sections_of(PATHS[language].read_text("utf-8")):
        for link in section.links:
            path, _, anchor = link.partition("#")
            known = anchors.get(path or here, set())
            if not (ROOT / path).exists() or (anchor and anchor not in known):
                broken.append(f"{section.title}: {link}")
    assert broken == []


SMALL_EN = "# a\n[b](#b)\n\n## b\n`make x` takes 5 s, see [a](#a)\n\n- c\n\n| `x` |\n|---|\n| y |\n\n```\nmake x   # why\n```\n"
SMALL_ZH = (
    "# 甲\n[乙](#乙)\n\n## 乙\n`make x` 用时 5 s, 见[甲](#甲)\n\n- 丁\n\n| `x` |\n|---|\n| 丙 |\n\n```\nmake x   # 原因\n```\n"
)


def test_a_translation_does_not_differ() -> None:
    assert list(differences(SMALL_EN, SMALL_ZH)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("## 乙", "### 乙", "headings: ## b stands beside ### 乙"),
        ("\n## 乙\n", "\n", "headings: ## b stands beside None"),
        ("`make x`", "make x", "b / 乙: not in Chinese: ['make x']"),
        ("`make x`", "`make x` `y`", "b / 乙: in Chinese only: ['y']"),
        ("5 s", "6 s", "b / 乙: numbers that are not in Chinese: ['5']"),
        ("| 丙 |\n", "", "b / 乙: tables of 3 lines, in Chinese 2, or with other columns"),
        ("- 丁\n", "", "b / 乙: paragraphs (p), items (i) and tables (t) are pit, in Chinese pt"),
        ("make x   #", "make y   #", "b / 乙: the code has 'make x', in Chinese 'make y'"),
        ("[甲](#甲)", "甲", "b / 乙: links ['#0'] are in one only (#n is the heading n)"),
        ("[甲](#甲)", "[甲](#乙)", "b / 乙: links ['#0', '#1'] are in one only (#n is the heading n)"),
    ],
)
def test_what_differs_is_told_with_its_section(old: str, new: str, told: str) -> None:
    assert old in SMALL_ZH
    assert told in list(differences(SMALL_EN, SMALL_ZH.replace(old, new)))


def test_a_table_may_stay_in_english_where_the_chinese_section_links_to_it() -> None:
    chinese = SMALL_ZH.replace("- 丁\n\n| `x` |\n|---|\n| 丙 |\n", "- 见[英文表](README.md#b)\n")
    assert list(differences(SMALL_EN, chinese)) == []
