/* Every text on the screen with the contrast between its colour and what is painted below it. */
() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = "rgba(0, 0, 0, 0)";
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, place) => a * value + (1 - a) * below[place]);
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const opacity = (node) => (node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1);
  const isDrawn = (node) => ["rect", "circle"].includes(node.tagName);
  const painted = (node) => {
    const style = getComputedStyle(node);
    const [r, g, b, a] = rgba(isDrawn(node) ? style.fill : style.backgroundColor);
    return [r, g, b, a * opacity(node)];
  };
  const sheet = rgba(getComputedStyle(document.body).backgroundColor);

  function backdrop(x, y, owner) {
    const stack = document.elementsFromPoint(x, y);
    if (!stack.some((node) => node === owner || owner.contains(node))) return null; // behind something, or scrolled away
    const below = stack.filter((node) => !(node instanceof SVGTextElement)).slice(0).reverse();
    return below.reduce((colour, node) => over(painted(node), colour), sheet.slice(0, 3));
  }

  const found = [];
  const add = (node, text, colour, box) => {
    const below = backdrop(box.left + box.width / 2, box.top + box.height / 2, node);
    if (below === null) return;
    const style = getComputedStyle(node);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const [r, g, b, a] = rgba(colour);
    const contrast = ratio(over([r, g, b, a * opacity(node)], below), below);
    found.push({ text: text.trim().slice(0, 40), contrast: Math.round(contrast * 100) / 100, least: large ? 3 : 4.5, where: node.outerHTML.slice(0, 80) });
  };

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility({ visibilityProperty: true }) || node.closest("script, style, title, select, .quiet, .skip, :disabled")) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getClientRects()[0];
    if (!box || !box.width) continue;
    const style = getComputedStyle(node);
    add(node, text.data, node instanceof SVGTextElement ? style.fill : style.color, box);
  }
  for (const field of document.querySelectorAll("input[type=search], select")) {
    if (!field.checkVisibility()) continue;
    const hint = field.placeholder && !field.value;
    add(field, field.placeholder || field.value, getComputedStyle(field, hint ? "::placeholder" : null).color, field.getBoundingClientRect());
  }
  return found;
}
