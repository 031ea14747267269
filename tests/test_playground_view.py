"""The playground as a student meets it: from a file, with a pointer, with keys alone, by a link."""

import json
import re

import book
import pytest
from chromium import browser, listen

from course.playground.page import module
from course.playground.page import page as playground_page
from course.playground.widget import Playground
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS

__all__ = ["browser"]  # a fixture
LAPTOP, PROJECTOR = {"width": 1280, "height": 720}, {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("playground") / "playground.html"
    file.write_text(playground_page(), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def page(browser, address):
    page = browser.new_page(viewport=LAPTOP)
    complaints, asked = listen(page), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page
    assert complaints == [] and not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()


def state(page):
    return page.evaluate("playground.state()")


def arrow(page, source, target):
    return page.get_by_role("slider", name=f"{source} teaches {target}")


def said(page):
    return page.locator(".pg-sentence").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PROJECTOR], ids=["laptop", "projector"])
def test_it_fits_on_one_screen(browser, address, size, scheme):
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.goto(address)
    page.evaluate("playground.set('labels', {audio: 0.35}); playground.run(30)")
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        size["width"], size["height"],
    ]  # fmt: skip
    cut = page.evaluate(
        "[...document.querySelectorAll('.pg *')].filter(x => x.children.length === 0 && x.textContent"
        " && !x.closest('svg, .pg-speed, .pg-live, select') && getComputedStyle(x).display !== 'inline'"
        " && x.scrollWidth > x.clientWidth + 1).map(x => x.textContent)"
    )
    outside = page.evaluate(
        "[...document.querySelectorAll('.pg :is(button, input, .pg-value, p, text, canvas)')].filter(x => {"
        "const box = x.getBoundingClientRect(); return box.right > innerWidth + 1 || box.bottom > innerHeight + 1 ||"
        " box.left < 0 || box.top < 0}).map(x => x.outerHTML.slice(0, 80))"
    )
    assert cut == [] and outside == []
    smallest = page.evaluate(
        "(() => { const box = document.querySelector('.pg-svg').getBoundingClientRect(),"
        " scale = Math.min(box.width / 620, box.height / 440);"
        " return Math.min(...[...document.querySelectorAll('.pg *')].filter(x => x.textContent.trim()).map(x =>"
        " parseFloat(getComputedStyle(x).fontSize) * (x.closest('svg') ? scale : 1))) })()"
    )
    assert smallest >= 14  # pixels, to be read from the last row
    page.close()


def test_colours_are_those_of_the_course(page):
    for m in MODALITIES:
        colour = page.evaluate(f"getComputedStyle(document.querySelector('.pg')).getPropertyValue('--{m}')")
        assert colour.strip().lower() == COLOURS[m].lower()


def test_an_arrow_is_dragged_while_the_students_learn(page):
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("playground.state().step > 5")
    box = page.locator(".pg-arrow[aria-label='audio teaches vision'] .pg-shaft").bounding_box()
    x, y = box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for moved in range(10, 61, 10):
        page.mouse.move(x, y + moved)  # audio → vision is the lower one of the pair: outwards is down
    page.mouse.up()
    now = state(page)
    assert now["step"] > 5 and now["edges"]["homogeneous"][2][1] > 0.5
    assert arrow(page, "audio", "vision").get_attribute("aria-valuetext").endswith("set by hand")
    assert page.locator(".pg-shaft").nth(5).bounding_box()["height"] > box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 200)
    page.mouse.up()
    assert state(page)["edges"]["homogeneous"][2][1] == 0
    page.mouse.dblclick(x, y)
    assert "learned" in arrow(page, "audio", "vision").get_attribute("aria-valuetext")


