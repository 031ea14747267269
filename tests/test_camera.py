"""The camera of notebook 16, in Chromium with a fake camera that films a face, and the kernel's side of it."""

import base64
import functools
import http.server
import threading

import av
import numpy as np
import pytest
from chromium import MILLISECONDS, chromium, listen
from clip_files import face, need_models

from course.camera.widget import MOST, ClipCamera
from dmdlite.data.extract.clip import extract_clip

# A stand-in for the kernel's side of a widget: it keeps what is sent, and answers as ClipCamera does.
PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>camera</title>
<link rel="icon" href="data:,"><style>{style}</style><div id="here"></div>
<script type="module">
import camera from "./camera.js";
const state = {{said: "", held: {{clip: 0, bytes: 0}}, trouble: ""}}, heard = {{}};
window.sent = [];
window.model = {{
  get: (name) => state[name], save_changes() {{}},
  set(name, value) {{ state[name] = value; (heard[`change:${{name}}`] || []).forEach((call) => call()); }},
  on: (name, call) => (heard[name] ||= []).push(call), off() {{}},
  send: (message, _, buffers = []) => {{
    const bytes = buffers.map((x) => btoa(Array.from(new Uint8Array(x), (b) => String.fromCharCode(b)).join("")));
    sent.push([message, bytes]);
    if (message.kind === "end") model.set("held", {{clip: 1, bytes: sent.find(([m]) => m.kind === "begin")[0].bytes}});
    if (message.kind === "delete") model.set("held", {{clip: 1, bytes: 0}});
  }},
}};
window.leave = camera.render({{model, el: document.getElementById("here")}});
</script>"""


REFUSE = "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') } }"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The widget alone, on a page from localhost: only such pages and https get a camera."""
    folder = tmp_path_factory.mktemp("camera")
    (folder / "index.html").write_text(PAGE.format(style=ClipCamera._css), encoding="utf-8")
    (folder / "camera.js").write_text(str(ClipCamera._esm), encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Its camera films a photographed face, 20 pictures a second, over and over; its microphone hears beeps."""
    film = tmp_path_factory.mktemp("film") / "face.mjpeg"
    with av.open(str(film), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", 20)
        picture = face()[0]
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], picture.shape[0], "yuvj420p"
        for _ in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    fake = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    with chromium(*fake, f"--use-file-for-fake-video-capture={film}") as started:
        yield started


@pytest.fixture
def page(browser, address):
    page = browser.new_page(viewport={"width": 700, "height": 760})
    complaints = listen(page)
    page.goto(address)
    page.wait_for_function("Boolean(window.leave)")
    yield page
    page.close()
    assert complaints == []


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def status(page):
    return page.get_by_role("status").inner_text()


def record(page, seconds=1.5):
    page.get_by_role("checkbox").check()
    button(page, "Turn camera on").click()
    page.wait_for_function("document.querySelector('video').videoWidth > 0")
    button(page, "Record").click()
    page.locator(".cam-recording").wait_for()
    page.wait_for_timeout(seconds * MILLISECONDS)
    button(page, "Stop").click()
    page.wait_for_function("sent.some(([message]) => message.kind === 'end')")


def test_nothing_is_possible_before_consent(page):
    for name in ("Turn camera on", "Record", "Choose a file…", "Delete the clip"):
        assert button(page, name).is_disabled()
    assert "stays off" in status(page) and page.locator("video").is_hidden()


def test_what_the_camera_sees_reaches_the_extractor(page, tmp_path):
    need_models()
    record(page)
    widget = ClipCamera()
    for message, pieces in page.evaluate("sent"):
        widget._hear(widget, message, [base64.b64decode(piece) for piece in pieces])
    clip = extract_clip(widget.path, "")
    assert 1 < clip.seconds < 4 and clip.features["vision"][:, 0].mean() > 0.9  # a face is there
    assert clip.features["audio"].any()  # and a beep
    folder = widget.path.parent
    widget.delete()
    assert widget.path is None and list(folder.iterdir()) == []


def test_the_camera_is_off_after_a_recording_and_the_clip_can_be_seen_and_deleted(page):
    record(page)
    assert page.evaluate("document.querySelector('video').srcObject") is None
    assert page.evaluate("document.querySelector('video').src").startswith("blob:")
    assert "in a temporary folder and nowhere else" in status(page) and button(page, "Turn camera on").is_enabled()
    button(page, "Delete the clip").click()
    assert status(page).startswith("Deleted") and page.locator("video").is_hidden()
    assert page.evaluate("sent.at(-1)[0].kind") == "delete" and button(page, "Delete the clip").is_disabled()


def test_the_countdown_can_be_stopped(page):
    page.get_by_role("checkbox").check()
    button(page, "Turn camera on").click()
    button(page, "Record").click()
    assert page.locator(".cam-count").inner_text() == "3"
    button(page, "Stop").click()
    page.wait_for_timeout(3.5 * MILLISECONDS)
    assert "before anything was recorded" in status(page) and page.evaluate("sent") == []


def test_taking_consent_back_turns_the_camera_off(page):
    page.get_by_role("checkbox").check()
    button(page, "Turn camera on").click()
    button(page, "Turn camera off").wait_for()
    page.get_by_role("checkbox").uncheck()
    assert button(page, "Turn camera on").is_disabled() and button(page, "Record").is_disabled()


def test_a_large_file_is_sent_in_pieces(page, tmp_path):
    content = np.random.default_rng(0).bytes(2_500_000)
    (tmp_path / "holiday.MP4").write_bytes(content)
    page.get_by_role("checkbox").check()
    page.locator("input[type=file]").set_input_files(tmp_path / "holiday.MP4")
    page.wait_for_function("sent.some(([message]) => message.kind === 'end')")
    sent = page.evaluate("sent")
    assert [message["kind"] for message, _ in sent] == ["begin", "piece", "piece", "piece", "end"]
    widget = ClipCamera()
    for message, pieces in sent:
        widget._hear(widget, message, [base64.b64decode(piece) for piece in pieces])
    assert widget.path.read_bytes() == content and widget.path.name == "clip.mp4"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("Object.defineProperty(window, 'isSecureContext', {value: false})", "only to pages from https or localhost"),
        ("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})", "this browser cannot record"),
    ],
)
def test_without_a_camera_a_sentence_says_why_and_files_still_work(browser, address, script, said):
    page = browser.new_page()
    page.add_init_script(script)
    page.goto(address)
    page.wait_for_function("Boolean(window.leave)")
    page.get_by_role("checkbox").check()
    assert said in status(page) and "Choose a file" in status(page)
    assert button(page, "Turn camera on").is_disabled() and button(page, "Choose a file…").is_enabled()
    page.close()


def test_a_refused_camera_is_explained(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.evaluate(REFUSE)
    page.get_by_role("checkbox").check()
    button(page, "Turn camera on").click()
    page.wait_for_function("document.querySelector('[role=status]').textContent.includes('Allow it beside')")
    page.close()


def hear(*messages):
    widget = ClipCamera()
    for message in messages:
        widget._hear(widget, {"kind": message[0]} | message[1], list(message[2:]))
    return widget


def test_the_kernel_keeps_only_whole_clips_of_known_kinds():
    begin = ("begin", {"name": "../../evil.webm", "bytes": 4})
    whole = hear(begin, ("piece", {}, b"ab"), ("piece", {}, memoryview(b"cd")), ("end", {}))
    assert whole.path.name == "clip.webm" and whole.path.read_bytes() == b"abcd"
    assert whole.held == {"clip": 1, "bytes": 4} and whole.trouble == ""
    for messages, why in (
        ([("begin", {"name": "a.exe", "bytes": 4})], "end in .exe are no videos or sounds"),
        ([("begin", {"name": "a.mp4", "bytes": MOST + 1})], "100 MB"),
        ([("begin", {"name": "a.mp4", "bytes": "4"})], "100 MB"),
        ([begin, ("piece", {}, b"ab"), ("end", {})], "2 of 4 bytes arrived"),
        ([begin, ("piece", {}, b"abcde"), ("end", {})], "more bytes arrived than were announced"),
    ):
        widget = hear(*messages)
        assert why in widget.trouble and widget.path is None and widget.held["bytes"] == 0
    assert hear(("piece", {}, b"ab"), ("end", {}), ("odd", {})).path is None


def test_a_clip_does_not_outlive_its_widget():
    widget = hear(("begin", {"name": "a.wav", "bytes": 1}), ("piece", {}, b"a"), ("end", {}))
    folder = widget.path.parent
    assert folder.exists()
    widget._finalizer()
    assert not folder.exists()
