// The page that an interviewer fills in. Everything is kept in memory and leaves as one file that a person saves.
const given = JSON.parse(document.getElementById("given").textContent);
const { form, frame, words, directions } = given;
const $ = (id) => document.getElementById(id);
const minute = () => new Date().toISOString().slice(0, 16) + ":00Z";
const fresh = () => ({
  language: form.languages[0], entry: frame.entries[0], present: [{ capacity: "interviewer", name: "" }], accommodation: false,
  acknowledged: new Set(), answers: new Map(), turns: {}, acts: [], at: 0, outcome: "heard", screen: "start", readBack: null, saved: false, returning: false,
});
let state = fresh();

const say = (key) => (words[key] ?? {})[state.language] ?? (words[key] ?? {}).en ?? key;
const text = (label) => label[state.language];
const key = (name, turn) => `${name}|${turn ?? ""}`;

// --- building ------------------------------------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on") || name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((one) => one !== null));
  return made;
}
const button = (label, onclick, className = "", more = {}) => make("button", { type: "button", className, onclick, ...more }, label);
const named = (label, input) => make("label", {}, make("span", { className: "help" }, label), input);
const select = (options, value, onchange) => {
  const made = make("select", { onchange: () => onchange(made.value) }, ...options.map(([v, label]) => make("option", { value: v }, label)));
  made.value = value;
  return made;
};

function show(children, foot = null) {
  document.documentElement.lang = state.language;
  document.documentElement.dir = directions[state.language];
  $("screen").replaceChildren(...children.filter((one) => one !== null));
  $("foot").hidden = foot === null;
  $("foot").replaceChildren(make("div", {}, ...(foot ?? [])));
  const running = ["rights", "ask", "review"].includes(state.screen);
  $("top").hidden = !running;
  if (running) {
    const day = (time) => new Intl.DateTimeFormat(state.language, { dateStyle: "long", timeZone: "UTC" }).format(new Date(time));
    const last = new Date(Date.parse(frame.period.end) - 1);
    const pods = frame.pods.length > 6 ? `${frame.pods.slice(0, 6).join(", ")} …` : frame.pods.join(", ");
    $("about").textContent = `${say("about")}: ${day(frame.period.start)} – ${day(last)} · ${frame.site} · ${pods}`;
    $("menu").replaceChildren(
      button(say("pause"), pause, "quiet"), button(say("departure"), departure, "quiet"),
      button(say("people"), people, "quiet"), state.screen === "rights" ? "" : button(say("stop"), stop, "quiet"));
  }
  window.scrollTo(0, 0);
}

function go(screen) {
  state.screen = screen;
  draw();
  $("screen").focus({ preventScroll: true });
}
const draw = () => ({ start, rights, ask, review, done })[state.screen]();

// --- before the interview --------------------------------------------------------------------------------------------------

function start() {
  const tongues = form.languages.map((code) =>
    button(given.names[code] ?? code, () => { state.language = code; draw(); }, state.language === code ? "on" : "",
      { lang: code, dir: directions[code], ariaPressed: String(state.language === code) }));
  const complete = state.present.every((one) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(one.name)) &&
    state.present.some((one) => one.capacity === "interviewer");
  const proceed = button(say("to_rights"), () => { state.started = minute(); go("rights"); }, "main", { disabled: !complete });
  const check = () => {
    proceed.disabled = !(state.present.every((one) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(one.name)) &&
      state.present.some((one) => one.capacity === "interviewer"));
  };
  const capacities = given.capacities.map((one) => [one, say(one)]);
  const rows = state.present.map((person, index) => make("div", { className: "row" },
    select(capacities, person.capacity, (value) => { person.capacity = value; check(); }),
    make("input", { value: person.name, placeholder: say("name"), ariaLabel: say("name"), maxLength: 128, autocomplete: "off", dir: "ltr",
      oninput: (event) => { person.name = event.target.value.trim(); check(); } }),
    state.present.length > 1 ? button(say("remove"), () => { state.present.splice(index, 1); draw(); }, "quiet") : null));
  const accommodation = make("input", { type: "checkbox", checked: state.accommodation, onchange: () => { state.accommodation = accommodation.checked; } });
  show([
    make("p", { className: "section" }, text(form.title)), make("h1", {}, say("start")),
    make("h2", {}, say("language")), make("div", { className: "choices tongues" }, ...tongues),
    make("h2", {}, say("entry")), select(frame.entries.map((one) => [String(one), String(one)]), String(state.entry), (value) => { state.entry = Number(value); }),
    make("h2", {}, say("present")), make("div", { className: "rows" }, ...rows),
    state.present.length < 16 ? button(say("add_person"), () => { state.present.push({ capacity: given.capacities[1], name: "" }); draw(); }, "quiet") : null,
    make("label", { className: "check" }, accommodation, say("accommodation")),
  ], ["", proceed]);
}

