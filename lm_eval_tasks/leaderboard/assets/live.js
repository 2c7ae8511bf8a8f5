"use strict";
/* On pages that anchor-eval view serves: loads the page again when there is a newer one. Address, filters and place stay. */
(() => {
  const version = document.documentElement.dataset.version;
  const banner = document.getElementById("live");
  async function look() {
    let said = "anchor-eval view has ended; this page stays as it is.";
    try {
      const status = await (await fetch("/live.json")).json();
      if (String(status.version) !== version) { location.reload(); return; }
      said = status.note;
    } catch { /* the server is gone */ }
    if (banner.textContent !== said) banner.textContent = said;
    banner.hidden = !said;
  }
  look();
  setInterval(look, 2000);
})();
