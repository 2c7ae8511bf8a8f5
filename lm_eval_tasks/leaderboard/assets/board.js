"use strict";
/* Sorting and filtering of the leaderboard. Without this script all tables stand below one another, ranked. */
(() => {
  const sections = [...document.querySelectorAll("section[data-task]")];
  const tabs = [...document.querySelectorAll(".tabs button")];
  const switches = [...document.querySelectorAll(".switch button")];
  const find = document.getElementById("find");
  let state = { task: "", find: "", sort: "", order: "" };

  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const one = (key) => given.get(key) || "";
    const tasks = sections.map((section) => section.dataset.task);
    state = { task: tasks.includes(one("task")) || one("task") === "*" ? one("task") : "", find: one("find"), sort: one("sort"), order: one("order") };
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
  addEventListener("hashchange", () => { read(); show(); });
  document.getElementById("filters").hidden = false;
  document.body.classList.add("scripted");
  read();
  show();
})();
