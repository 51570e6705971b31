// Save buttons: data-save names the element whose text becomes a file, data-name the file. Nothing is asked of the server.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-save]");
  if (!button) return;
  const text = `${document.getElementById(button.dataset.save).textContent.trim()}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = button.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});
