// Which planes have their images. The host says so once, perhaps before anything of the room is there.

import type { Host } from "../ohif";

/** Announces "filled" for every plane that gets its images, also for one that had some. */
export class FilledPlanes extends EventTarget {
  private readonly ids = new Set<string>();
  private readonly subscription: { unsubscribe(): void };

  constructor(host: Host) {
    super();
    const { cornerstoneViewportService: viewports } = host.servicesManager.services;
    const changed = viewports.EVENTS.VIEWPORT_DATA_CHANGED ?? "";
    this.subscription = viewports.subscribe(changed, ({ viewportId }) => {
      if (viewportId) this.ids.add(viewportId);
      this.dispatchEvent(new Event("filled"));
    });
  }

  all(ids: readonly string[]): boolean {
    return ids.every((id) => this.ids.has(id));
  }

  stop(): void {
    this.subscription.unsubscribe();
  }
}
