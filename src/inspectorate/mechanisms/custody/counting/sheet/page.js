"use strict";
// One unit after the other: scan or type every serial that is there. Nothing leaves the page but the file that a person saves.
const given = JSON.parse(document.getElementById("given").textContent);
const SERIAL = new RegExp(given.serial);
const screen_ = document.getElementById("screen");
const state = new Map(); // unit -> {outcome, at, reason, serials}
let dirty = false;

function make(tag, set, ...inside) {
  const one = Object.assign(document.createElement(tag), set);
  one.append(...inside.filter((part) => part !== null));
  return one;
}
const button = (words, act, kind = "") => make("button", { type: "button", textContent: words, onclick: act, className: kind });
const stamp = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

function show(...parts) {
  screen_.replaceChildren(...parts.filter((part) => part !== null));
  const done = given.units.filter((one) => state.has(one.unit)).length;
  document.getElementById("progress").textContent = `${done} of ${given.units.length} places done${dirty ? " · not saved" : ""}`;
}

function list() {
  const rows = given.units.map((one) => {
    const said = state.get(one.unit);
    const words = !said ? "" : said.outcome === "refused" ? " — not opened" : ` — ${said.serials.length} read`;
    return make("li", {}, button(one.place + words, () => unit(one), said ? "done" : ""));
  });
  const load = make("input", { type: "file", accept: ".json,application/json", onchange: (event) => restore(event.target.files[0]) });
  show(
    make("ul", {}, ...rows),
    make("p", { className: "bad", id: "trouble", role: "alert" }),
    make("div", { className: "acts" }, button("Save the file", save, "main"), make("label", { className: "file" }, "Go on with a saved file", load)),
  );
  screen_.focus();
}

function unit(one) {
  const before = state.get(one.unit);
  const said = before && before.outcome === "opened" ? before : { outcome: "opened", at: stamp(), serials: [] };
  const field = make("input", { type: "text", id: "serial", autocomplete: "off", spellcheck: false, autocapitalize: "characters", enterKeyHint: "done" });
  const trouble = make("p", { className: "bad", role: "alert" });
  const rows = make("ul", { id: "read" });
  const add = (text) => {
    const serial = text.trim();
    if (!serial) return;
    if (!SERIAL.test(serial)) { trouble.textContent = `${serial.slice(0, 40)} is no serial`; return; }
    if (said.serials.includes(serial)) { trouble.textContent = `${serial} was read already`; field.value = ""; return; }
    if (said.serials.length >= given.max) { trouble.textContent = "no more serials fit here"; return; }
    said.serials.push(serial); state.set(one.unit, said); dirty = true; trouble.textContent = ""; field.value = ""; draw();
  };
  const draw = () => {
    rows.replaceChildren(...[...said.serials].reverse().map((serial) => make("li", {},
      make("span", {}, serial, (one.expected ?? []).includes(serial) ? make("small", {}, " as registered") : ""),
      button("Remove", () => { said.serials.splice(said.serials.indexOf(serial), 1); dirty = true; draw(); }))));
    document.getElementById("count").textContent = `${said.serials.length} read`;
  };
  field.onkeydown = (event) => { if (event.key === "Enter") { event.preventDefault(); add(field.value); } };
  const photo = "BarcodeDetector" in window ? make("label", { className: "file" }, "Read a photo", make("input", {
    type: "file", accept: "image/*", capture: "environment", onchange: (event) => scan(event.target.files[0], add, trouble) })) : null;
  const hint = one.expected ? make("p", {}, `Registered here: ${one.expected.join(", ") || "nothing"}`) : null;
  show(
    make("h2", {}, one.place), hint,
    make("label", { htmlFor: "serial" }, "Scan or type a serial, then Enter"), field, trouble,
    make("p", { id: "count", role: "status" }), rows,
    make("div", { className: "acts" },
      button("Add", () => { add(field.value); field.focus(); }), photo,
      button("All read", () => { add(field.value); state.set(one.unit, said); dirty = true; list(); }, "main"),
      button("Not opened", () => refuse(one))),
  );
  draw();
  field.focus();
}

async function scan(file, add, trouble) {
  if (!file) return;
  try {
    const found = await new BarcodeDetector().detect(await createImageBitmap(file));
    trouble.textContent = found.length ? "" : "no code was found in the photo";
    found.forEach((code) => add(code.rawValue));
  } catch (fault) { trouble.textContent = `the photo cannot be read: ${fault.message}`; }
}

function refuse(one) {
  const field = make("input", { type: "text", id: "reason", maxLength: 4000 });
  const trouble = make("p", { className: "bad", role: "alert" });
  show(make("h2", {}, one.place), make("label", { htmlFor: "reason" }, "Why was it not opened?"), field, trouble,
    make("div", { className: "acts" }, button("It was not opened", () => {
      if (!field.value.trim()) { trouble.textContent = "write why"; return; }
      state.set(one.unit, { outcome: "refused", at: stamp(), reason: field.value.trim(), serials: [] }); dirty = true; list();
    }, "main"), button("Back", () => unit(one))));
  field.focus();
}

function result() {
  const units = given.units.filter((one) => state.has(one.unit)).map((one) => ({ unit: one.unit, ...state.get(one.unit) }));
  return { format: given.format, drawn: given.drawn, blind: given.blind, reading: given.reading, units: units.sort((a, b) => a.unit - b.unit) };
}

function save() {
  if (!state.size) { document.getElementById("trouble").textContent = "nothing was read yet"; return; }
  const url = URL.createObjectURL(new Blob([JSON.stringify(result(), null, 1)], { type: "application/json" }));
  const link = make("a", { href: url, download: `count-${given.drawn.slice(7, 19)}-${stamp().replaceAll(":", "")}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  dirty = false;
  list();
}

async function restore(file) {
  if (!file) return;
  let said;
  try { said = JSON.parse(await file.text()); } catch { said = null; }
  if (!said || said.format !== given.format || said.drawn !== given.drawn || !Array.isArray(said.units)) {
    document.getElementById("trouble").textContent = "this is no file of this count"; return;
  }
  const known = new Set(given.units.map((one) => one.unit));
  for (const one of said.units) {
    if (!known.has(one.unit) || state.has(one.unit)) continue;
    const kept = { outcome: one.outcome === "refused" ? "refused" : "opened", at: String(one.at), serials: Array.isArray(one.serials) ? one.serials.map(String) : [] };
    if (one.reason !== undefined) kept.reason = String(one.reason);
    state.set(one.unit, kept);
  }
  list();
}

addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
list();
