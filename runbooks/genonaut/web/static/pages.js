// What the two pages do beyond what they are without a script: the status page follows by server-sent events, the
// generate page follows its job. The server makes all HTML; here it is only put in place, so that focus, selection and
// what a screen reader has read stay where nothing has changed.
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
  for (const { name } of [...now.attributes]) if (!next.hasAttribute(name)) now.removeAttribute(name);
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

/** The generate page: ask for the job until it has ended, and a while longer, as a failed one may be tried again. */
async function watch(section) {
  const ended = { completed: 0, cancelled: 0, failed: 30000 };
  let since = null;
  let status = null;
  for (let wait = 300; ; wait = Math.min(wait * 1.2, 2000)) {
    const now = section.querySelector("[data-status]").dataset.status;
    if (now !== status) [status, since] = [now, performance.now()];
    if (status in ended && performance.now() - since > ended[status]) return;
    await new Promise((resolve) => setTimeout(resolve, wait));
    try {
      const answer = await fetch(section.dataset.job);
      if (answer.ok) put(section, await answer.text());
    } catch {
      // The API is away. It may come back.
    }
  }
}

const live = document.getElementById("live");
if (live) follow(live, document.querySelector("[data-link]"));

const job = document.querySelector("[data-job]");
if (job) watch(job);

const form = document.querySelector("[data-generate]");
form?.addEventListener("submit", (event) => {
  const button = form.querySelector("button");
  // The API may take a second to find out that no worker answers; a second press would ask for a second picture.
  if (button.getAttribute("aria-disabled") === "true") return event.preventDefault();
  button.setAttribute("aria-disabled", "true");
  button.textContent = "Asking…";
});
window.addEventListener("pageshow", () => {
  const button = form?.querySelector("button");
  button?.removeAttribute("aria-disabled");
  if (button) button.textContent = "Generate";
});