def test_keys_alone_reach_and_move_everything(page):
    reached = []
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.dataset.is"
                " || document.activeElement.value || document.activeElement.textContent"
            )
        )
    arrows = {f"{source} teaches {target}" for source in MODALITIES for target in MODALITIES if source != target}
    controls = {"play", "step", "reset", "speed", "preset", "labels", *MODALITIES, "noise", "lessons", "prior"}
    others = {"Good teacher", "Copy link", "homogeneous", "strength of the chosen arrow"}
    assert arrows | controls | others <= set(reached)
    arrow(page, "language", "audio").focus()
    for key, expected in (("End", 1.0), ("ArrowDown", 0.95), ("PageDown", 0.7), ("Home", 0.0)):
        page.keyboard.press(key)
        assert state(page)["edges"]["homogeneous"][0][2] == pytest.approx(expected)
    assert arrow(page, "language", "audio").get_attribute("aria-valuetext") == "off"
    page.keyboard.press("l")
    assert 0 < state(page)["edges"]["homogeneous"][0][2] < 1
    page.keyboard.press(" ")
    page.wait_for_function("playground.state().step > 2")


def test_a_screen_reader_finds_a_name_at_every_control(page):
    named = page.locator("main").aria_snapshot()
    controls = [
        line.strip(" -:") for line in named.splitlines() if re.match(r" *- (button|slider|radio|switch|combobox)", line)
    ]
    assert len(controls) == 35 and all('"' in control.split(":")[0] for control in controls)
    page.locator("[data-is=labels]").fill("50")
    assert (
        page.get_by_role("slider", name="Labelled clips", exact=True).get_attribute("aria-valuetext")
        == "50 % (60 of 120)"
    )
    live = page.locator("[aria-live], output, [role=status]")
    assert live.count() == 1  # numbers that change sixty times a second are not read out


def test_the_sentence_says_what_happens(page):
    assert said(page).startswith("All six arrows are left to learn. Nothing is learned yet")
    page.get_by_role("button", name="Bad teacher").click()
    page.get_by_role("button", name="Pause").click()
    page.evaluate("playground.run(100)")
    assert said(page).startswith("Audio is the only teacher. So far language errs 0.")
    assert "points more than alone" in said(page)
    page.locator("[data-is=preset]").select_option("no distillation")
    assert said(page).startswith("All arrows are off: nobody teaches.")
    page.evaluate("playground.set('lessons', 0); playground.setEdge('homogeneous', 'audio', 'vision', 1)")
    assert said(page).startswith("Lessons weigh nothing")
    assert page.locator(".pg-live[aria-live=polite]").text_content() == said(page)  # and a screen reader hears it


def test_situations_ask_a_question_and_are_recognised(page):
    pressed = page.locator(".pg-try [aria-pressed=true]")
    assert pressed.count() == 0 and page.locator(".pg-question").inner_text().startswith("Try the buttons above")
    for button in page.locator(".pg-try button").all():
        button.click()
        assert pressed.all_inner_texts() == button.all_inner_texts()
        assert page.locator(".pg-question").inner_text().endswith("?")
    outlines = [path.get_attribute("d") != "" for path in page.locator(".pg-aimed").all()]
    assert outlines == [True, True, False, False, False, False]  # where the prior pulls: language teaches
    page.evaluate("playground.setEdge('homogeneous', 'audio', 'vision', 1)")
    assert pressed.count() == 0 and page.locator(".pg-question").inner_text().startswith("Your own experiment")


def test_the_graph_stays_where_it_is_while_words_change(page):
    """An arrow must not move away under the pointer."""
    places = set()
    for button in page.locator(".pg-try button").all():
        button.click()
        page.evaluate("playground.run(60)")
        places.add(json.dumps(page.locator(".pg-svg").bounding_box()))
    page.evaluate(
        "playground.begin({preset: 'audio teaches', labels: {vision: 0.2, audio: 0.1, language: 1}});"
        "for (const m of ['vision', 'audio']) playground.setEdge('homogeneous', 'language', m, 'learned');"
        "playground.run(100)"
    )
    assert "softmax" in said(page)  # the longest sentence
    assert len(places | {json.dumps(page.locator(".pg-svg").bounding_box())}) == 1


