// What lies beside the images of a reading: which series there are, which is shown, how it lies to
// the images read, and its voxels once they are here. Announces "change".

import { ApiError, post, request } from "../api";
import type { Resume } from "../contract";
import type { Point3 } from "../ohif";
import type { BesideList, BesideSeries } from "./contract";
import { plus, times } from "./cut";
import { besideLayer, heatLayer } from "./layers";
import type { Range } from "./paint";
import type { Layer } from "./picture";
import { type DisplayVolume, parseVolume } from "./volume";

/** At most so many volumes are kept: the one beside, and a PET over the images. */
const KEPT = 2;
const OPACITY_STEP = 0.1;
const HERE: Point3 = [0, 0, 0];

export class Beside extends EventTarget {
  list: BesideSeries[] = [];
  /** The series that lies beside, or would. */
  chosen: BesideSeries | null = null;
  shown = false;
  fused = false;
  choosing = false;
  opacity = 0.5;
  notice = "";
  private readonly volumes = new Map<string, DisplayVolume>();
  private readonly coming = new Set<string>();
  /** What an earlier opening had on screen, until it is known what there is. */
  private before: Resume["beside"];
  /** Shifts that are tried, and not confirmed. */
  private readonly tried = new Map<string, Point3>();

  constructor(
    private readonly reading: string,
    private readonly middle: () => Point3 | null,
  ) {
    super();
  }

  async open(): Promise<void> {
    try {
      const answer = await request(`/api/readings/${this.reading}/beside`);
      this.list = ((await answer.json()) as BesideList).series;
      this.chosen ??= this.list[0] ?? null;
      this.stand();
    } catch (error) {
      console.warn("What lies beside could not be asked for.", error);
    }
    this.changed();
  }

  /** To be kept with where the reader was; nothing where nothing is on screen. */
  get kept(): Resume["beside"] {
    const { before, chosen, shown, fused, opacity } = this;
    if (before) return before;
    return chosen && (shown || fused) ? { series: chosen.id, shown, fused, opacity } : undefined;
  }

  restore(kept: Resume["beside"]): void {
    this.before = kept;
    if (this.list.length) this.stand();
  }

  /** As it was left, as far as it is still there. */
  private stand(): void {
    const { before } = this;
    this.before = undefined;
    const found = this.list.find(({ id }) => id === before?.series);
    if (!before || !found) return;
    this.chosen = found;
    this.shown = before.shown === true;
    this.fused = before.fused === true && this.pet !== null && this.registered(this.pet);
    if (Number.isFinite(before.opacity))
      this.opacity = Math.min(0.9, Math.max(0.1, before.opacity));
    this.changed();
  }

  get pet(): BesideSeries | null {
    const { chosen } = this;
    return chosen?.kind === "pet" ? chosen : (this.list.find(({ kind }) => kind === "pet") ?? null);
  }

  toggle(): void {
    this.shown = this.chosen !== null && !this.shown;
    this.notice = this.list.length ? "" : "No other series of this person is shown here.";
    this.changed();
  }

  choose(id: string): void {
    this.chosen = this.list.find((series) => series.id === id) ?? this.chosen;
    this.shown = this.chosen !== null;
    this.choosing = false;
    this.changed();
  }

  chooser(): void {
    this.choosing = this.list.length > 0 && !this.choosing;
    this.changed();
  }

  /** PET over the images; only where it is known how it lies. */
  fuse(): void {
    const { pet } = this;
    if (pet && !this.registered(pet)) {
      this.choose(pet.id);
      this.notice = "Confirm the registration first: only then PET lies over the CT.";
    } else {
      this.fused = pet !== null && !this.fused;
      this.notice = pet ? "" : "No PET of this person is shown here.";
    }
    this.changed();
  }

  fade(by: 1 | -1): void {
    this.opacity = Math.min(0.9, Math.max(0.1, this.opacity + by * OPACITY_STEP));
    this.changed();
  }

  registered(series: BesideSeries): boolean {
    return series.same_frame || series.offset_mm !== null;
  }

  /** From a position of the images read to the same place in the series, as far as it is known. */
  offset(series: BesideSeries): Point3 {
    if (series.same_frame) return HERE;
    const tried = this.tried.get(series.id);
    if (tried) return tried;
    if (series.offset_mm) return series.offset_mm;
    const [here, there] = [this.middle(), this.volumes.get(series.id)?.middle];
    return here && there ? plus(there, times(here, -1)) : HERE;
  }

  /** Tries another shift of what lies beside. */
  shift(by: Point3): void {
    const { chosen } = this;
    if (!chosen || !this.trying) return;
    this.tried.set(chosen.id, plus(this.offset(chosen), by));
    this.changed();
  }

  /** How what lies beside lies is still to be confirmed. */
  get trying(): boolean {
    return this.shown && this.chosen !== null && !this.registered(this.chosen);
  }

  /** A confirmed shift is to be tried anew. */
  adjust(): void {
    const { chosen } = this;
    if (!chosen || chosen.same_frame) return;
    this.tried.set(chosen.id, this.offset(chosen));
    chosen.offset_mm = null;
    this.fused = false;
    this.changed();
  }

  async confirm(lease: string | null): Promise<void> {
    const { chosen } = this;
    if (!chosen || !this.trying || !this.volumes.has(chosen.id)) return;
    try {
      const path = `/api/readings/${this.reading}/beside/${chosen.id}/registration`;
      const now = await post<BesideSeries>(path, { lease, offset_mm: this.offset(chosen) });
      chosen.offset_mm = now.offset_mm;
      this.tried.delete(chosen.id);
      this.notice = "";
    } catch (error) {
      this.notice = error instanceof ApiError ? error.message : "Not confirmed: try again.";
    }
    this.changed();
  }

  /** The voxels of a series; asked for when they are not here yet. */
  volume(series: BesideSeries): DisplayVolume | null {
    const found = this.volumes.get(series.id);
    if (!found) void this.fetch(series);
    return found ?? null;
  }

  isComing({ id }: BesideSeries): boolean {
    return this.coming.has(id);
  }

  private async fetch(series: BesideSeries): Promise<void> {
    if (this.coming.has(series.id)) return;
    this.coming.add(series.id);
    try {
      const answer = await request(series.volume);
      this.volumes.set(series.id, parseVolume(await answer.arrayBuffer()));
      for (const old of [...this.volumes.keys()].slice(0, -KEPT)) this.volumes.delete(old);
    } catch (error) {
      this.shown = false;
      this.fused = false;
      this.notice = error instanceof Error ? error.message : String(error);
    }
    this.coming.delete(series.id);
    this.changed();
  }

  /** PET as a layer over the images; null while there is none to be drawn. */
  get heat(): Layer | null {
    const { pet } = this;
    if (!this.fused || !pet || !this.registered(pet)) return null;
    const volume = this.volume(pet);
    return volume && heatLayer(volume, this.offset(pet), this.opacity);
  }

  /** What lies beside, as a layer of its own; CT in the window given. */
  layer(window: Range): Layer | null {
    const { chosen } = this;
    const volume = chosen && this.shown ? this.volume(chosen) : null;
    if (!chosen || !volume) return null;
    return besideLayer(chosen, volume, this.offset(chosen), window);
  }

  changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
