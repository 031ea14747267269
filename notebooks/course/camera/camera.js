// Takes a clip from the camera or from a file, shows it, and sends it to the kernel in pieces.
const PIECE = 1 << 20; // bytes: a message of Jupyter may have 10 MB
const LONGEST = 10; // seconds
const COUNTDOWN = 3;
const KINDS = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];
const REFUSALS = {
  NotAllowedError: "The browser does not let this page use the camera. Allow it beside the address bar, or choose a file.",
  NotFoundError: "No camera with a microphone was found. Plug one in, or choose a file.",
  NotReadableError: "Another program is using the camera. Close it, or choose a file.",
};
const FORM = `
  <label class="cam-agreed"><input type="checkbox"> Everyone who can be seen or heard has agreed to this clip.</label>
  <div class="cam-row">
    <button type="button" data-is="camera">Turn camera on</button>
    <button type="button" data-is="record">Record</button>
    <button type="button" data-is="choose">Choose a file…</button>
    <button type="button" data-is="delete">Delete the clip</button>
    <input type="file" accept="video/*,audio/*" hidden aria-label="a video or sound">
  </div>
  <div class="cam-stage"><video playsinline></video><div class="cam-count" aria-hidden="true"></div>
    <div class="cam-live" aria-hidden="true"></div></div>
  <label class="cam-said">Words that are said <input type="text" placeholder="exactly as spoken"></label>
  <p class="cam-status" role="status"></p>`;

function noCamera() {
  if (!window.isSecureContext) return "No camera here: browsers give it only to pages from https or localhost. Choose a file.";
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder)
    return "No camera here: this browser cannot record. Choose a file.";
  return "";
}

class Camera {
  constructor(model, el) {
    this.model = model;
    this.root = document.createElement("div");
    this.root.className = "cam";
    this.root.innerHTML = FORM;
    el.append(this.root);
    const find = (what) => this.root.querySelector(what);
    for (const name of ["camera", "record", "choose", "delete"]) this[`${name}Button`] = find(`[data-is=${name}]`);
    this.agreed = find(".cam-agreed input");
    this.file = find("input[type=file]");
    this.video = find("video");
    this.count = find(".cam-count");
    this.live = find(".cam-live");
    this.saidInput = find(".cam-said input");
    this.agreed.onchange = () => (this.agreed.checked ? this.refresh() : (this.cameraOff(), this.refresh()));
    this.cameraButton.onclick = () => (this.stream ? this.cameraOff() : this.cameraOn());
    this.recordButton.onclick = () => (this.busy ? this.stop() : this.record());
    this.chooseButton.onclick = () => this.file.click();
    this.file.onchange = () => this.file.files[0] && this.take(this.file.files[0], this.file.files[0].name);
    this.deleteButton.onclick = () => this.delete();
    this.saidInput.value = model.get("said");
    this.saidInput.onchange = () => (model.set("said", this.saidInput.value), model.save_changes());
    this.onHeld = () => this.held();
    this.onTrouble = () => model.get("trouble") && this.say(model.get("trouble"));
    model.on("change:held", this.onHeld);
    model.on("change:trouble", this.onTrouble);
    this.held();
  }

  say(text) {
    this.root.querySelector(".cam-status").textContent = text;
  }

  refresh() {
    const agreed = this.agreed.checked;
    this.cameraButton.disabled = !agreed || Boolean(noCamera()) || this.busy;
    this.recordButton.disabled = !this.stream;
    this.chooseButton.disabled = !agreed || this.busy;
    this.deleteButton.disabled = !this.model.get("held").bytes;
    this.cameraButton.textContent = this.stream ? "Turn camera off" : "Turn camera on";
    this.recordButton.textContent = this.busy ? "Stop" : "Record";
    this.root.classList.toggle("cam-mirrored", Boolean(this.stream));
    this.root.classList.toggle("cam-recording", this.recorder?.state === "recording");
    this.root.classList.toggle("cam-empty", !this.stream && !this.address);
  }

