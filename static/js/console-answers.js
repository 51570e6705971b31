// A guest may ask its terminal questions (where is the cursor, what are you?), which xterm.js answers as if typed. Of
// several browsers at one console only one may answer, and none when old output is shown again.

const QUESTIONS = [
  { final: "n" }, { prefix: "?", final: "n" },
  { final: "c" }, { prefix: ">", final: "c" }, { prefix: "=", final: "c" },
  { intermediates: "$", final: "p" }, { prefix: "?", intermediates: "$", final: "p" },
  { final: "t" },
];
const COLOURS = [4, 10, 11, 12];

/** Keep a terminal from answering while `quiet()`. */
export function silence(terminal, quiet) {
  for (const id of QUESTIONS) terminal.parser.registerCsiHandler(id, quiet);
  for (const id of COLOURS) terminal.parser.registerOscHandler(id, (data) => data.includes("?") && quiet());
  terminal.parser.registerDcsHandler({ intermediates: "$", final: "q" }, quiet);
}
