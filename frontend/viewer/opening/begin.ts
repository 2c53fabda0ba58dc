// The first script of the viewer's page: what the reading needs is asked for before the viewer's
// own scripts are loaded. A classic script; it makes `window.concordOpening`.

import { Opening } from "./opening";

/** As many slices as the first look shows: more would take the processor from the scripts. */
const EARLY_SLICES = 4;

const reading = new URLSearchParams(location.search).get("reading") ?? "";
if (location.pathname.endsWith("/lymph") && /^[0-9a-f-]{36}$/i.test(reading)) {
  window.concordOpening = new Opening(reading, { early: EARLY_SLICES, hold: false });
}
