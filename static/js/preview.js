// The preview of what a text brings: says its summary when that changes, and takes away a preview
// that could not be brought up to date. Nothing here stands in the way of the form.

const preview = document.getElementById("preview");
const announcer = document.getElementById("preview-status");
// On the page where it is a companion to something else, it isn't there without JavaScript.
document.querySelector("[data-preview]")?.removeAttribute("hidden");

function announce() {
  const words = preview.querySelector("[data-summary]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
  if (announcer.textContent !== words) announcer.textContent = words;
}

document.body.addEventListener("htmx:afterSwap", ({ target }) => {
  if (target === preview) announce();
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
