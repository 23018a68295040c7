// What the generate page does beyond what it is without a script: it follows its job. `put` is of pages.js.
"use strict";

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
