// What the pages do beyond forms and links: parts in flight ask for news of themselves, a form is sent
// once, a question counts its characters, a text shows what it brings, an answer or a token is copied.
// Without this file all of it can still be done; pages in flight then reload themselves.

const announcer = document.getElementById("announcer");

function announce(text) {
  if (announcer && announcer.textContent !== text) announcer.textContent = text;
}

// --- News -----------------------------------------------------------------------------------------
// `#live` names the address that tells what has changed, and when asking is worth it. One question at
// a time, none while the page is hidden or nothing is in flight, ever fewer while there is no answer.

const LONGEST_WAIT = 30;
const connectionLost = document.getElementById("connection-lost");
let failures = 0;
let timer = 0;
let isOverdue = false;

function live() {
  return document.querySelector("#live[data-poll-after]");
}

function schedule(seconds) {
  clearTimeout(timer);
  timer = setTimeout(poll, seconds * 1000);
}

function poll() {
  isOverdue = document.hidden;
  if (!isOverdue && live()) htmx.trigger(live(), "poll");
}

document.addEventListener("visibilitychange", () => {
  if (isOverdue) poll();
});

function watch() {
  if (live()) schedule(Number(live().dataset.pollAfter));
}

// Here, `again` is of the answer that nothing has changed.
function waitAfter(again) {
  if (!failures) return Number(again) || 2;
  return Math.min(2 ** failures, LONGEST_WAIT) * (0.75 + Math.random() / 2);
}

// A page that may no longer be seen says so itself.
function isRefused(status) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

document.body.addEventListener("htmx:afterRequest", ({ detail: { target, xhr } }) => {
  if (target.id !== "live") return;
  if (isRefused(xhr.status)) {
    location.reload();
    return;
  }
  const wasLost = failures > 0;
  failures = xhr.status >= 200 && xhr.status < 300 ? 0 : failures + 1;
  connectionLost.hidden = failures === 0;
  if (failures) announce(connectionLost.textContent);
  else if (wasLost) announce(document.getElementById("live").dataset.announcement);
  if (failures || xhr.status === 204) schedule(waitAfter(xhr.getResponseHeader("Retry-After")));
});

let hadFocus = false;

document.body.addEventListener("htmx:oobBeforeSwap", ({ detail: { target, fragment } }) => {
  hadFocus = target.contains(document.activeElement);
  // What was unfolded stays so.
  const [before, after] = [target.querySelector("details"), fragment.querySelector("details")];
  if (before && after) after.open = before.open;
});

// A focus whose button is gone moves to the heading, which then is what a screen reader says; a row
// keeps it on its link.
document.body.addEventListener("htmx:oobAfterSwap", ({ detail: { target } }) => {
  const swapped = document.getElementById(target.id);
  if (hadFocus && swapped && !swapped.contains(document.activeElement)) {
    swapped.querySelector("h2, a")?.focus();
  }
  const followUp = document.getElementById("follow-up");
  // A question begun is not taken away.
  if (followUp && target.id === "simulation") {
    followUp.hidden = "over" in swapped.dataset && !followUp.elements.query.value;
  }
});

document.body.addEventListener("htmx:afterSettle", ({ detail: { elt } }) => {
  if (elt.id === "live") announce(elt.dataset.announcement);
  if (elt.id === "live" || elt.id === "results") watch();
});

watch();

function inWords(seconds) {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

setInterval(() => {
  for (const element of document.querySelectorAll("[data-elapsed]")) {
    element.dataset.elapsed = Number(element.dataset.elapsed) + 1;
    if (element.localName === "progress") element.value = element.dataset.elapsed;
    else element.textContent = inWords(Number(element.dataset.elapsed));
  }
}, 1000);

// --- Forms ----------------------------------------------------------------------------------------
// A second click sends nothing twice.

for (const form of document.querySelectorAll("form[data-once]")) {
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (isSent) event.preventDefault();
    isSent = true;
  });
  // Coming back by the Back button finds the page as it was left.
  window.addEventListener("pageshow", () => {
    isSent = false;
  });
}

