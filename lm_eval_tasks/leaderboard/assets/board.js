"use strict";
/* Sorting, filtering and columns of the leaderboard. Without this script all tables stand below one another, ranked. */
(() => {
  const sections = [...document.querySelectorAll("section[data-task]")];
  const tabs = [...document.querySelectorAll(".tabs button")];
  const switches = [...document.querySelectorAll(".switch button")];
  const find = document.getElementById("find");
  const columns = document.getElementById("columns");
  let state = { task: "", find: "", sort: "", order: "", columns: "" };

  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const one = (key) => given.get(key) || "";
    const tasks = sections.map((section) => section.dataset.task);
    state = { task: tasks.includes(one("task")) || one("task") === "*" ? one("task") : "", find: one("find"), sort: one("sort"), order: one("order"), columns: one("columns") };
  };

  const write = (changes) => {
    Object.assign(state, changes);
    const parameters = new URLSearchParams(Object.entries(state).filter(([, value]) => value));
    history.replaceState(null, "", parameters.size ? "#" + parameters : location.pathname + location.search);
    show();
  };

  // Rows without a value stand last in both directions; equal rows keep the order of the ranking.
  function sort(table, key, order) {
    const header = [...table.tHead.rows[0].cells].find((cell) => cell.dataset.key === key);
    for (const cell of table.tHead.rows[0].cells) if (cell.hasAttribute("aria-sort")) cell.setAttribute("aria-sort", "none");
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((x, y) => Number(x.dataset.place) - Number(y.dataset.place));
    if (header) {
      const descending = (order || header.dataset.first) === "descending";
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const text = header.dataset.type === "text";
      const value = (row) => row.cells[header.cellIndex].dataset.value;
      const compare = (x, y) => (text ? x.localeCompare(y, "en") : Number(x) - Number(y));
      rows.sort((x, y) => {
        const [left, right] = [value(x), value(y)];
        if (left === "" || right === "") return Number(left === "") - Number(right === "");
        return descending ? compare(right, left) : compare(left, right);
      });
    }
    body.append(...rows);
  }

  // Columns: those that were chosen; else as many as there is room for, the most important ones. The one that
  // the rows are sorted by is always there, and so is the model's name.
  const heads = (table) => [...table.tHead.rows[0].cells];

  function choose(table) {
    const cells = heads(table);
    const showOnly = (shown) => {
      for (const row of table.rows) for (const [place, cell] of [...row.cells].entries()) cell.hidden = !shown.has(place);
    };
    const needed = (cell) => cell.dataset.key === "model" || cell.dataset.key === state.sort;
    const shown = new Set(cells.keys());
    if (state.columns) {
      const chosen = state.columns.split(",");
      for (const [place, cell] of cells.entries()) if (!needed(cell) && !chosen.includes(cell.dataset.key)) shown.delete(place);
      showOnly(shown);
      return;
    }
    showOnly(shown);
    const widths = cells.map((cell) => cell.getBoundingClientRect().width);
    let room = table.parentElement.clientWidth - widths.reduce((sum, width) => sum + width, 0);
    const first = [...shown].filter((place) => !needed(cells[place]))
      .sort((x, y) => Number(cells[y].dataset.priority) - Number(cells[x].dataset.priority));
    for (const place of first) {
      if (room > -1) break;
      shown.delete(place);
      room += widths[place];
    }
    if (shown.size < cells.length) showOnly(shown);
  }

  const visibleTables = () => sections.filter((section) => !section.hidden).flatMap((section) => [...section.querySelectorAll("table.board")]);

  function showChoices() {
    const seen = new Map();
    for (const table of visibleTables()) {
      for (const cell of heads(table)) {
        const key = cell.dataset.key;
        if (key !== "model") seen.set(key, { name: cell.textContent.trim(), shown: !cell.hidden || Boolean(seen.get(key)?.shown) });
      }
    }
    const boxes = [...seen].map(([key, { name, shown }]) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: key, checked: shown });
      box.addEventListener("change", () => {
        const chosen = [...columns.querySelectorAll("input:checked")].map((one) => one.value);
        write({ columns: chosen.join(",") || "model" });
      });
      label.append(box, " " + name);
      return label;
    });
    const focused = columns.contains(document.activeElement) ? document.activeElement.value : null;
    columns.querySelector(".choices").replaceChildren(document.getElementById("fit"), ...boxes);
    if (focused) columns.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus();
    const count = [...seen.values()].filter(({ shown }) => shown).length;
    document.getElementById("columns-shown").textContent = `(${count + 1} of ${seen.size + 1})`;
    document.getElementById("fit").disabled = !state.columns;
  }

  function show() {
    const task = state.task || sections[0].dataset.task;
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.task === task));
    if (document.activeElement !== find) find.value = state.find;
    const needle = state.find.trim().toLowerCase();
    let shown = 0;
    let all = 0;
    for (const section of sections) {
      section.hidden = task !== "*" && section.dataset.task !== task;
      for (const table of section.querySelectorAll("table.board")) {
        sort(table, state.sort, state.order);
        for (const row of table.tBodies[0].rows) {
          row.hidden = !row.dataset.find.toLowerCase().includes(needle);
          if (!section.hidden) { all += 1; shown += Number(!row.hidden); }
        }
      }
    }
    for (const table of visibleTables()) choose(table);
    showChoices();
    document.getElementById("count").textContent = needle ? `${shown} of ${all} rows` : "";
  }

  for (const section of sections) {
    section.addEventListener("click", (event) => {
      const header = event.target.closest("button.sort")?.closest("th");
      if (!header) return;
      const now = header.getAttribute("aria-sort");
      const order = now === "none" ? header.dataset.first : now === "descending" ? "ascending" : "descending";
      write({ sort: header.dataset.key, order });
    });
  }
  for (const tab of [...tabs, ...switches]) tab.addEventListener("click", () => write({ task: tab.dataset.task }));
  find.addEventListener("input", () => write({ find: find.value }));
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("fit").addEventListener("click", () => write({ columns: "" }));
  let resizing = 0;
  addEventListener("resize", () => { cancelAnimationFrame(resizing); resizing = requestAnimationFrame(show); });
  addEventListener("hashchange", () => { read(); show(); });
  document.getElementById("filters").hidden = false;
  document.body.classList.add("scripted");
  read();
  show();
})();
