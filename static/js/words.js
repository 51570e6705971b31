// Quantities in words, as the server writes them.

/** A number with its noun: "1 VE", "1,143 VEs". */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
