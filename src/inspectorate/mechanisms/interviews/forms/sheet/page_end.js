// --- reading back ----------------------------------------------------------------------------------------------------------------

function spoken(step, answer) {
  if (!answer) return "—";
  if (answer.status !== "answered") return say(answer.status);
  const labels = new Map((step.choices && step.choices !== "pods" ? form.lists[step.choices] : []).map((one) => [one.name, text(one.label)]));
  const shown = (value) => labels.get(value) ?? (step.kind === "date" ? new Intl.DateTimeFormat(state.language, { dateStyle: "long", timeZone: "UTC" }).format(new Date(value)) : String(value));
  return [].concat(answer.value).map(shown).join(", ");
}

function review() {
  const all = places();
  state.returning = false;
  $("filled").style.width = "100%";
  const rows = all.filter((one) => one.step?.item === "question").map((one) => {
    const answer = state.answers.get(one.id);
    const how = answer?.known ? ` · ${say(answer.known)}` : "";
    const margin = answer?.give_or_take === undefined ? "" : ` · ± ${answer.give_or_take}`;
    const acts = make("div", { className: "acts" },
      button(say("change"), () => { state.at = all.indexOf(one); state.returning = true; go("ask"); }, "quiet"),
      button(say("withdraw"), () => { state.answers.set(one.id, { status: "declined" }); go("review"); }, "quiet", { disabled: answer?.status === "declined" }));
    return make("div", {}, make("div", { className: "asked" }, text(one.step.label)),
      make("div", { className: "said" }, spoken(one.step, answer ?? (state.outcome === "stopped" ? { status: "not-asked" } : undefined)), make("small", {}, how + margin)), acts);
  });
  const missing = state.outcome === "heard" && all.some((one) => one.step?.item === "question" && !state.answers.has(one.id));
  const confirm = (how) => button(say(how), () => {
    state.readBack = { at: minute(), how };
    state.ended = state.readBack.at;
    go("done");
  }, "main", { disabled: missing });
  const back = button(say("back"), () => {
    const open = unanswered();
    state.outcome = "heard";
    state.at = open === -1 ? all.length - 1 : open;
    go("ask");
  });
  show([make("h1", {}, say("review")), make("p", { className: "help" }, say("review_help")), make("div", { className: "answers" }, ...rows)],
    [back, make("div", { className: "pair" }, confirm("heard"), confirm("read"))]);
}

/** What leaves: only what was confirmed, and only where it was to be asked. */
function exported() {
  const refused = state.outcome === "refused";
  const asked = refused ? [] : places().filter((one) => one.step?.item === "question");
  const answers = asked.map((one) => ({
    question: one.step.name, ...(one.turn === null ? {} : { turn: one.turn }), ...(state.answers.get(one.id) ?? { status: "not-asked" }),
  }));
  const turns = refused ? {} : Object.fromEntries(places().filter((one) => one.more !== undefined).map((one) => [one.more, one.turns]));
  return {
    format: given.format, salt: state.salt, form: given.digest, frame: given.frameDigest, entry: state.entry, language: state.language,
    started: state.started, ended: state.ended, present: state.present, accommodation: state.accommodation,
    rights: form.rights.map((right) => right.name).filter((name) => state.acknowledged.has(name)), rights_at: state.rightsAt,
    outcome: state.outcome, turns, answers, acts: state.acts, ...(state.readBack && !refused ? { read_back: state.readBack } : {}),
  };
}

function done() {
  state.salt ??= [...crypto.getRandomValues(new Uint8Array(32))].map((one) => one.toString(16).padStart(2, "0")).join("");
  const save = () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(exported(), null, 1)], { type: "application/json" }));
    make("a", { href: url, download: `interview-${state.entry}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    state.saved = true;
  };
  let sure = false;
  const erase = button(say("erase"), () => {
    if (!sure) { sure = true; erase.textContent = say("erase_sure"); return; }
    state = fresh();
    go("start");
  });
  show([make("h1", {}, say("done")), make("p", { className: "help" }, say("done_help")),
    make("div", { className: "ends" }, button(say("save"), save, "main"), erase)]);
}

// --- what may happen at any time -----------------------------------------------------------------------------------------------

function over(children, onclose = () => {}) {
  const dialog = $("over");
  dialog.replaceChildren(...children);
  dialog.onclose = onclose;
  dialog.showModal();
}
const close = () => $("over").close();

function pause() {
  const began = minute();
  over([make("h1", {}, say("pause")), make("p", { className: "help" }, say("paused")), button(say("resume"), close, "main")],
    () => state.acts.push({ act: "break", start: began, end: minute() }));
}

function departure() {
  const noted = { act: "deviation", by: "interviewer", kind: "asked-outside" };
  const box = make("textarea", { maxLength: given.textMax, ariaLabel: say("words") });
  const area = make("div", { hidden: true }, named(say("words"), box));
  const wanted = make("input", { type: "checkbox", onchange: () => { area.hidden = !wanted.checked; } });
  over([make("h1", {}, say("departure")), make("p", { className: "help" }, say("departure_help")),
    named(say("who"), select(given.speakers.map((one) => [one, say(one)]), noted.by, (value) => { noted.by = value; })),
    named(say("kind"), select(given.departures.map((one) => [one, say(one === "other" ? "other_kind" : one)]), noted.kind, (value) => { noted.kind = value; })),
    make("label", { className: "check" }, wanted, say("want_record")), area,
    make("div", { className: "ends" }, button(say("note_it"), () => {
      const words = wanted.checked ? box.value.trim() : "";
      state.acts.push({ ...noted, at: minute(), ...(words ? { words } : {}) });
      close();
    }, "main"), button(say("cancel"), close))]);
}

function people() {
  const person = { capacity: given.capacities[1], name: "" };
  const move = (act) => button(say(act), () => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(person.name)) { field.focus(); return; }
    state.acts.push({ act, at: minute(), who: { ...person } });
    close();
  }, "main");
  const field = make("input", { placeholder: say("name"), ariaLabel: say("name"), maxLength: 128, dir: "ltr", autocomplete: "off", oninput: (event) => { person.name = event.target.value.trim(); } });
  over([make("h1", {}, say("people")), make("div", { className: "rows" },
    select(given.capacities.map((one) => [one, say(one)]), person.capacity, (value) => { person.capacity = value; }), field),
  make("div", { className: "ends" }, move("came"), move("left"), button(say("cancel"), close))]);
}

function stop() {
  over([make("h1", {}, say("stop")), make("p", { className: "help" }, say("stop_help")), make("div", { className: "rows" },
    button(say("stop_keep"), () => { state.outcome = "stopped"; close(); go("review"); }, "main"),
    button(say("stop_drop"), () => { close(); refuse(); }),
    button(say("cancel"), close))]);
}

window.addEventListener("beforeunload", (event) => { if (state.screen !== "start" && !state.saved) event.preventDefault(); });
draw();
