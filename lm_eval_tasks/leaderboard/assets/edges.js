"use strict";
/* What still goes on behind its edge fades out there, as long as it does. */
(() => {
  const fade = (frame) => frame.classList.toggle("more", frame.scrollWidth - frame.clientWidth - frame.scrollLeft > 1);
  const sizes = new ResizeObserver((seen) => {
    for (const { target } of seen) fade(target.closest(".scroll"));
  });
  for (const frame of document.querySelectorAll(".scroll")) {
    frame.addEventListener("scroll", () => fade(frame), { passive: true });
    sizes.observe(frame);
    for (const child of frame.children) sizes.observe(child);
  }
})();
