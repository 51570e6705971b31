// Lists: what is empty or the default does not go into the address.
document.addEventListener("htmx:configRequest", (event) => {
  const form = event.detail.elt.closest("form[data-clean]");
  if (!form) return;
  for (const [name, value] of [...event.detail.formData.entries()]) {
    const field = form.elements.namedItem(name);
    if (value === "" || value === field?.dataset?.default) event.detail.formData.delete(name);
  }
});
