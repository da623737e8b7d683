"""docs/guarantees.md names only tests and pages that exist."""

import re

import pytest

from harness.lakehouse import REPOSITORY

PAGE = REPOSITORY / "docs" / "guarantees.md"
TEST = re.compile(r"`(?P<file>[\w./-]+\.(?:rs|py))::(?P<name>\w+)`")
LINK = re.compile(r"\]\((?P<path>[^)#:]+)(?:#[\w-]+)?\)")


def named_tests():
    return sorted({(match["file"], match["name"]) for match in TEST.finditer(PAGE.read_text())})


def test_the_page_names_tests():
    assert len(named_tests()) > 50


@pytest.mark.parametrize("file, name", named_tests())
def test_a_test_that_the_page_names_exists(file, name):
    path = REPOSITORY / file
    assert path.exists(), f"{file} is not there"
    assert re.search(rf"\b(?:fn|def) {name}\b", path.read_text()), f"{file} has no {name}"


def test_every_page_that_it_links_to_exists():
    missing = [link for link in LINK.findall(PAGE.read_text()) if not (PAGE.parent / link).exists()]
    assert not missing, missing