def test_back_through_the_run_and_on_again(page):
    page.evaluate("playground.set('noise', 1); playground.run(40); playground.set('labels', 0.5); playground.run(20)")
    there = state(page)
    page.locator("[data-is=scrub]").fill("33")
    assert page.locator(".pg-scrub span").inner_text() == "step 33 of 60"
    page.get_by_role("button", name="Step", exact=True).click()
    assert state(page)["step"] == 34
    assert page.locator("[data-is=labels]").input_value() == "100"  # as it was at that step
    page.evaluate("playground.run(6); playground.set('labels', 0.5); playground.run(20)")
    assert state(page) == there


def test_a_link_carries_the_whole_state(browser, page, address):
    page.evaluate(
        "playground.set('world', 'audio'); playground.run(12);"
        "playground.setEdge('homogeneous', 'audio', 'vision', 0.35); playground.set('labels', {vision: 0});"
        "playground.run(30); playground.setEdge('heterogeneous', 'vision', 'audio', 'off')"
    )
    page.get_by_role("radio", name="heterogeneous").check()
    arrow(page, "audio", "language").focus()
    page.locator("[data-is=speed]").select_option("60")
    link, there = page.evaluate("playground.link()"), state(page)
    assert len(link) < 2000
    other = browser.new_page(viewport=LAPTOP)
    other.goto(address + link)
    other.wait_for_function("playground.state().step === 42")
    assert state(other) == there and other.locator("[value=heterogeneous]").is_checked()
    assert other.locator(".pg-inspect strong").inner_text() == "audio → language"
    assert other.locator("[data-is=speed]").input_value() == "60"
    other.goto(address + "#state=bm9uc2Vuc2U")
    other.wait_for_function("document.querySelector('.pg-sentence').textContent.startsWith('this link holds no state')")
    other.close()


def test_the_other_space_catches_up(page):
    page.evaluate("playground.run(20)")
    page.get_by_role("radio", name="heterogeneous").check()
    shown = page.locator(".pg-node.pg-audio .pg-error").text_content
    assert float(shown()) == pytest.approx(state(page)["errors"]["heterogeneous"]["audio"], abs=0.006)
    page.get_by_role("radio", name="homogeneous").check()
    assert float(shown()) == pytest.approx(state(page)["errors"]["homogeneous"]["audio"], abs=0.006)


def test_it_stands_in_the_book_and_in_notebooks(tmp_path):
    assert "playground.html" in json.dumps(book.build.__code__.co_consts)  # see test_book.py
    widget = Playground(world="vision", preset="vision teaches")
    assert widget.situation == {"world": "vision", "preset": "vision teaches"}
    data = widget._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["text/plain"] == repr(widget) and "JupyterLab" in repr(widget)


def ring(page):
    return page.evaluate(
        "[getComputedStyle(document.activeElement).outlineStyle,"
        " getComputedStyle(document.activeElement.querySelector('.pg-pill')).strokeWidth]"
    )


def test_only_the_keyboard_shows_a_focus_ring_on_an_arrow(page):
    box = page.locator(".pg-arrow[aria-label='audio teaches vision'] .pg-shaft").bounding_box()
    x, y = box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2
    page.get_by_role("button", name="Reset").click()  # from here on the browser knows that a mouse is used
    page.mouse.dblclick(x, y)
    assert ring(page) == ["none", "1.5px"]  # off
    page.keyboard.press("ArrowUp")
    assert ring(page) == ["none", "4px"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 40)
    page.mouse.up()
    assert ring(page) == ["none", "2px"]


def test_reset_while_playing_begins_at_step_0(page):
    page.evaluate(  # pictures come late, so that at each of them steps are due
        "const frame = requestAnimationFrame; window.requestAnimationFrame = (f) => frame((time) => f(time + 500)); 0"
    )
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("playground.state().step > 3")
    page.get_by_role("button", name="Reset").click()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert state(page)["step"] == 0 and page.locator(".pg-scrub span").inner_text() == "step 0 of 0"


