/* What Material leaves out for people who do not use a mouse or do not see the page. */
document$.subscribe(() => {
  const name = (selector, attributes) => {
    for (const element of document.querySelectorAll(selector))
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  };

  name(".md-search", { "aria-label": "Search this site" });

  /* A section with a page of its own: Material takes the name of its list from a label that is empty then. */
  for (const list of document.querySelectorAll("nav.md-nav[aria-labelledby]")) {
    const link = list.parentElement.querySelector(":scope > .md-nav__container > a");
    if (!link) continue;
    list.removeAttribute("aria-labelledby");
    list.setAttribute("aria-label", `Pages of ${link.textContent.trim()}`);
  }

  /* The frame of a copy button is no landmark; Material makes one for every block, when it comes into view. */
  const frameButtons = () => name(".md-code__nav:not([role])", { role: "none" });
  new MutationObserver(frameButtons).observe(document.body, { childList: true, subtree: true });
  frameButtons();

  /* The end of a printed line belongs to what was printed, so that a copy without it leaves no empty line. */
  const joinEnds = ({ target }) => {
    for (const printed of target.closest(".md-code__button")?.closest("pre").querySelectorAll(".go") ?? []) {
      const next = printed.nextSibling;
      if (next?.nodeType !== Node.TEXT_NODE || !next.data.startsWith("\n")) continue;
      printed.append("\n");
      next.deleteData(0, 1);
    }
  };
  document.addEventListener("click", joinEnds, { capture: true });

  /* A table or a figure wider than its frame scrolls inside it: let the keyboard reach it, whatever changed its width. */
  const frames = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      const frame = target.closest(".md-typeset__scrollwrap");
      if (frame.scrollWidth > frame.clientWidth) frame.setAttribute("tabindex", "0");
      else frame.removeAttribute("tabindex");
    }
  });
  for (const part of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset__scrollwrap > *")) frames.observe(part);
});
