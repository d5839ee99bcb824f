"""README.md and docs/: their command blocks do what they say, in order, on real servers."""

import pathlib
import re

from servers import ROOT

DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md"))
OWN = {"tutorial", "operations", "from-debezium", "from-flask-signalbus"}  # with tests of their own


def test_tutorial(reader, kafka, killed_servers):
    reader.follow("docs/tutorial.md", {"stop the broker": kafka.kill, "start the broker": kafka.start})


def test_readme(reader, postgres):
    postgres.create_database("shop")
    reader.follow("README.md")


def test_operations(reader, postgres):
    postgres.create_database("shop")
    reader.prepare("README.md")
    reader.follow("docs/operations.md")


def test_others(reader, postgres):
    """Commands of other documents need no more than what README makes."""
    postgres.create_database("shop")
    reader.prepare("README.md")
    for path in DOCUMENTS:
        if path.parent == ROOT / "docs" and path.stem not in OWN:
            reader.follow(path.relative_to(ROOT))


def anchors_of(text):
    """The anchors of a document's headings, as web sites that show it make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def test_links():
    for path in DOCUMENTS:
        for target, _, anchor in re.findall(r"\]\(([^)#:]*)(#([^)]+))?\)", path.read_text()):
            linked = (path.parent / target).resolve() if target else path
            assert linked.exists(), f"{path}: {target}"
            assert not anchor or anchor in anchors_of(linked.read_text()), f"{path}: #{anchor}"


def test_every_document_can_be_found_from_readme():
    assert {path.name for path in DOCUMENTS} - {"README.md"} == {
        pathlib.Path(target).name for target in
        re.findall(r"\]\(([^)#]+\.md)", (ROOT / "README.md").read_text())}
