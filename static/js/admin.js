// The admin's search boxes for related objects have no name of their own: they take their field's.

function nameBoxes(root) {
  for (const select of root.querySelectorAll("select.admin-autocomplete[aria-label]")) {
    const label = select.getAttribute("aria-label");
    select.parentElement.querySelector(".select2-selection__rendered")?.setAttribute("aria-label", label);
  }
}

// After the script that makes them.
django.jQuery(() => setTimeout(nameBoxes, 0, document));
document.addEventListener("formset:added", (event) => setTimeout(nameBoxes, 0, event.target));
