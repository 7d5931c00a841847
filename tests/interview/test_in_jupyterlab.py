"""Quizzes, flashcards and the practice widget, clicked in a real JupyterLab in headless Chromium.

Without Chromium and its driver these tests are skipped; on Debian and Ubuntu,
`apt install chromium chromium-driver` brings them. TLCOURSE_SCREENSHOTS names a folder for
pictures of what was clicked.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from tlcourse import interview
from tlcourse.progress import Progress

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHAPTERS = Path(__file__).resolve().parents[2] / "notebooks"
BROWSER, DRIVER = (
    next(filter(None, map(shutil.which, names)), None)
    for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
)
WAIT = 120  # seconds, on a machine that does other things, too


def _loopback() -> bool:
    """Whether this machine can talk to itself; cut off from all networks, some cannot."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), 5).close()
    except OSError:
        return False
    return True


pytestmark = [
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="Chromium or chromedriver is missing"),
    pytest.mark.skipif(not _loopback(), reason="there is no loopback"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a reader has: the cells of a chapter that ask, and the widget, below a formula."""
    folder = tmp_path_factory.mktemp("lab")
    [path] = CHAPTERS.glob("02_*.ipynb")
    asking = [cell.source for cell in nbformat.read(path, as_version=4).cells
              if cell.cell_type == "code" and "interview" in cell.source]  # fmt: skip
    assert len(asking) == 2
    code = [*asking, 'from tlcourse.interview.widget import Practice\n\nPractice("02")']
    cells = [nbformat.v4.new_markdown_cell("Formulas bring MathJax into the page: $x^2$")]
    cells += [nbformat.v4.new_code_cell(source) for source in code]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}),
                   folder / "asking.ipynb")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def lab(folder):
    """The address of a JupyterLab of its own, that knows nothing of the reader's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    away = folder / "away"
    quiet = away / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    env = {
        **os.environ, "TLCOURSE_HOME": str(folder / "home"), "IPYTHONDIR": str(away / "ipython"),
        **{f"JUPYTER_{name}_DIR": str(away / name) for name in ("CONFIG", "DATA", "RUNTIME")},
        "JUPYTERLAB_SETTINGS_DIR": str(away / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(away / "workspaces"),
    }  # fmt: skip
    log = (folder / "lab.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
         "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}",
         "--LabApp.expose_app_in_browser=True"],
        env=env, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    for _ in range(10 * WAIT):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None, (folder / "lab.log").read_text()
            time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/lab/tree/asking.ipynb?reset"
    process.terminate()
    process.wait(30)
    log.close()


@pytest.fixture(scope="module")
def page(lab):
    """The notebook, opened and run from top to bottom."""
    options = selenium.ChromeOptions()
    options.binary_location = BROWSER
    # In a container the browser's own sandbox and shared memory are not to be had.
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1200,1100"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    try:
        browser.set_script_timeout(WAIT)
        browser.get(lab)
        until(browser, "return window.jupyterapp && document.querySelector('.jp-CodeCell')")
        browser.execute_async_script("""
            const [done] = arguments;
            const panel = window.jupyterapp.shell.currentWidget;
            panel.context.ready.then(() => panel.sessionContext.ready)
                .then(() => window.jupyterapp.commands.execute("notebook:run-all-cells"))
                .then(() => done());
        """)
        until(browser, "return document.querySelector('.widget-vbox .jupyter-button')")
        yield browser
    finally:
        browser.quit()


def until(browser, script: str):
    return WebDriverWait(browser, WAIT).until(lambda b: b.execute_script(script), script)


def find(browser, selector: str, text: str = ""):
    """The first element that shows this text, in the middle of the window."""
    found = [e for e in browser.find_elements(By.CSS_SELECTOR, selector) if text in e.text]
    assert found, f"There is no {selector} with {text!r}."
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found[0])
    return found[0]


def take(browser, name: str) -> None:
    if where := os.environ.get("TLCOURSE_SCREENSHOTS"):
        Path(where).mkdir(parents=True, exist_ok=True)
        assert browser.save_screenshot(str(Path(where) / f"{name}.png"))


def settled(element) -> None:
    """Wait until it has stopped moving."""
    places = [None]
    WebDriverWait(element.parent, WAIT, 0.3).until(
        lambda _: places.append(element.rect) or places[-1] == places[-2]
    )


def fits(browser, inner, outer) -> bool:
    """Whether an element lies within another, both as they are drawn."""
    return browser.execute_script(
        """const [a, b] = [...arguments].map((element) => element.getBoundingClientRect());
           return a.top >= b.top && a.bottom <= b.bottom && a.left >= b.left && a.right <= b.right;
        """, inner, outer,
    )  # fmt: skip


def test_a_choice_that_is_clicked_gets_its_reason(page):
    choices = page.find_elements(By.CSS_SELECTOR, ".MCButton")
    quizzes = [entry.quiz for entry in interview.load().values()
               if entry.chapter == "02" and entry.quiz]  # fmt: skip
    assert len(choices) == sum(len(quiz.choices) for quiz in quizzes)
    take(page, "quiz")
    for choice in sorted(quizzes[0].choices, key=lambda choice: choice.correct):
        button = find(page, ".MCButton", choice.text)
        button.click()
        said = ("Right. " if choice.correct else "No. ") + choice.why
        # The answer of a question stands in its own box, and the last click counts.
        assert find(page, ".Feedback", "").text == said
        assert ("correctButton" if choice.correct else "incorrectButton") in button.get_attribute(
            "class"
        )
        take(page, f"quiz-{'right' if choice.correct else 'wrong'}")
    assert [e.text for e in page.find_elements(By.CSS_SELECTOR, ".Feedback")][1:] == [""] * (
        len(quizzes) - 1
    )


def test_a_flashcard_turns_and_its_text_fits(page):
    card = find(page, ".flip-container")
    cards = interview.flashcards("02")
    longest = max(range(len(cards)), key=lambda number: len(cards[number]["back"]))
    for number, wanted in enumerate(cards[: max(longest, 1) + 1]):
        # A card that goes slides away first.
        WebDriverWait(page, WAIT).until(
            lambda _, front=wanted["front"]: (
                card.find_element(
                    By.CSS_SELECTOR, ".frontcard .front .flashcardtext"
                ).get_attribute("innerHTML")
                == front
                and card.get_attribute("class") == "flip-container"
            )
        )
        if number in (0, 1, longest):
            settled(card.find_element(By.CSS_SELECTOR, ".frontcard .front"))
            take(page, f"card-{number}")
        card.find_element(By.CSS_SELECTOR, ".frontcard").click()
        back = card.find_element(By.CSS_SELECTOR, ".frontcard .back")
        settled(back)
        text = back.find_element(By.CSS_SELECTOR, ".flashcardtext")
        assert text.get_attribute("innerHTML") == wanted["back"]
        if number in (0, 1, longest):
            assert fits(page, text, back)
            take(page, f"card-{number}-turned")
        page.find_element(By.CSS_SELECTOR, ".next").click()


def test_the_practice_widget_keeps_a_rating(page, folder, monkeypatch):
    cards = interview.load()["extract-or-finetune"]
    assert cards.question in find(page, ".widget-vbox").text
    reveal = find(page, ".jupyter-button", "Reveal")
    take(page, "practice")
    reveal.click()
    until(page, "return !!document.querySelector('.widget-hbox .jupyter-button').offsetParent")
    assert cards.short in find(page, ".widget-vbox").text and not reveal.is_displayed()
    take(page, "practice-revealed")
    find(page, ".jupyter-button", "3 good").click()
    WebDriverWait(page, WAIT).until(lambda b: "2 of 5" in find(b, ".widget-vbox").text)
    take(page, "practice-next")
    monkeypatch.setenv("TLCOURSE_HOME", str(folder / "home"))
    with Progress() as kept:
        [review] = kept.reviews()
        assert (review.card, review.rating, review.source) == (cards.id, 3, "widget")


def test_nothing_is_asked_of_the_network_and_no_script_fails(page):
    sent = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"
    ]
    assert len(asked) > 10
    assert [
        url for url in asked if not url.startswith(("http://127.0.0.1", "data:", "blob:"))
    ] == []
    severe = [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in severe if message.startswith("javascript")] == []
