"""The revision sheet: two pages that agree with `recommend` and with the ledger."""

import re
import shutil
import subprocess

import fpdf
import pytest

from tlcourse import freezing
from tlcourse.interview import entries, sheet


@pytest.fixture(scope="module")
def content():
    return sheet.content()


def test_it_agrees_with_the_ledger(monkeypatch):
    assert sheet.contradictions() == []
    monkeypatch.setattr(entries, "status", lambda claim_id: "failed")
    assert len(sheet.contradictions()) >= 10


def test_its_table_is_that_of_recommend(content):
    head, *rows = content.start
    similarities = [cell.split()[0] for cell in head[1:]]
    assert similarities == ["low", "medium", "high"] and len(rows) == 3
    for (size, *cells), n_labels in zip(rows, (100, 1_000, 100_000), strict=True):
        for cell, similarity in zip(cells, similarities, strict=True):
            found = freezing.recommend(n_labels, similarity)
            strategy, frozen = cell.split("; ")
            ends = {"freeze the whole backbone": 1, "freeze nothing": 0}
            share = ends.get(frozen) if frozen in ends else int(re.search(r"\d+", frozen)[0]) / 100
            assert (strategy, share) == (found.strategy, found.fraction)
        low, high = re.match(r"(?:fewer than )?([\d,]+)(?: to ([\d,]+))?", size).groups()
        for border in filter(None, (low, high)):
            edge = int(border.replace(",", ""))
            inside = edge - 1 if size.startswith("fewer") else edge
            assert freezing.recommend(inside, "high") == freezing.recommend(n_labels, "high")


def test_its_rates_are_those_of_recommend(content):
    tuned, new = freezing.recommend(1_000, "medium"), freezing.recommend(10, "high")
    for name, rates in (("fine-tuning", tuned), ("new head", new)):
        low, high = re.search(rf"{name} (\S+) to ([\de-]+)", content.rates).groups()
        assert (float(low), float(high)) == rates.learning_rates


def test_every_chapter_of_the_bank_has_its_answer(content):
    firsts = {}
    for entry in entries.load().values():
        firsts.setdefault(entry.chapter, entry.short)
    assert [answer for _, answer in content.answers] == [firsts[c] for c in sorted(firsts)]


def test_the_pdf_has_two_pages_and_its_fonts(content, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "content", lambda: content)
    made = []
    monkeypatch.setattr(
        fpdf.FPDF, "output", lambda self, output=fpdf.FPDF.output: made.append(self) or output(self)
    )
    sheet.write(tmp_path / "sheet.pdf")
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF-")
    [page] = made
    assert page.pages_count == 2
    # A character that the font lacks would be printed as an empty box.
    assert not any(font.missing_glyphs for font in page.fonts.values())


def test_ten_answers_would_still_fit(content, tmp_path):
    longest = max(content.answers, key=lambda pair: len(pair[0]) + len(pair[1]))
    page = sheet._Page()
    page.add_page()
    page.headline("The questions")
    sheet._columns(page, (longest,) * 10)
    assert page.pages_count == 2 and page.get_y() < page.h - 5


def test_the_html_says_the_same(content, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "content", lambda: content)
    sheet.write(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    for text in (*content.order, *content.formulas, *(trap.check for trap in content.traps)):
        assert text.replace("'", "&#x27;") in page
    assert "http" not in page.replace("https://", "") and "<script" not in page


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is missing")
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_html_prints_on_two_pages(content, tmp_path, monkeypatch, paper):
    monkeypatch.setattr(sheet, "content", lambda: content)
    sheet.write(tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    page = page.replace("@page {", f"@page {{ size: {paper};")
    (tmp_path / "sheet.html").write_text(page, encoding="utf-8")
    subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
         f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'sheet.pdf'}",
         (tmp_path / "sheet.html").as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    printed = (tmp_path / "sheet.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.pdf or \.html"):
        sheet.write(tmp_path / "sheet.docx")