  async cameraOn() {
    try {
      const size = { width: { ideal: 640 }, height: { ideal: 480 } };
      this.stream = await navigator.mediaDevices.getUserMedia({ video: size, audio: true });
    } catch (problem) {
      this.say(REFUSALS[problem.name] || `The camera cannot be used (${problem.name}). Choose a file.`);
      return this.refresh();
    }
    this.show(null);
    Object.assign(this.video, { srcObject: this.stream, muted: true, controls: false });
    this.video.play().catch(() => {});
    this.say(`The camera is on; nothing is recorded yet. Record counts down from ${COUNTDOWN} and stops after ${LONGEST} seconds.`);
    this.refresh();
  }

  cameraOff() {
    clearInterval(this.timer);
    if (this.recorder?.state === "recording") this.recorder.stop();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.video.srcObject = null;
    this.busy = false;
    this.count.textContent = this.live.textContent = "";
    this.refresh();
  }

  record() {
    this.busy = true;
    let left = COUNTDOWN;
    this.count.textContent = left;
    this.say("Recording begins in a moment.");
    this.timer = setInterval(() => {
      left -= 1;
      this.count.textContent = left || "";
      if (!left) this.begin();
    }, 1000);
    this.refresh();
  }

  begin() {
    clearInterval(this.timer);
    const kind = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    const parts = [];
    this.recorder = new MediaRecorder(this.stream, kind && { mimeType: kind });
    this.recorder.ondataavailable = (event) => parts.push(event.data);
    this.recorder.onstop = () => {
      const type = this.recorder.mimeType;
      this.cameraOff();
      if (!this.dropped) this.take(new Blob(parts, { type }), type.includes("mp4") ? "clip.mp4" : "clip.webm");
    };
    const start = performance.now();
    const tick = () => {
      const seconds = (performance.now() - start) / 1000;
      this.live.textContent = `● recording ${seconds.toFixed(1)} s`;
      if (seconds >= LONGEST) this.stop();
    };
    this.timer = setInterval(tick, 100);
    this.recorder.start();
    tick();
    this.say("Recording. Say your sentence, then press Stop.");
    this.refresh();
  }

  stop() {
    clearInterval(this.timer);
    if (this.recorder?.state === "recording") return this.recorder.stop();
    this.cameraOff(); // during the countdown
    this.say("Stopped before anything was recorded.");
  }

  show(blob) {
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = blob && URL.createObjectURL(blob);
    this.video.srcObject = null;
    if (this.address) Object.assign(this.video, { src: this.address, muted: false, controls: true });
    else (this.video.removeAttribute("src"), (this.video.controls = false));
    this.video.load();
  }

  async take(blob, name) {
    this.cameraOff();
    this.show(blob);
    this.refresh();
    this.say("Sending the clip to the kernel.");
    this.file.value = "";
    this.model.send({ kind: "begin", name, bytes: blob.size });
    for (let start = 0; start < blob.size; start += PIECE) {
      const piece = await blob.slice(start, start + PIECE).arrayBuffer();
      this.model.send({ kind: "piece" }, undefined, [piece]);
    }
    this.model.send({ kind: "end" });
  }

  delete() {
    this.show(null);
    this.model.send({ kind: "delete" });
    this.refresh();
  }

  held() {
    const held = this.model.get("held");
    if (held.bytes) this.say(`The kernel has the clip (${(held.bytes / 1e6).toFixed(2)} MB), in a temporary folder and nowhere else.`);
    else if (held.clip) this.say("Deleted: neither the page nor the kernel has the clip any more.");
    else this.say(noCamera() || "No clip yet. The camera stays off until you turn it on.");
    if (!held.bytes && held.clip) this.show(null);
    this.refresh();
  }

  leave() {
    this.dropped = true;
    this.cameraOff();
    this.show(null);
    this.model.off("change:held", this.onHeld);
    this.model.off("change:trouble", this.onTrouble);
  }
}

export default {
  render({ model, el }) {
    const camera = new Camera(model, el);
    return () => camera.leave();
  },
};