// --- A question -----------------------------------------------------------------------------------
// Counts as the server does.

function count(question) {
  const limit = Number(question.dataset.limit);
  const counter = document.createElement("p");
  counter.className = "counter";
  const number = document.createElement("span");
  const warning = document.createElement("span");
  warning.role = "status";
  counter.append(warning, number);
  question.after(counter);

  function show() {
    const length = [...question.value.trim()].length;
    const isOver = length > limit;
    number.textContent = `${length.toLocaleString("en")} / ${limit.toLocaleString("en")}`;
    counter.classList.toggle("counter-over", isOver);
    const words = isOver ? `What follows the first ${limit.toLocaleString("en")} characters will be cut off.` : "";
    // Said when it becomes true, not at every key.
    if (warning.textContent !== words) warning.textContent = words;
  }

  question.addEventListener("input", show);
  show();
}

function isMac() {
  return navigator.platform.startsWith("Mac");
}

for (const form of document.querySelectorAll("form[data-question]")) {
  form.hidden = false;
  const question = form.querySelector("textarea");
  count(question);
  const shortcut = document.createElement("span");
  shortcut.className = "shortcut";
  shortcut.textContent = isMac() ? "⌘ Enter submits" : "Ctrl + Enter submits";
  form.querySelector(".form-actions").append(shortcut);
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

// --- What a text brings ---------------------------------------------------------------------------
// Says its summary when that changes, and goes away where it could not be brought up to date.

const preview = document.getElementById("preview");

if (preview) {
  const status = document.getElementById("preview-status");
  // Beside a question, it isn't there without JavaScript.
  document.querySelector("[data-preview]")?.removeAttribute("hidden");
  document.body.addEventListener("htmx:afterSwap", ({ target }) => {
    if (target !== preview) return;
    const summary = preview.querySelector("[data-summary]")?.textContent ?? "";
    const words = summary.trim().replace(/\s+/g, " ");
    if (status.textContent !== words) status.textContent = words;
  });
  // Leaving the page breaks off what is under way: that is no failure.
  window.addEventListener("pagehide", () => htmx.trigger(preview, "htmx:abort"));
  // What was written before htmx listened, or kept by the browser, wants its preview too.
  document.addEventListener("DOMContentLoaded", () => {
    for (const field of document.querySelectorAll("form textarea")) {
      if (field.value !== field.defaultValue) field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  // Not when a request gives way to the next one.
  for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.body.addEventListener(failure, ({ detail }) => {
      if (detail.target === preview) preview.replaceChildren();
    });
  }
}

// --- Copying --------------------------------------------------------------------------------------
// An answer goes with its tables and lists for a word processor, and as text for everything else; a
// field, such as a new token's, as its text.

function blob(type, text) {
  return new Blob([text], { type });
}

function isField(element) {
  return element.localName === "textarea";
}

async function copy(element) {
  if (isField(element)) {
    element.select();
    await navigator.clipboard.writeText(element.value);
    return;
  }
  const parts = {
    "text/html": blob("text/html", element.innerHTML),
    "text/plain": blob("text/plain", element.innerText),
  };
  await navigator.clipboard.write([new ClipboardItem(parts)]);
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copies], [data-prints]");
  if (!button) return;
  if ("prints" in button.dataset) {
    window.print();
    return;
  }
  const element = document.getElementById(button.dataset.copies);
  try {
    await copy(element);
    announce("The answer is copied.");
    button.textContent = "Copied";
  } catch {
    // Over plain http there is no clipboard. A field is selected by now.
    announce("This browser does not let the page copy. Select the answer and copy it by hand.");
    button.textContent = isField(element) ? `Press ${isMac() ? "⌘" : "Ctrl+"}C` : "Can’t copy here";
  }
  setTimeout(() => {
    button.textContent = "Copy";
  }, 2000);
});
