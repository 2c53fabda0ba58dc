// The host draws every plane that waits in one frame, and only then tells of any: on a slow graphics
// card the reader's own plane is seen as late as the last. Here a frame draws what there is time for,
// the plane the reader works in first.

import type { Host } from "./ohif";

/** Another plane is begun in the same frame while it is not older than this. */
const FRAME_MS = 8;
/** So long a plane gives way to others. */
const PATIENCE_MS = 250;

/** What of the host's rendering engine takes part. */
export interface Engine {
  _needsRender: Set<string>;
  _renderFlaggedViewports: () => void;
  _render(): void;
  hasBeenDestroyed?: boolean;
}

const paced = new WeakSet<Engine>();

/** Safe to call again; an engine of another make is left as it is. */
export function paceDrawing(host: Host): void {
  const { cornerstoneViewportService: views, viewportGridService: grid } =
    host.servicesManager.services;
  const found = views.getRenderingEngine();
  // Asked for the first time the host gives a shell around it.
  const engine: Partial<Engine> | undefined = found?._implementation ?? found ?? undefined;
  if (isEngine(engine)) pace(engine, () => grid.getActiveViewportId());
}

function isEngine(engine: Partial<Engine> | undefined): engine is Engine {
  return !!(engine?._needsRender && engine._renderFlaggedViewports && engine._render);
}

/** Draws the reader's plane, then the others in the order they were asked for, none for ever last. */
export function pace(engine: Engine, mine: () => string, now = () => performance.now()): void {
  if (paced.has(engine)) return;
  paced.add(engine);
  const drawAll = engine._renderFlaggedViewports;
  const since = new Map<string, number>();
  const choose = (waiting: readonly string[], at: number): string | undefined => {
    const late = waiting.find((id) => at - (since.get(id) ?? at) > PATIENCE_MS);
    const own = mine();
    return late ?? (waiting.includes(own) ? own : waiting[0]);
  };
  engine._renderFlaggedViewports = () => {
    if (engine.hasBeenDestroyed) return; // A second drawing in one frame leaves the next asked for twice.
    const begun = now();
    let waiting = [...engine._needsRender];
    for (const id of waiting) if (!since.has(id)) since.set(id, begun);
    do {
      const chosen = choose(waiting, begun);
      waiting = waiting.filter((id) => id !== chosen);
      engine._needsRender.clear();
      if (chosen !== undefined) {
        engine._needsRender.add(chosen);
        since.delete(chosen);
      }
      drawAll();
      // Drawing tells others, who may ask for more.
      waiting.push(...[...engine._needsRender].filter((id) => !waiting.includes(id)));
    } while (waiting.length > 0 && now() - begun < FRAME_MS);
    for (const id of waiting) engine._needsRender.add(id);
    engine._render();
  };
}