function rights() {
  const agree = button(say("take_part"), () => { state.rightsAt = minute(); go("ask"); }, "main");
  const check = () => { agree.disabled = state.acknowledged.size < form.rights.length; };
  const points = form.rights.map((right) => {
    const point = button("", () => {
      if (!state.acknowledged.delete(right.name)) state.acknowledged.add(right.name);
      point.classList.toggle("on", state.acknowledged.has(right.name));
      point.ariaPressed = String(state.acknowledged.has(right.name));
      check();
    }, state.acknowledged.has(right.name) ? "on" : "", { ariaPressed: String(state.acknowledged.has(right.name)) });
    point.append(make("span", { className: "tick", ariaHidden: "true" }, "✓"), make("span", {}, text(right.label)));
    return make("li", {}, point);
  });
  check();
  $("filled").style.width = "0";
  show([make("h1", {}, say("rights")), make("p", { className: "help" }, say("rights_help")), make("ul", { className: "points" }, ...points)],
    [button(say("no_part"), refuse, ""), agree]);
}

function refuse() {
  Object.assign(state, { outcome: "refused", rightsAt: state.rightsAt ?? minute(), answers: new Map(), turns: {}, readBack: null, ended: minute() });
  go("done");
}

// --- questions ---------------------------------------------------------------------------------------------------------------

const valueOf = (answer) => (answer?.status !== "answered" ? null : Array.isArray(answer.value) ? new Set(answer.value) : answer.value);
const today = () => state.started.slice(0, 10);

/** Everything that is to be shown, in order, by the answers so far: questions, notes, and whether a repeat goes on. */
function places() {
  const found = [];
  const outside = new Map();
  for (let index = 0; index < form.steps.length; index++) {
    const step = form.steps[index];
    if (step.repeat === null) { place(found, step, null, outside); continue; }
    const steps = form.steps.filter((one) => one.repeat === step.repeat);
    index += steps.length - 1;
    const repeat = form.repeats[step.repeat];
    if (!repeat.conditions.every((one) => holds(one, { answers: outside, today: today() }))) continue;
    const turns = state.turns[step.repeat] ?? 0;
    for (let turn = 0; turn < turns; turn++) {
      const inside = new Map(outside);
      for (const one of steps) place(found, one, turn, inside);
    }
    found.push({ more: step.repeat, repeat, turns, id: `more|${step.repeat}` });
  }
  return found;
}

function place(found, step, turn, answers) {
  if (!step.conditions.every((one) => holds(one, { answers, today: today() }))) { answers.set(step.name, null); return; }
  found.push({ step, turn, id: key(step.name, turn), answers: new Map(answers) });
  answers.set(step.name, valueOf(state.answers.get(key(step.name, turn))));
}

const unanswered = () => places().findIndex((one) => one.step?.item === "question" && !state.answers.has(one.id));

function ask() {
  const all = places();
  if (state.at >= all.length) { go("review"); return; }
  const here = all[state.at];
  $("filled").style.width = `${Math.round((100 * state.at) / all.length)}%`;
  const back = button(say("back"), () => { state.at--; go("ask"); }, "", { disabled: state.at === 0 });
  const on = () => {
    if (!state.returning) { state.at++; go("ask"); return; }
    const open = state.outcome === "stopped" ? -1 : unanswered();
    if (open === -1) { go("review"); return; }
    state.at = open;
    go("ask");
  };
  if (here.more !== undefined) { more(here, back, on); return; }
  if (here.step.item === "note") { show([section(here), make("h1", {}, text(here.step.label))], [back, button(say("next"), on, "main")]); return; }
  question(here, back, on);
}

const section = (here) => {
  const label = here.step?.section ?? here.repeat?.label ?? null;
  const turn = here.turn === null || here.turn === undefined ? "" : ` · ${here.turn + 1}`;
  return label === null ? null : make("p", { className: "section" }, text(label) + turn);
};

function more(here, back, on) {
  const add = () => { state.turns[here.more] = here.turns + 1; go("ask"); };
  const full = here.turns >= here.repeat.max;
  state.turns[here.more] ??= 0;
  show([make("h1", {}, text(here.repeat.label)), make("p", { className: "help" }, `${say("so_far")}: ${here.turns}`),
    make("div", { className: "choices" }, button(say("add_one"), add, "", { disabled: full }), button(say("no_more"), on))], [back, ""]);
}

