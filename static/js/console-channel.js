// One try to reach a display: a fresh ticket by POST, then the websocket that shows it and becomes the RFB channel.

const TICKET_MS = 10_000;
const HANDSHAKE_MS = 15_000;

/** Why a console could not be opened, in words for the user; `code` as in the websocket's close codes. */
export class Refused extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
}

/** Ask for a ticket: {ticket, ve, state}. */
export async function fetchTicket(form) {
  let answer;
  try {
    answer = await fetch(form.action, {
      method: "POST", body: new FormData(form), redirect: "manual", signal: AbortSignal.timeout(TICKET_MS),
    });
  } catch {
    throw new Refused(0, "Mooring does not answer");
  }
  if (answer.ok) return answer.json();
  if (answer.type === "opaqueredirect") throw new Refused(4401, "You are signed out. Reload the page to sign in.");
  if (answer.status === 403) throw new Refused(4403, "Your role does not allow this console. Ask an administrator.");
  if (answer.status === 404) throw new Refused(4403, "This VE is no longer there.");
  throw new Refused(0, `Mooring answered with an error (${answer.status})`);
}

/** Open the websocket and show the ticket. Resolves to {socket, node, warning}: RFB begins with the next message. */
export function openChannel(ticket, onClose) {
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/console/`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, "binary");
    socket.binaryType = "arraybuffer";
    const timer = setTimeout(() => { socket.close(); reject(new Refused(0, "The console did not answer")); }, HANDSHAKE_MS);
    let ready = false;
    socket.onopen = () => socket.send(JSON.stringify({ ticket: ticket.ticket, ve: ticket.ve }));
    socket.onmessage = ({ data }) => {
      clearTimeout(timer);
      const message = JSON.parse(data);
      if (message.type !== "ready") {
        reject(new Refused(message.code, message.reason));
        return;
      }
      ready = true;
      resolve({ socket, node: message.node, warning: message.warning }); // noVNC takes over in this same turn
    };
    // Registered before noVNC's own handler, so that the picture and the focus are still there when it is called.
    socket.addEventListener("close", (event) => {
      clearTimeout(timer);
      if (ready) onClose(event);
      else reject(new Refused(event.code, event.reason || "Mooring does not answer"));
    });
  });
}
