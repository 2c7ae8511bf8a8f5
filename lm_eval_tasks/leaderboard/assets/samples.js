"use strict";
/* The sample browser. Everything that is shown goes in by textContent; the address after # holds the whole state. */
(() => {
  const LIST_LENGTH = 40;
  const SHOWN_CHARS = 6000;
  const site = anchor.embedded("samples-data");
  const byId = (id) => document.getElementById(id);
  const controls = { task: byId("task"), a: byId("a"), b: byId("b"), show: byId("show"), criterion: byId("criterion"),
                     verdict: byId("verdict"), order: byId("order"), find: byId("find"), texts: byId("texts") };
  const DEFAULTS = { task: "", a: "", b: "", show: "all", criterion: "", verdict: "", order: "", find: "", texts: "", q: "", s: "0", t: "0" };
  let state = { ...DEFAULTS };
  let view = null;      // the loaded task and runs
  let matches = [];     // indices of the questions in the list
  let page = 0;         // page of the list
  let turn = 0;         // counts changes of state, so that what was loaded too late is dropped

  function el(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (name in node && typeof value !== "string") node[name] = value;
      else if (name === "className" || name === "textContent") node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const number = (value, digits = 1) => value.toFixed(digits).replace("-", "\u2212");
  const signed = (value, digits = 0) => {
    const text = number(value, digits);
    return Number(value.toFixed(digits)) > 0 ? "+" + text : text.replace(/^\u2212(0(\.0*)?)$/, "$1");
  };

  // ---- the address ------------------------------------------------------------------------------------------

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const read = { ...DEFAULTS };
    for (const key of Object.keys(DEFAULTS)) if (given.has(key)) read[key] = given.get(key);
    const task = site.tasks.find((one) => one.key === read.task) || site.tasks[0];
    const runs = task.runs.map((run) => run.key);
    read.task = task.key;
    if (!runs.includes(read.a)) read.a = runs.find((key) => key !== task.baseline && key !== read.b) || runs[0];
    if (read.b !== "-" && !runs.includes(read.b)) {
      read.b = task.baseline && task.baseline !== read.a ? task.baseline : runs.find((key) => key !== read.a) || "-";
    }
    if (!task.criteria.some(([key]) => key === read.criterion)) read.criterion = "";
    if (!Object.hasOwn(FILTERS, read.show)) read.show = "all";
    if (!task.verdicts.includes(read.verdict)) read.verdict = "";
    if (!["losses", "wins"].includes(read.order)) read.order = "";
    return read;
  }

  function address(changes) {
    const next = { ...state, ...changes };
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(next)) if (value !== DEFAULTS[key]) parameters.set(key, value);
    return "#" + parameters.toString();
  }

  function go(changes, replace = false) {
    const target = address(changes);
    if (target === location.hash) return;
    if (replace) { history.replaceState(null, "", target); update(); } else location.hash = target;
  }

  // ---- marks --------------------------------------------------------------------------------------------------

  function decode(index, task) {
    const width = 2 + task.criteria.length;
    return index.marks.map((marks, question) => {
      if (marks === null) return null;
      const samples = [];
      for (let at = 0; at < marks.length; at += width) {
        const places = [...marks.slice(at + 2, at + width)].map((digit) => (digit === "-" ? null : parseInt(digit, 36)));
        samples.push({ state: marks[at], choice: marks[at + 1], places, score: index.scores[question][samples.length],
                       chosen: index.choices[question][samples.length] });
      }
      return samples;
    });
  }

  // Wins minus losses over all pairs of judged samples, as a share; null if there are none.
  function margin(a, b, criterion) {
    if (!a || !b) return null;
    const value = (sample) => (criterion < 0 ? sample.score : sample.places[criterion] === null ? null : -sample.places[criterion]);
    const left = a.filter((sample) => sample.state === "j").map(value).filter((one) => one !== null);
    const right = b.filter((sample) => sample.state === "j").map(value).filter((one) => one !== null);
    if (!left.length || !right.length) return null;
    let balance = 0;
    for (const x of left) for (const y of right) balance += Math.sign(x - y);
    return balance / (left.length * right.length);
  }

  const some = (samples, test) => samples !== null && samples.some(test);
  const FILTERS = {
    all: () => true,
    losses: (a, b, difference) => difference !== null && difference < 0,
    wins: (a, b, difference) => difference !== null && difference > 0,
    ties: (a, b, difference) => difference === 0,
    wrong: (a) => some(a, (sample) => sample.choice === "0"),
    allwrong: (a) => a !== null && a.every((sample) => sample.choice === "0"),
    worseanswers: (a, b) => a !== null && b !== null && accuracy(a) < accuracy(b),
    unreadable: (a, b) => [a, b].some((samples) => some(samples, (one) => one.state === "x" || (one.choice === "?" && one.state !== "f"))),
    unjudged: (a, b) => [a, b].some((samples) => some(samples, (one) => one.state === "u" || one.state === "n")),
  };
  const accuracy = (samples) => samples.filter((sample) => sample.choice === "1").length / samples.filter((sample) => sample.state !== "f").length;

  // ---- loading ------------------------------------------------------------------------------------------------

  async function loadView(task, a, b) {
    const folder = `data/${task.key}`;
    const run = async (key) => {
      if (key === "-") return null;
      const index = await anchor.load(`${folder}/${key}/index.js`, `${task.key}/${key}/index`);
      const name = task.runs.find((one) => one.key === key).name;
      return { key, name, starts: index.pages, prompts: index.prompts, judge: index.judge, samples: decode(index, task) };
    };
    const [questions, left, right] = await Promise.all([
      anchor.load(`${folder}/questions.js`, `${task.key}/questions`), run(a), run(b)]);
    return { task, questions, a: left, b: right };
  }

  function pageOf(run, question) {
    let number = run.starts.length - 1;
    while (number > 0 && run.starts[number] > question) number -= 1;
    return number;
  }

  async function prompt(run, question) {
    const number = pageOf(run, question);
    const [head, rest] = await anchor.load(`data/${view.task.key}/${run.key}/prompts-${number}.js`, `${view.task.key}/${run.key}/prompts-${number}`);
    const turns = rest[question - run.starts[number]];
    return turns === null ? null : [...head, ...turns];
  }

  async function judgePrompt(run, question, sample, explanation) {
    const number = pageOf(run, question);
    const [system, pieces, rows] = await anchor.load(`data/${view.task.key}/${run.key}/judge-${number}.js`, `${view.task.key}/${run.key}/judge-${number}`);
    const [shown, exceptions, choices, right, reference] = rows[question - run.starts[number]];
    const parts = [shown, explanation, choices?.[sample], right, reference];
    const user = exceptions[sample] ?? pieces.map((piece) => (typeof piece === "number" ? parts[piece] : piece)).join("");
    return [["system", system], ["user", user]];
  }

  async function texts(run, question) {
    if (!run || !run.samples[question]) return null;
    const number = pageOf(run, question);
    const rows = await anchor.load(`data/${view.task.key}/${run.key}/${number}.js`, `${view.task.key}/${run.key}/${number}`);
    return rows[question - run.starts[number]];
  }

  // ---- the list -----------------------------------------------------------------------------------------------

  function difference(question) {
    const criterion = view.task.criteria.findIndex(([key]) => key === state.criterion);
    return view.b === null ? null : margin(view.a.samples[question], view.b.samples[question], criterion);
  }

  function matchesFilter(question) {
    const a = view.a.samples[question];
    const b = view.b === null ? null : view.b.samples[question];
    if (a === null && b === null) return false;
    if (state.verdict && !some(a, hasVerdict)) return false;
    return FILTERS[state.show](a, b, difference(question));
  }

  // The chosen verdict, on the chosen criterion or on any.
  function hasVerdict(sample) {
    if (sample.state !== "j") return false;
    const criterion = view.task.criteria.findIndex(([key]) => key === state.criterion);
    const verdict = view.task.verdicts.indexOf(state.verdict);
    return criterion < 0 ? sample.places.includes(verdict) : sample.places[criterion] === verdict;
  }

  // Where a verdict is looked for, the sample that has it is shown first.
  function firstSample(question) {
    const samples = view.a.samples[question];
    return String(state.verdict && samples ? Math.max(0, samples.findIndex(hasVerdict)) : 0);
  }

  // Questions that can't be compared stand last; equal ones in the order of the data.
  function ordered(questions) {
    if (!state.order || view.b === null) return questions;
    const sign = state.order === "losses" ? 1 : -1;
    const margins = new Map(questions.map((question) => [question, difference(question)]));
    const value = (question) => (margins.get(question) === null ? Infinity : sign * margins.get(question));
    return [...questions].sort((x, y) => (value(x) === value(y) ? x - y : value(x) - value(y)));
  }

  function questionHas(question, needle) {
    const [id, context, text, choices] = view.questions[question];
    return [id, context || "", text, ...choices.map(([, choice]) => choice)].some((part) => part.toLowerCase().includes(needle));
  }

  async function search(mine) {
    const candidates = ordered(view.questions.map((_, index) => index).filter(matchesFilter));
    const needle = state.find.trim().toLowerCase();
    matches = needle ? candidates.filter((question) => questionHas(question, needle)) : candidates;
    page = 0;
    showList();
    if (!needle || state.texts !== "1") return;
    const found = new Set(matches);
    let read = 0;
    for (const question of candidates) {
      if (!found.has(question)) {
        const rows = await Promise.all([texts(view.a, question), texts(view.b, question)]);
        if (mine !== turn) return;
        if (rows.some((samples) => samples && samples.some((sample) => sample[0].toLowerCase().includes(needle)))) {
          found.add(question);
          matches = candidates.filter((one) => found.has(one));
        }
      }
      read += 1;
      if (read % 100 === 0) { showList(`searched ${read} of ${candidates.length}`); await new Promise((next) => setTimeout(next)); }
      if (mine !== turn) return;
    }
    showList();
    if (!chosen() && matches.length) showQuestion(mine);
  }

  function chosen() {
    const index = view.questions.findIndex(([id]) => id === state.q);
    return index >= 0 ? { index } : null;
  }

  function showList(progress = "", follow = true) {
    const total = view.questions.length;
    const pages = Math.max(1, Math.ceil(matches.length / LIST_LENGTH));
    const current = currentQuestion();
    const place = matches.indexOf(current);
    if (follow && place >= 0) page = Math.floor(place / LIST_LENGTH);
    page = Math.min(page, pages - 1);
    byId("legend").textContent = view.b === null ? "" :
      `+31 or \u221213 before a question: ${view.a.name}'s wins minus losses against ${view.b.name} on it, in points.`;
    byId("count").textContent = `${matches.length} of ${total} questions` + (progress ? ` \u00b7 ${progress}\u2026` : "");
    const items = matches.slice(page * LIST_LENGTH, (page + 1) * LIST_LENGTH).map((question) => {
      const [id, , text] = view.questions[question];
      const balance = difference(question);
      const kind = balance === null ? "none" : balance > 0 ? "win" : balance < 0 ? "loss" : "tie";
      const badge = el("span", { className: `badge ${kind}`, title: "wins minus losses of the first model, in points" },
        balance === null ? "\u2013" : signed(100 * balance));
      return el("li", {}, el("a", { href: address({ q: id, s: firstSample(question), t: "0" }), "aria-current": question === current ? "true" : null },
        badge, el("span", { className: "stem" }, text)));
    });
    const list = byId("list");
    const focused = list.contains(document.activeElement);
    list.replaceChildren(...items);
    const link = list.querySelector("[aria-current]") || (follow ? null : list.querySelector("a"));
    if (link && focused) link.focus({ preventScroll: true });
    if (link && follow) {
      const [box, frame] = [link.getBoundingClientRect(), list.getBoundingClientRect()];
      if (box.top < frame.top) list.scrollTop -= frame.top - box.top;
      if (box.bottom > frame.bottom) list.scrollTop += box.bottom - frame.bottom;
    }
    byId("page").textContent = `${page + 1} / ${pages}`;
    byId("previous-page").disabled = page === 0;
    byId("next-page").disabled = page >= pages - 1;
  }

  const currentQuestion = () => {
    const found = chosen();
    if (found) return found.index;
    return matches.length ? matches[0] : -1;
  };

  // ---- one question -------------------------------------------------------------------------------------------

  function marked(text) {
    const needle = state.find.trim().toLowerCase();
    const lower = text.toLowerCase();
    if (!needle || lower.length !== text.length) return [text];
    const parts = [];
    let from = 0;
    for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, from)) {
      parts.push(text.slice(from, at), el("mark", {}, text.slice(at, at + needle.length)));
      from = at + needle.length;
    }
    parts.push(text.slice(from));
    return parts;
  }

  function longText(text, className) {
    const block = el("div", { className });
    block.append(...marked(text.slice(0, SHOWN_CHARS)));
    if (text.length > SHOWN_CHARS) {
      const more = el("button", { type: "button", className: "more" }, `Show all ${text.length.toLocaleString("en")} characters`);
      more.addEventListener("click", () => { block.textContent = text; });
      block.append("\u2026 ", more);
    }
    return block;
  }

  const votes = (samples, label) => (samples ? samples.filter((sample) => sample.chosen === label).length : 0);

  function questionBlock(question) {
    const [id, context, text, choices, gold] = view.questions[question];
    const runs = [view.a, view.b].filter((run) => run && run.samples[question]);
    const head = el("tr", {}, el("th", { scope: "col" }, "Choice"),
      ...runs.map((run) => el("th", { scope: "col", className: "num" }, run.name)));
    const rows = choices.map(([label, choice]) => el("tr", { className: label === gold ? "gold" : null },
      el("th", { scope: "row" }, el("span", { className: "letter" }, label), " ", ...marked(choice),
        label === gold ? el("span", { className: "tag" }, "right") : null),
      ...runs.map((run) => el("td", { className: "num" }, String(votes(run.samples[question], label))))));
    return el("section", { className: "question" },
      el("p", { className: "eyebrow" }, `Question ${id}`),
      context ? longText(context, "context") : null,
      el("h2", {}, ...marked(text)),
      choices.length === 0 ? null : el("table", { className: "choices" }, el("caption", {}, "How many samples chose each choice"),
        el("thead", {}, head), el("tbody", {}, ...rows)));
  }

  const STATES = { u: "no verdict", x: "unreadable", n: "not judged", f: "never arrived" };
  // Scores are whole numbers of units in the data, so that ties are exact; shown in points.
  const score = (sample) => number(sample.score / view.task.units, view.task.units > 1 ? 1 : 0);
  const outOf = (sample) => `score ${score(sample)} of ${view.task.max / view.task.units}`;
  const exact = (sample) => `${sample.score} of ${view.task.max} units of 1/${view.task.units} point`;
  const ANSWERS = { 1: ["right", "\u2713", "right"], 0: ["wrong", "\u2717", "wrong"], "?": ["unread", "?", "unreadable"], f: ["unread", "\u2013", "no"], "-": ["", "", ""] };

  function chips(run, samples, place, key) {
    const list = el("div", { className: "chips", role: "radiogroup", "aria-label": `Samples of ${run.name}` });
    samples.forEach((sample, index) => {
      const [kind, sign, word] = ANSWERS[sample.state === "f" ? "f" : sample.choice];
      const chip = el("button", { type: "button", role: "radio", "aria-checked": String(index === place), className: "chip",
                                  tabIndex: index === place ? 0 : -1 },
        el("span", { className: "score" }, sample.score === null ? "\u2013" : score(sample)), el("span", { className: kind }, sign));
      chip.setAttribute("aria-label", `Sample ${index + 1}: ${word ? `${word} answer, ` : ""}` +
        (sample.score === null ? STATES[sample.state] || "no score" : outOf(sample)));
      if (sample.score !== null) chip.title = exact(sample);
      chip.addEventListener("click", () => go({ q: view.questions[currentQuestion()][0], [key]: String(index) }, true));
      list.append(chip);
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      go({ q: view.questions[currentQuestion()][0], [key]: String((place + step + samples.length) % samples.length) }, true);
      document.querySelector(`[data-side="${key}"] .chip[aria-checked="true"]`)?.focus();
    });
    return list;
  }

  // What the model or the judge was asked, read when somebody wants to see it.
  function promptBlock(title, read) {
    const block = el("details", { className: "raw" }, el("summary", {}, title));
    block.addEventListener("toggle", async () => {
      if (!block.open || block.childElementCount > 1) return;
      const turns = await read().catch(() => null);
      if (turns === null) block.append(el("p", { className: "note" }, "The log doesn't tell."));
      else for (const [role, text] of turns) block.append(el("p", { className: "eyebrow" }, role), longText(text, "reply"));
    });
    return block;
  }

  function side(run, samples, rows, place, key) {
    const column = el("article", { className: "side", "data-side": key }, el("h3", {}, el("a", { href: run.page || `models/${run.key}.html` }, run.name)));
    if (!samples) { column.append(el("p", { className: "note" }, "This run has no answer to this question.")); return column; }
    const at = Math.min(Math.max(Number(place) || 0, 0), samples.length - 1);
    const sample = samples[at];
    const [text, problem, raw, unjudged] = rows[at];
    column.append(chips(run, samples, at, key));
    const [kind, sign, word] = ANSWERS[sample.state === "f" ? "f" : sample.choice];
    const answer = word ? ["Answer ", el("strong", {}, sample.chosen === null ? "none" : sample.chosen), " ", el("span", { className: kind }, `${sign} ${word}`)] : [];
    column.append(el("p", { className: "answer" }, ...answer,
      sample.score === null ? null : el("span", { title: exact(sample) }, `${word ? " \u00b7 " : ""}${outOf(sample)}`)));
    if (problem) column.append(el("p", { className: "note" }, `The reply can't be read wholly (${problem}); this is all of it:`));
    column.append(longText(text, "explanation"));
    if (sample.state === "j") {
      column.append(el("dl", { className: "verdicts" }, ...view.task.criteria.flatMap(([criterion, name], index) => {
        const rank = sample.places[index];
        const word = rank === null ? "\u2013" : view.task.verdicts[rank];
        const level = rank === null ? "none" : Math.round((4 * rank) / Math.max(1, view.task.verdicts.length - 1));
        return [el("dt", { className: criterion === state.criterion ? "chosen" : null }, name),
                el("dd", { className: `verdict v${level}` }, word)];
      })));
    } else {
      column.append(el("p", { className: "note" }, sample.state === "u" ? `Unjudged: ${unjudged || "no verdict"}` :
        sample.state === "x" ? "Unreadable explanation: it was not shown to the judge." : "No judge has seen this explanation."));
    }
    const question = currentQuestion();
    if (run.prompts) column.append(promptBlock("What the model was asked", () => prompt(run, question)));
    if (run.judge && (sample.state === "j" || sample.state === "u")) column.append(promptBlock("What the judge was asked", () => judgePrompt(run, question, at, text)));
    if (raw !== null) {
      column.append(el("details", { className: "raw", open: sample.state === "u" }, el("summary", {}, "The judge's reply"), longText(raw, "reply")));
    }
    return column;
  }

  async function showQuestion(mine) {
    const question = currentQuestion();
    const place = byId("detail");
    if (question < 0) { place.replaceChildren(el("p", { className: "note" }, "No question matches these filters.")); return; }
    const [left, right] = await Promise.all([texts(view.a, question), texts(view.b, question)]);
    if (mine !== turn) return;
    const focus = place.contains(document.activeElement) && document.activeElement.closest("[data-side]")?.dataset.side;
    const shown = state.q ? state.s : firstSample(question);
    const columns = [[view.a, left, shown, "s"], [view.b, right, state.t, "t"]].filter(([run]) => run)
      .map(([run, rows, sample, key]) => side(run, run.samples[question], rows, sample, key));
    const link = el("a", { href: address({ q: view.questions[question][0], s: shown }), className: "permalink" }, "Permanent link");
    const position = matches.indexOf(question);
    const step = (offset, text) => {
      const target = position + offset;
      return position >= 0 && target >= 0 && target < matches.length
        ? el("a", { href: address({ q: view.questions[matches[target]][0], s: firstSample(matches[target]), t: "0" }), rel: offset < 0 ? "prev" : "next" }, text) : null;
    };
    place.replaceChildren(questionBlock(question), el("div", { className: "sides" }, ...columns),
      el("nav", { className: "steps", "aria-label": "Previous and next question" }, step(-1, "\u2190 Previous"), link, step(1, "Next \u2192")));
    if (focus) place.querySelector(`[data-side="${focus}"] .chip[aria-checked="true"]`)?.focus();
    place.dataset.question = view.questions[question][0];
  }

  // ---- controls -----------------------------------------------------------------------------------------------

  function fill(select, options, value) {
    select.replaceChildren(...options.map(([key, name]) => el("option", { value: key, selected: key === value }, name)));
    select.value = value;
  }

  function showControls(task) {
    const runs = task.runs.map((run) => [run.key, run.name]);
    fill(controls.task, site.tasks.map((one) => [one.key, one.title]), task.key);
    fill(controls.a, runs, state.a);
    fill(controls.b, [["-", "(none)"], ...runs], state.b);
    fill(controls.criterion, [["", "whole score"], ...task.criteria], state.criterion);
    fill(controls.verdict, [["", "any"], ...task.verdicts.map((verdict) => [verdict, verdict.toLowerCase()])], state.verdict);
    controls.show.value = state.show;
    controls.order.value = state.order;
    if (document.activeElement !== controls.find) controls.find.value = state.find;
    controls.texts.checked = state.texts === "1";
  }

  async function update() {
    const mine = (turn += 1);
    const before = state;
    state = readAddress();
    const task = site.tasks.find((one) => one.key === state.task);
    showControls(task);
    try {
      const same = view && ["task", "a", "b"].every((key) => before[key] === state[key]);
      if (!same) {
        const loaded = await loadView(task, state.a, state.b);
        if (mine !== turn) return;
        view = loaded;
      }
      const listed = same && ["show", "criterion", "verdict", "order", "find", "texts"].every((key) => before[key] === state[key]);
      const searching = listed ? showList() : search(mine);
      await showQuestion(mine);
      await searching;
    } catch (error) {
      byId("detail").replaceChildren(el("p", { className: "note", role: "alert" }, `${error.message}. Is the data folder beside this page?`));
    }
    if (mine === turn) document.body.dataset.ready = String(mine);
  }

  let typing = 0;
  for (const key of ["task", "a", "b", "show", "criterion", "verdict", "order"]) {
    controls[key].addEventListener("change", () => go({ [key]: controls[key].value, q: "", s: "0", t: "0" }));
  }
  controls.texts.addEventListener("change", () => go({ texts: controls.texts.checked ? "1" : "", q: "" }));
  controls.find.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => go({ find: controls.find.value, q: "", s: "0", t: "0" }, true), 200);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("swap").addEventListener("click", () => { if (state.b !== "-") go({ a: state.b, b: state.a, s: state.t, t: state.s }); });
  const turnPage = (step) => { page += step; showList("", false); byId("list").scrollTop = 0; };
  byId("previous-page").addEventListener("click", () => turnPage(-1));
  byId("next-page").addEventListener("click", () => turnPage(1));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const target = { j: "next", k: "prev" }[event.key];
    if (target) document.querySelector(`.steps a[rel="${target}"]`)?.click();
    if (event.key === "/") { event.preventDefault(); controls.find.focus(); }
  });
  // On a phone the question stands below the list.
  byId("list").addEventListener("click", (event) => {
    if (event.target.closest("a") && matchMedia("(max-width: 52rem)").matches) byId("detail").scrollIntoView();
  });
  addEventListener("hashchange", update);
  update();
})();
