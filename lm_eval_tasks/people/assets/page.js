"use strict";
// The page's whole behaviour: order, verdicts, time, what is kept in the browser, and the export.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = new Map(data.items.map((item) => [item.id, item]));
  const $ = (id) => document.getElementById(id);
  const groups = [...document.querySelectorAll(".criterion")];
  let state = null; // {annotator, at, answers: {key: {verdicts, skipped, seconds, at}}}
  let order = [];
  let active = 0;
  let since = null;

  // A small generator with a seed of text, so that a rater's order stays the same when the page is opened again.
  const generator = (text) => {
    let seed = 2166136261;
    for (const char of text) seed = Math.imul(seed ^ char.codePointAt(0), 16777619) >>> 0;
    return () => {
      seed = (seed + 0x6d2b79f5) >>> 0;
      let value = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
      return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
    };
  };

  const orderFor = (annotator) => {
    const random = generator(`${data.set}/${annotator}`);
    const ids = data.items.map((item) => item.id);
    for (let place = ids.length - 1; place > 0; place--) {
      const other = Math.floor(random() * (place + 1));
      [ids[place], ids[other]] = [ids[other], ids[place]];
    }
    const slots = ids.map((id) => ({ id, repeat: false }));
    // Repeats are of the first half and come in the last quarter, so that nobody remembers the verdicts.
    const early = ids.slice(0, Math.max(1, Math.floor(ids.length / 2)));
    for (let count = 0; count < data.repeats && early.length; count++) {
      const [id] = early.splice(Math.floor(random() * early.length), 1);
      const from = Math.floor(slots.length * 0.75);
      slots.splice(from + Math.floor(random() * (slots.length - from + 1)), 0, { id, repeat: true });
    }
    return slots;
  };

  const keyOf = (slot) => slot.id + (slot.repeat ? " again" : "");
  const place = (annotator) => `anchored-explanations/${data.set}/${annotator}`;
  const answer = () => {
    const key = keyOf(order[state.at]);
    state.answers[key] ??= { verdicts: {}, skipped: false, seconds: 0, at: null };
    return state.answers[key];
  };
  const complete = (given) => Boolean(given) && (given.skipped || data.criteria.every((one) => given.verdicts[one.key]));
  const rated = () => order.filter((slot) => complete(state.answers[keyOf(slot)])).length;

  const trouble = (text) => {
    $("trouble").textContent = text;
    $("trouble").hidden = !text;
  };

  const save = () => {
    try {
      localStorage.setItem(place(state.annotator), JSON.stringify(state));
      trouble("");
    } catch {
      trouble("This browser keeps nothing for this page. Export before you close it, or what you entered is lost.");
    }
  };

  const load = (annotator) => {
    try {
      const kept = JSON.parse(localStorage.getItem(place(annotator)));
      if (kept && kept.answers) return kept;
    } catch {
      trouble("This browser keeps nothing for this page. Export before you close it, or what you entered is lost.");
    }
    return { annotator, at: 0, answers: {} };
  };

  // Only time in which the page is seen counts.
  const count = () => {
    if (since !== null && state && state.at < order.length) answer().seconds += (performance.now() - since) / 1000;
    since = document.hidden ? null : performance.now();
  };
  document.addEventListener("visibilitychange", () => {
    if (!state) return;
    if (document.hidden) {
      count();
      since = null;
      save();
    } else since = performance.now();
  });

  const show = () => {
    const over = state.at >= order.length;
    $("start").hidden = true;
    $("rate").hidden = over;
    $("done").hidden = !over;
    $("bar").hidden = false;
    const number = rated();
    $("progress").value = number / order.length;
    $("state").textContent = over
      ? `${number} of ${order.length} rated`
      : `${state.at + 1} of ${order.length}; ${number} rated, as ${state.annotator}`;
    $("back").disabled = state.at === 0;
    $("skip").hidden = over;
    $("next").hidden = over;
    $("export").classList.toggle("main", over);
    if (over) {
      const left = order.length - number;
      $("summary").textContent = left
        ? `${number} of ${order.length} are rated; ${left} were left open: go back to see them, or leave them.`
        : `All ${number} are rated.`;
      return;
    }
    const item = byId.get(order[state.at].id);
    $("question").textContent = item.question;
    $("explanation").textContent = item.explanation;
    paint();
  };

  const paint = () => {
    const given = answer();
    groups.forEach((group, number) => {
      group.classList.toggle("active", number === active);
      for (const button of group.querySelectorAll("button"))
        button.setAttribute("aria-checked", String(given.verdicts[group.dataset.key] === button.dataset.verdict));
    });
    $("next").disabled = !complete(given);
  };

  const give = (number, verdict) => {
    const given = answer();
    count();
    given.verdicts[groups[number].dataset.key] = verdict;
    given.skipped = false;
    given.at = new Date().toISOString();
    active = Math.min(number + 1, groups.length - 1);
    save();
    paint();
    $("progress").value = rated() / order.length;
    if (groups[active].getBoundingClientRect().bottom > innerHeight - 90) groups[active].scrollIntoView({ block: "center" });
  };

  const go = (to) => {
    count();
    state.at = Math.min(Math.max(to, 0), order.length);
    active = 0;
    since = document.hidden ? null : performance.now();
    save();
    show();
    scrollTo(0, 0);
  };
  const next = () => {
    if (state.at < order.length && complete(answer())) go(state.at + 1);
  };
  const skip = () => {
    const given = answer();
    given.verdicts = {};
    given.skipped = true;
    given.at = new Date().toISOString();
    go(state.at + 1);
  };

  const lines = () =>
    order.flatMap((slot) => {
      const given = state.answers[keyOf(slot)];
      if (!complete(given)) return [];
      const item = byId.get(slot.id);
      return [
        JSON.stringify({
          set: data.set,
          task: item.task,
          question: item.question_id,
          statement: item.id,
          source: item.source,
          rubric: data.rubric,
          annotator: state.annotator,
          verdicts: given.skipped ? null : given.verdicts,
          repeat: slot.repeat,
          seconds: Math.round(given.seconds * 10) / 10,
          at: given.at,
        }),
      ];
    });

  const exported = () => {
    count();
    save();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines().map((line) => line + "\n").join("")], { type: "application/jsonl" }));
    link.download = `ratings-${state.annotator.toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^[-.]+|[-.]+$/g, "")}.jsonl`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  groups.forEach((group, number) =>
    group.querySelectorAll("button").forEach((button) =>
      button.addEventListener("click", () => give(number, button.dataset.verdict)),
    ),
  );
  $("next").addEventListener("click", next);
  $("back").addEventListener("click", () => go(state.at - 1));
  $("skip").addEventListener("click", skip);
  $("export").addEventListener("click", exported);
  $("who").addEventListener("submit", (event) => {
    event.preventDefault();
    const annotator = $("name").value.trim().replace(/\s+/g, " ");
    if (!annotator) return;
    order = orderFor(annotator);
    state = load(annotator);
    document.activeElement?.blur();
    since = performance.now();
    save();
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (!state || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") return go(state.at - 1);
    if (state.at >= order.length) return;
    const verdict = data.scale[Number(event.key) - 1];
    if (verdict !== undefined) give(active, verdict);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      active = Math.min(Math.max(active + (event.key === "ArrowDown" ? 1 : -1), 0), groups.length - 1);
      paint();
    } else if (event.key === "ArrowRight" || (event.key === "Enter" && event.target.tagName !== "BUTTON")) next();
    else if (event.key === "s" || event.key === "S") skip();
  });

  const whole = data.items.length + data.repeats;
  $("how-many").textContent = `${whole} explanation${whole === 1 ? "" : "s"}`;
  $("start").hidden = false;
})();
