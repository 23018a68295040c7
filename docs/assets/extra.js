/* What Material leaves out for people who do not use a mouse or do not see the page. */
(() => {
  const name = (selector, attributes) => {
    for (const element of document.querySelectorAll(selector))
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  };

  name(".md-search", { "aria-label": "Search this site" });

  /* A table or a figure wider than the screen scrolls inside its frame: let the keyboard reach it. */
  const frames = () => {
    for (const frame of document.querySelectorAll(".md-typeset__scrollwrap")) {
      if (frame.scrollWidth > frame.clientWidth) frame.setAttribute("tabindex", "0");
      else frame.removeAttribute("tabindex");
    }
  };
  addEventListener("load", frames);
  addEventListener("resize", frames);
})();
