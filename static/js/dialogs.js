// Dialogs: fetched into #modal, or standing in the page and opened by data-dialog. Focus returns to the opener.
const modal = document.getElementById("modal");
let opener = null;

function focusFirst(dialog) {
  const bad = dialog.querySelector('[aria-invalid="true"]');
  const first = bad ?? dialog.querySelector("[autofocus], .dlg-b input:not([type=hidden]):not(:disabled), .dlg-b select");
  first?.focus();
}

function show(dialog, from) {
  if (from) opener = from;
  if (!dialog.matches(":modal")) {
    dialog.removeAttribute("open");
    dialog.showModal();
  }
  focusFirst(dialog);
}

/** Close the dialog that was fetched, if there is one. */
export function closeModal() {
  modal.querySelector("dialog[open]")?.close();
}

/** Open a dialog that stands in the page. */
export function openDialog(id, from = document.activeElement) {
  const dialog = document.getElementById(id);
  if (dialog && !dialog.open) show(dialog, from);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-dialog]");
  if (button) openDialog(button.dataset.dialog, button);
  const close = event.target.closest?.("dialog [data-close]");
  // Without script, and on a page of its own, the same control is a link back.
  if (close && close.closest("dialog").matches(":modal")) {
    event.preventDefault();
    close.closest("dialog").close();
  }
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target !== modal || modal.contains(event.detail.elt)) return;
  const menu = event.detail.elt.closest(".menu");
  opener = menu?.id ? (document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`) ?? opener) : event.detail.elt;
});

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.target === modal && modal.querySelector("dialog");
  if (dialog) show(dialog);
});

document.addEventListener(
  "close",
  (event) => {
    if (!(event.target instanceof HTMLDialogElement)) return;
    if (modal.contains(event.target)) {
      // An answer that still comes has no place to go.
      event.target.addEventListener("htmx:beforeSwap", (late) => {
        late.detail.shouldSwap = false;
      });
      modal.replaceChildren();
    }
    const back = opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id);
    (back && !back.disabled ? back : document.getElementById("main"))?.focus();
    opener = null;
  },
  true,
);

// What the dialog was for has been accepted.
document.addEventListener("mooring:task-started", closeModal);
document.addEventListener("mooring:done", closeModal);
