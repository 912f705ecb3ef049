// Counts the question's characters as the server does, and keeps a second click from asking twice.

const form = document.querySelector("form[data-question]");
form.hidden = false;
const question = form.querySelector("textarea");
const limit = Number(question.dataset.limit);

const counter = document.createElement("p");
counter.className = "counter";
const count = document.createElement("span");
const warning = document.createElement("span");
warning.role = "status";
counter.append(warning, count);
question.after(counter);

function show() {
  const length = [...question.value.trim()].length;
  const isOver = length > limit;
  count.textContent = `${length.toLocaleString("en")} / ${limit.toLocaleString("en")}`;
  counter.classList.toggle("counter-over", isOver);
  const words = isOver ? `What follows the first ${limit.toLocaleString("en")} characters will be cut off.` : "";
  // Said when it becomes true, not at every key.
  if (warning.textContent !== words) warning.textContent = words;
}

question.addEventListener("input", show);
show();

const shortcut = document.createElement("span");
shortcut.className = "shortcut";
shortcut.textContent = navigator.platform.startsWith("Mac") ? "⌘ Enter submits" : "Ctrl + Enter submits";
form.querySelector(".form-actions").append(shortcut);

question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

let isSent = false;
form.addEventListener("submit", (event) => {
  if (isSent) event.preventDefault();
  isSent = true;
});
// Coming back by the Back button finds the page as it was left.
window.addEventListener("pageshow", () => {
  isSent = false;
});
