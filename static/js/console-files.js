// Saving what a console shows.

/** Offer a blob as `<name>-<UTC time>.<kind>`. */
export function saveAs(blob, name, kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}Z.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The text of a terminal's buffer, what has scrolled out included; wrapped lines are joined again. */
export function textOf(buffer) {
  const lines = [];
  for (let at = 0; at < buffer.length; at += 1) {
    const line = buffer.getLine(at);
    const text = line.translateToString(true);
    if (line.isWrapped && lines.length) lines[lines.length - 1] += text;
    else lines.push(text);
  }
  return `${lines.join("\n").trimEnd()}\n`;
}
