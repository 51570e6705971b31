// The Migrate dialog: choosing another target disables the button at once; the checks' answer enables it again.
document.addEventListener("change", (event) => {
  const radio = event.target.closest?.('#migrate-targets input[name="target"]');
  if (!radio) return;
  const submit = document.getElementById("migrate-submit");
  submit.disabled = true;
  submit.title = `The checks on ${radio.dataset.name} are running`;
  submit.textContent = `Migrate to ${radio.dataset.name}`;
  document.getElementById("checks-title").textContent = `Checks on ${radio.dataset.name}`;
  const pill = document.getElementById("checks-pill");
  pill.className = "pill info";
  pill.textContent = "Checking";
  document.getElementById("migrate-checks").setAttribute("aria-busy", "true");
});
