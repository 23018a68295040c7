// What the status page does beyond what it is without a script: it follows by server-sent events. The server makes all
// HTML; here it is only put in place, so that focus, selection and what a screen reader has read stay where nothing has
// changed.
"use strict";

/** Make `now` like `next`, touching only what differs. Children are told apart by their ids. */
function morph(now, next) {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName || now.id !== next.id) {
    now.replaceWith(next.cloneNode(true));
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue;
    return;
  }
  // What the reader has unfolded stays unfolded.
  const own = now.nodeName === "DETAILS" ? "open" : null;
  for (const { name } of [...now.attributes])
    if (name !== own && !next.hasAttribute(name)) now.removeAttribute(name);
  for (const { name, value } of next.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  morphChildren(now, next);
}

function morphChildren(now, next) {
  let place = now.firstChild;
  for (const child of [...next.childNodes]) {
    const known = child.id ? [...now.children].find((each) => each.id === child.id) : null;
    if (known && known !== place) now.insertBefore(known, place);
    const here = known ?? place;
    if (here === null || (!known && here.id)) {
      now.insertBefore(child.cloneNode(true), here);
      continue;
    }
    place = here.nextSibling;
    morph(here, child);
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function put(target, html) {
  const next = target.cloneNode(false);
  next.innerHTML = html;
  morphChildren(target, next);
}

/** As the server says it. */
function ago(seconds) {
  for (const [unit, size, most] of [["s", 1, 120], ["min", 60, 7200], ["h", 3600, 172800]])
    if (seconds < most) return `${Math.floor(seconds / size)} ${unit} ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

/** The status page: follow, and say when that is over. A page that nobody sees holds no connection. */
function follow(live, link) {
  const words = link.querySelector("[data-link-words]");
  let source = null;
  let heard = performance.now();
  let when = "";

  const say = (text, lost) => {
    if (words.textContent !== text) words.textContent = text;
    link.classList.toggle("lost", lost);
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(live.dataset.events);
    source.addEventListener("status", (event) => {
      heard = performance.now();
      when = new Date().toISOString().slice(11, 19);
      put(live, JSON.parse(event.data));
      say("Live: this page follows every change.", false);
    });
    source.onerror = () => {
      // A refusal ends it for good; what broke off comes back by itself.
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        setTimeout(open, 5000);
      }
    };
  };
  const close = () => {
    source?.close();
    source = null;
  };

  setInterval(() => {
    const quiet = (performance.now() - heard) / 1000;
    for (const each of live.querySelectorAll("[data-age]"))
      each.textContent = `(${ago(Number(each.dataset.age) + quiet)})`;
    if (quiet > 6 && !document.hidden)
      say(`No answer from the API${when ? ` since ${when} UTC` : ""}. What you see is of then.`, true);
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    heard = performance.now();
    open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
}

const live = document.getElementById("live");
if (live) follow(live, document.querySelector("[data-link]"));
