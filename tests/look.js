// Looks at a page as a reader does. The value is {complaints, title, heading, words, card, buttons}: complaints are sentences,
// the rest is what stands there. The whole page must fit into the window, so that nothing is out of sight.
(() => {
  const complaints = new Set();
  const width = document.documentElement.clientWidth;
  const shortened = (text) => text.trim().replace(/\s+/g, " ").slice(0, 40);

  const seen = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };

  const channels = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { parts: [red, green, blue], alpha };
  };
  const luminance = (colour) => {
    const [red, green, blue] = channels(colour).parts.map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour).alpha > 0.99) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (element) => {
    const [light, dark] = [luminance(getComputedStyle(element).color), luminance(background(element))].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  // every text, where it stands
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const words = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const holder = node.parentElement;
    const text = shortened(node.textContent);
    if (!text || ["STYLE", "SCRIPT", "TITLE"].includes(holder.tagName) || !seen(holder)) continue;
    words.push(text);
    const style = getComputedStyle(holder);
    const size = parseFloat(style.fontSize);
    if (size < 12) complaints.add(`too small to read (${size} px): ${text}`);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const found = contrast(holder);
    if (found < (large ? 3 : 4.5)) complaints.add(`hardly to be told from its ground (${found.toFixed(2)}): ${text}`);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1) continue;
      if (box.left < -0.5 || box.right > width + 0.5) complaints.add(`runs out of the page: ${text}`);
      const card = holder.closest(".card")?.getBoundingClientRect();
      if (card && (box.left < card.left - 0.5 || box.right > card.right + 0.5)) complaints.add(`runs out of the card: ${text}`);
      const there = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
      if (there && !holder.contains(there)) complaints.add(`covered or cut off: ${text}`);
    }
  }
  if (words.length < 3) complaints.add("nothing to read");
  const whole = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
  if (whole > width) complaints.add(`scrolls sideways: ${whole} px in ${width}`);

  // Arabic words alone read from the right, and stand there; within an English sentence they must not move its own words
  for (const block of document.querySelectorAll("h1, h2, p")) {
    if (!seen(block) || !/\p{Script=Arabic}/u.test(block.textContent)) continue;
    const style = getComputedStyle(block);
    if (/\p{Script=Latin}/u.test(block.textContent)) {
      const own = block.cloneNode(true);
      own.querySelectorAll("bdi").forEach((value) => value.remove());
      if (style.direction !== "ltr" || /\p{Script=Arabic}/u.test(own.textContent)) complaints.add(`two scripts in disorder: ${shortened(block.textContent)}`);
      continue;
    }
    const range = document.createRange();
    range.selectNodeContents(block);
    const edge = block.getBoundingClientRect().right - parseFloat(style.paddingRight);
    const furthest = Math.max(...[...range.getClientRects()].map((box) => box.right));
    if (style.direction !== "rtl" || Math.abs(edge - furthest) > 2) complaints.add(`Arabic from the left: ${shortened(block.textContent)}`);
  }

  const buttons = [...document.querySelectorAll("a")].filter((link) => seen(link) && getComputedStyle(link).display === "inline-block").map((link) => {
    const box = link.getBoundingClientRect();
    if (box.height < 40 || box.width < 80) complaints.add(`too small to tap (${box.width} x ${box.height}): ${shortened(link.textContent)}`);
    return link.textContent.trim();
  });
  const heading = document.querySelector("h1");
  return {
    complaints: [...complaints],
    title: document.title,
    heading: heading && seen(heading) ? heading.textContent.trim() : "",
    words,
    card: document.querySelector(".card")?.getBoundingClientRect().width ?? 0,
    buttons,
  };
})();
