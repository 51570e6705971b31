// The policy picker: a choice goes before an answer that is still on its way, and what cannot be made, or could not be
// reckoned, disables the button: <button data-picker-submit>.
const region = (event) => event.target.closest?.("#redundancy");

document.addEventListener("change", (event) => {
  const picker = region(event);
  if (!picker) return;
  window.htmx.trigger(picker, "htmx:abort");
  picker.querySelector("[name=left]").value = ""; // what had to be left was told; this is a new choice
});

function allow(refusal) {
  for (const button of document.querySelectorAll("[data-picker-submit]")) {
    button.disabled = Boolean(refusal);
    button.title = refusal;
  }
}

document.addEventListener("htmx:afterSettle", () => {
  const told = document.getElementById("consequences");
  if (told) allow(told.dataset.refusal);
});

for (const failed of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failed, (event) => {
    if (region(event)) allow("What this means could not be reckoned. Choose again, or reload the page.");
  });
}