@pytest.fixture
def told(page):
    """The sentence for these strengths and these settings of the arrows."""
    names = "window.words = { sentence, changed, startSettings, withEdge };"
    page.add_script_tag(type="module", content=module() + names)
    page.wait_for_function("window.words")

    def tell(strengths, apart=((0, 0.1, 0.3), (0.1, 0, 0.2), (0.3, 0.2, 0)), held=(), prior=False, playing=False):
        return page.evaluate(
            "([edges, apart, held, prior, playing]) => { const { sentence, changed, startSettings, withEdge } = words;"
            " let settings = changed(startSettings(), 'prior', prior);"
            " for (const edge of held) settings = withEdge(settings, 'homogeneous', ...edge);"
            " const errors = [0.3, 0.52, 0.9].map((mean) => ({ mean })), control = errors.map(() => ({ mean: 0.8 }));"
            " return sentence({ settings, edges, apart, errors, control }, 'homogeneous', 9, playing); }",
            [strengths, apart, held, prior, playing],
        )

    return tell


def test_the_sentence_names_the_widest_arrows(told):
    one_way = (0, 0.36, 0.1), (0.04, 0, 0.1), (0.11, 0.29, 0)
    two_way = (0, 0.36, 0.1), (0.3, 0, 0.1), (0.1, 0.04, 0)
    why = "arrows are trained to make the distillation loss small (Eq. 9), not to help anybody."
    assert f"the widest is language → vision (0.36), where answers differ least, because {why}" in told(one_way)
    assert "the widest are those between language and vision, where answers differ least" in told(two_way)
    far = told(one_way, apart=((0, 0.3, 0.1), (0.3, 0, 0.2), (0.1, 0.2, 0)))
    assert f"the widest is language → vision (0.36); {why}" in far and "differ" not in far
    assert "the prior pulls them: the widest is language → vision (0.36)." in told(two_way, prior=True)
    by_hand = [("language", "vision", 0.5), ("language", "audio", "off")]
    mixed = ((0, 0.5, 0), (0.1, 0, 0.17), (0.1, 0.1, 0))
    assert "4 arrows learn; the widest of the learned arrows is vision → audio (0.17)." in told(mixed, held=by_hand)


def test_the_sentence_has_no_numbers_that_lag_while_playing(told):
    edges = ((0, 0.36, 0.1), (0.04, 0, 0.1), (0.11, 0.29, 0))
    assert "half as much as alone (0.30 instead of 0.80 points), vision errs 0.28 points less" in told(edges)
    playing = told(edges, playing=True) + told(edges, playing=True, held=[("vision", "audio", 0.1)])
    assert not re.search(r"\d\.\d", playing) and "language errs half as much as alone, vision errs less" in playing


def test_a_change_of_labels_or_noise_on_the_way_asks_for_a_reset(page):
    question = page.locator(".pg-question").inner_text
    page.evaluate("playground.set('noise', 0.5); playground.run(5)")
    assert "Reset" not in question()
    for change in ("'noise', 1", "'labels', { audio: 0.5 }"):
        page.evaluate(f"playground.set({change})")
        assert question() == "Labels or noise changed: Reset for a fair comparison."
        page.get_by_role("button", name="Reset").click()
        page.evaluate("playground.run(5)")
        assert question().startswith("Your own experiment")


def test_what_a_click_says_moves_nothing(page):
    places = "[...document.querySelectorAll('.pg-head button')].map(x => JSON.stringify(x.getBoundingClientRect()))"
    before = page.evaluate(places)
    for text in ("Link copied", "See address bar"):
        page.evaluate(f"document.querySelector('.pg-copy').textContent = '{text}'")
        assert page.evaluate(places) == before


def test_the_longest_sentence_about_learned_arrows_fits(page):
    page.evaluate("playground.begin({labels: {language: 1, vision: 0.1, audio: 0}}); playground.run(45)")
    assert "Eq. 9" in said(page)
    assert page.locator(".pg-sentence").evaluate("x => x.scrollHeight <= x.clientHeight")
