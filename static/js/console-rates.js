// The figures below a console: pictures a second and the time to Mooring and back.

const EVERY_MS = 2_000;

/** Show them in `rate` (a screen's only, else null) and `trip` while there is a channel and the page is looked at. */
export function showRates({ rate, trip, channel }) {
  let frames = 0;
  let counted = null;
  setInterval(async () => {
    const current = channel();
    if (!current || document.hidden) {
      if (rate) rate.textContent = "";
      trip.textContent = "";
      counted = null;
      return;
    }
    if (rate && counted === current) rate.textContent = `${Math.round(((current.frames - frames) * 1000) / EVERY_MS)} fps`;
    counted = current;
    frames = current.frames;
    const took = await current.roundTrip();
    trip.textContent = `Round trip ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`;
  }, EVERY_MS);
}