function question(here, back, on) {
  const { step, turn } = here;
  const place = key(step.name, turn);
  const answer = { ...(state.answers.get(place) ?? { status: null }) };
  const next = button(say("next"), () => keep(true), "main");
  const bad = make("p", { className: "bad", role: "alert", hidden: true }, step.message ? text(step.message) : say("bad"));
  const extra = make("div", {});
  const others = make("div", { className: "others" });

  const fault = () => {
    if (answer.status !== "answered") return answer.status === null;
    if (answer.value === null || answer.value === "" || Number.isNaN(answer.value)) return true;
    const situation = { answers: here.answers, here: valueOf(answer), today: today() };
    return step.constraint !== null && !holds(step.constraint, situation);
  };
  const check = () => {
    const wrong = fault();
    bad.hidden = !(wrong && answer.status === "answered" && answer.value !== null && answer.value !== "");
    next.disabled = wrong || (answer.status === "answered" && step.tied && answer.known === undefined);
  };
  const put = (value) => {
    answer.status = value === null || value === "" ? null : "answered";
    answer.value = value;
    refresh();
  };
  const keep = (forward) => {
    if (answer.status === null) state.answers.delete(place);
    else state.answers.set(place, answer.status === "answered" ? answer : { status: answer.status });
    if (forward) on();
  };
  const refresh = () => {
    extra.replaceChildren(...(answer.status === "answered" ? further(step, answer, check) : []));
    others.replaceChildren(...given.alternatives.map((status) => button(say(status), () => {
      answer.status = status;
      for (const name of ["value", "known", "give_or_take"]) delete answer[name];
      input.replaceChildren(...inputFor(step, answer, put));
      refresh();
    }, answer.status === status ? "on" : "", { ariaPressed: String(answer.status === status) })));
    check();
  };
  const input = make("div", {}, ...inputFor(step, answer, put));
  refresh();
  show([section(here), make("h1", { id: "asked" }, text(step.label)), step.hint ? make("p", { className: "help" }, text(step.hint)) : null, input, bad, extra, others],
    [back, next]);
}

function further(step, answer, check) {
  if (!step.tied) return [];
  const ways = given.ways.map((way) => button(say(way), () => {
    answer.known = way;
    for (const one of group.children) { one.classList.toggle("on", one.dataset.way === way); one.ariaPressed = String(one.dataset.way === way); }
    check();
  }, answer.known === way ? "on" : "", { "data-way": way, ariaPressed: String(answer.known === way) }));
  const group = make("div", { className: "choices", role: "group", ariaLabel: say("known") }, ...ways);
  const margin = ["integer", "decimal", "date"].includes(step.kind)
    ? [make("h2", {}, say(step.kind === "date" ? "margin_days" : "margin")), make("input", {
      className: "small", inputMode: "decimal", value: answer.give_or_take ?? "", ariaLabel: say("margin"),
      oninput: (event) => { const n = number(event.target.value); if (n === null || n < 0) delete answer.give_or_take; else answer.give_or_take = n; } })]
    : [];
  return [make("h2", {}, say("known")), group, ...margin];
}

/** A number as people write it: digits of Arabic and Persian too. Null where it is none. */
function number(written) {
  const plain = written.trim().replace(/[\u0660-\u0669]/g, (d) => d.charCodeAt(0) - 0x660).replace(/[\u06f0-\u06f9]/g, (d) => d.charCodeAt(0) - 0x6f0).replace(/[,\u066b]/, ".");
  return /^-?\d{1,15}(\.\d{1,9})?$/.test(plain) ? Number(plain) : null;
}

function inputFor(step, answer, put) {
  if (step.kind === "integer" || step.kind === "decimal") {
    return [make("input", { className: "number", inputMode: "decimal", autocomplete: "off", "aria-labelledby": "asked", value: answer.value ?? "", oninput: (event) => {
      const n = number(event.target.value);
      put(event.target.value.trim() === "" ? null : n === null || (step.kind === "integer" && !Number.isInteger(n)) ? NaN : n);
    } })];
  }
  if (step.kind === "date" || step.kind === "time") {
    return [make("input", { type: step.kind, "aria-labelledby": "asked", value: answer.value ?? "", oninput: (event) => put(event.target.value) })];
  }
  if (step.kind === "text") {
    return [make("textarea", { maxLength: given.textMax, "aria-labelledby": "asked", value: answer.value ?? "", oninput: (event) => put(event.target.value.trim()) })];
  }
  return choices(step, answer, put);
}

function choices(step, answer, put) {
  const many = step.kind === "select_multiple";
  const options = step.choices === "pods" ? frame.pods.map((pod) => [pod, pod]) : form.lists[step.choices].map((one) => [one.name, text(one.label)]);
  const list = make("div", { className: "choices", role: "group", "aria-labelledby": "asked" });
  const fill = (part) => {
    const taken = new Set([].concat(answer.value ?? []));
    const shown = options.filter(([name, label]) => taken.has(name) || label.toLowerCase().includes(part)).slice(0, 60);
    list.replaceChildren(...shown.map(([name, label]) => button(label, () => {
      if (!many) put(name);
      else {
        if (!taken.delete(name)) taken.add(name);
        const value = options.map(([one]) => one).filter((one) => taken.has(one));
        put(value.length ? value : null);
      }
      fill(part);
    }, taken.has(name) ? "on" : "", { ariaPressed: String(taken.has(name)), value: name })));
  };
  fill("");
  const help = make("p", { className: "help" }, say(many ? "choose_many" : "choose"));
  const search = options.length > 12 ? make("input", { placeholder: say("search"), ariaLabel: say("search"), oninput: (event) => fill(event.target.value.toLowerCase()) }) : null;
  return [help, search, list].filter((one) => one !== null);
}
