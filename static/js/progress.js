// The status page between two answers of the server: polls again when nothing changed or the
// network failed, says each change once, keeps the focus, and lets the seconds tick. Without it, the
// page reloads.

const LONGEST_WAIT = 30;
const announcer = document.getElementById("announcer");
const connectionLost = document.getElementById("connection-lost");
const followUp = document.getElementById("follow-up");
let failures = 0;
let hadFocus = false;

function status() {
  return document.getElementById("simulation");
}

function waitAfter(request) {
  if (!failures) return Number(request.getResponseHeader("Retry-After")) || 2;
  return Math.min(2 ** failures, LONGEST_WAIT) * (0.75 + Math.random() / 2);
}

function announce(text) {
  if (announcer.textContent !== text) announcer.textContent = text;
}

function announceStatus() {
  announce(status().dataset.announcement);
}

// A page that may no longer be seen says so itself.
function isRefused(status) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

document.body.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr } }) => {
  if (isRefused(xhr.status)) {
    location.reload();
    return;
  }
  const wasLost = failures > 0;
  failures = xhr.status >= 200 && xhr.status < 300 ? 0 : failures + 1;
  connectionLost.hidden = failures === 0;
  if (failures) announce(connectionLost.textContent);
  else if (wasLost) announceStatus();
  // What was swapped in polls by itself.
  if (failures || xhr.status === 204) {
    setTimeout(() => htmx.trigger(elt, "again"), waitAfter(xhr) * 1000);
  }
});

document.body.addEventListener("htmx:beforeSwap", () => {
  hadFocus = status().contains(document.activeElement);
});

// A focus whose button is gone moves to the heading, which then is what a screen reader says.
document.body.addEventListener("htmx:afterSwap", ({ target }) => {
  if (target !== status()) return;
  if (hadFocus && !target.contains(document.activeElement)) target.querySelector("h2").focus();
  else announceStatus();
  // A question begun is not taken away.
  if (followUp) followUp.hidden = "over" in target.dataset && !followUp.elements.query.value;
});

// What was unfolded stays so.
document.body.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  const before = detail.target.querySelector("details");
  const after = detail.fragment.querySelector("details");
  if (before && after) after.open = before.open;
});

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
