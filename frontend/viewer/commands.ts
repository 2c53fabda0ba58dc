// What keys and buttons do: one verb each.

import type { Axes } from "./axes";
import type { ImpressionValue, Measures, Side, Voxel } from "./contract";
import { READING_KEYS } from "./keys/bindings";
import { Remap } from "./keys/remap";
import type { Labelmap } from "./labelmap";
import { isDecided, LEVELS } from "./order";
import type { ShapeDesk } from "./reshape/desk";
import type { Session } from "./session";
import type { ToolName, Tools } from "./tools";
import type { Views, WindowName } from "./views";

/** What may be done while the hand is asked for something on the images. */
const LOOKING: ReadonlySet<string> = new Set([
  "previous",
  "next",
  "nextUndecided",
  "soft",
  "narrow",
  "bone",
  "lung",
  "outline",
  "axes",
  "slab",
  "beside",
  "besideChoose",
  "fuse",
  "fuseFainter",
  "fuseStronger",
  "secondWindow",
]);

/** The middle of a node's long axis, on the slice that gave its short axis. */
function focusOf({ endpoints_vox: ends, centroid_vox, slice_index }: Measures): Voxel {
  const [, row, column] = centroid_vox;
  if (!ends) return [slice_index, Math.round(row), Math.round(column)];
  const [[, row0, column0], [, row1, column1]] = ends.long;
  return [slice_index, Math.round((row0 + row1) / 2), Math.round((column0 + column1) / 2)];
}

/** Announces "change" when something only the panel shows has changed. */
export class Commands extends EventTarget {
  /** The node whose reject waits for a reason. */
  rejecting: string | null = null;
  /** The node whose side and level are being chosen. */
  placing: string | null = null;
  /** The planes stay where they are while something lies over them. */
  still = false;
  helpOpen = false;
  readonly remap = new Remap(READING_KEYS);
  /** The sheet to sign is open: what it shows must not change under the reader. */
  signing = false;
  /** Something else is done: what lies over the list is put away. */
  putAway: () => void = () => {};
  /** A tool that has keys of its own while it is held; true when it took the action. */
  intercept: (action: string) => boolean = () => false;

  constructor(
    private readonly session: Session,
    private readonly views: Views,
    private readonly labelmap: Labelmap,
    private readonly tools: Tools,
    private readonly axes: Axes,
    private readonly desk: ShapeDesk,
  ) {
    super();
    Object.assign(
      this.verbs,
      desk.verbs((tool) => this.paintWith(tool)),
    );
  }

  run(action: string): void {
    const verb = this.verbs[action];
    if (action !== "reject") this.rejecting = null;
    if (action !== "level") this.placing = null;
    if (action !== "help") this.helpOpen = false;
    if (action !== "incidental") this.putAway();
    if (!LOOKING.has(action)) this.desk.pointing.end();
    this.remap.leave();
    if (action === "cancel") this.signing = false;
    if (!this.signing && !this.intercept(action)) verb?.();
    this.dispatchEvent(new Event("change"));
  }

  /** What each action does; the rooms of other subjects add their own. */
  readonly verbs: Record<string, () => unknown> = {
    accept: () => this.accept(this.session.selected),
    reject: () => {
      const node = this.session.node(this.session.selected);
      this.rejecting = node && this.session.writable ? node.uuid : null;
    },
    previous: () => this.step(-1),
    next: () => this.step(1),
    nextUndecided: () => this.nextUndecided(),
    centre: () => this.goTo(this.session.selected),
    metastatic: () => this.label("metastatic"),
    nonMetastatic: () => this.label("non_metastatic"),
    indeterminate: () => this.label("indeterminate"),
    notAssessable: () => this.label("not_assessable"),
    doubt: () => this.doubt(this.session.selected),
    level: () => this.askPlace(this.session.selected),
    undo: () => this.session.undo(),
    redo: () => this.session.redo(),
    brush: () => this.paintWith("brush"),
    eraser: () => this.paintWith("eraser"),
    newNode: () => {
      if (this.session.begin()) this.tools.use("brush");
    },
    smaller: () => this.tools.resize(-1),
    larger: () => this.tools.resize(1),
    soft: () => this.views.show("soft"),
    narrow: () => this.window("narrow"),
    bone: () => this.window("bone"),
    lung: () => this.window("lung"),
    window: () => this.tools.use("window"),
    pan: () => this.tools.toggle("pan"),
    zoom: () => this.tools.toggle("zoom"),
    crosshairs: () => this.tools.toggle("crosshairs"),
    reset: () => this.views.reset(),
    sliceUp: () => this.scroll(1),
    sliceDown: () => this.scroll(-1),
    submit: () => {
      this.signing = this.session.canSubmit;
    },
    outline: () => {
      this.labelmap.outlineOnly = !this.labelmap.outlineOnly;
      this.labelmap.applyStyle();
    },
    fainter: () => this.labelmap.fill(-0.08),
    stronger: () => this.labelmap.fill(0.08),
    axes: () => {
      this.axes.shown = !this.axes.shown;
      this.axes.draw();
    },
    hideRejected: () => {
      this.labelmap.hideRejected = !this.labelmap.hideRejected;
      this.labelmap.colour();
    },
    cancel: () => {
      this.tools.use("window");
      this.session.forgetDraft();
    },
    help: () => {
      this.helpOpen = !this.helpOpen;
    },
  };

  /** True when a waiting reject took the digit: it never labels a node then. */
  digit(number: number): boolean {
    if (this.desk.pointing.digit(number)) return true;
    const level = LEVELS[number - 1];
    if (this.placing && level) {
      this.locate(this.placing, { level });
      return true;
    }
    if (!this.rejecting) return this.signing;
    const reason = this.session.detail?.case.protocol.reject_reasons[number - 1];
    if (reason) this.reject(this.rejecting, reason);
    return true;
  }

  accept(uuid: string | null): void {
    const node = this.session.node(uuid);
    if (!node || !this.session.writable) return;
    if (node.decision !== "accepted" && node.origin === "ai" && node.decision !== "reshaped") {
      this.session.decide(node.uuid, "accepted");
    }
    this.nextUndecided(node.uuid);
  }

  askReason(uuid: string): void {
    this.session.select(uuid);
    this.rejecting = this.rejecting === uuid ? null : uuid;
    this.dispatchEvent(new Event("change"));
  }

  reject(uuid: string, reason: string): void {
    this.rejecting = null;
    this.session.decide(uuid, "rejected", reason);
    this.nextUndecided(uuid);
    this.dispatchEvent(new Event("change"));
  }

  reopen(uuid: string): void {
    this.session.decide(uuid, "undecided");
  }

  label(value: ImpressionValue, uuid = this.session.selected): void {
    const node = this.session.node(uuid);
    if (!node) return;
    const same = node.impression?.value === value;
    this.session.change(node.uuid, {
      kind: "impression",
      node: node.uuid,
      value: same ? null : value,
      confidence: same ? null : (node.impression?.confidence ?? null),
    });
  }

  confidence(uuid: string, confidence: number): void {
    const value = this.session.node(uuid)?.impression?.value;
    if (value) this.session.change(uuid, { kind: "impression", node: uuid, value, confidence });
  }

  doubt(uuid: string | null): void {
    const node = this.session.node(uuid);
    if (!node) return;
    this.session.change(node.uuid, { kind: "doubt", node: node.uuid, value: !node.doubt });
  }

  /** Opens the choice of side and level for a node, or closes it. */
  askPlace(uuid: string | null): void {
    const node = this.session.node(uuid);
    if (!node || !this.session.writable) return;
    if (this.session.selected !== node.uuid) this.session.select(node.uuid);
    this.rejecting = null;
    this.placing = this.placing === node.uuid ? null : node.uuid;
    this.dispatchEvent(new Event("change"));
  }

  /** Says where a node lies; choosing what stands already takes it back. */
  locate(uuid: string, said: { side?: Side; level?: string }): void {
    const node = this.session.node(uuid);
    if (!node) return;
    const side = said.side === undefined ? node.side : said.side === node.side ? null : said.side;
    const level =
      said.level === undefined ? node.level : said.level === node.level ? null : said.level;
    this.session.change(uuid, { kind: "level", node: uuid, side, level });
    if (said.level !== undefined) this.placing = null;
    this.dispatchEvent(new Event("change"));
  }

  /** Selects a node and centres it, on the slice that gave its short axis. */
  goTo(uuid: string | null): void {
    const node = this.session.node(uuid);
    if (!node) return;
    if (this.session.selected !== node.uuid) this.session.select(node.uuid);
    const focus = node.measures && focusOf(node.measures);
    if (focus && !this.still) this.views.centre(focus);
  }

  private scroll(by: 1 | -1): void {
    const slices = this.session.detail?.grid.shape[0] ?? 0;
    const to = (this.views.slice("axial") ?? 0) + by;
    if (to >= 0 && to < slices) this.views.scrollTo("axial", to);
  }

  private step(by: 1 | -1): void {
    const { nodes } = this.session;
    const at = nodes.findIndex(({ uuid }) => uuid === this.session.selected);
    const next = at < 0 ? nodes[0] : nodes[Math.min(nodes.length - 1, Math.max(0, at + by))];
    this.goTo(next?.uuid ?? null);
  }

  private nextUndecided(after = this.session.selected): void {
    const { nodes } = this.session;
    const at = nodes.findIndex(({ uuid }) => uuid === after);
    const round = [...nodes.slice(at + 1), ...nodes.slice(0, at + 1)];
    const next = round.find((node) => !isDecided(node));
    if (next) this.goTo(next.uuid);
  }

  private paintWith(tool: ToolName): void {
    const { session } = this;
    if (!session.writable) return;
    if (!session.selected) {
      session.notice = "Select a node to reshape it, or press N for a new one.";
      session.changed();
      return;
    }
    this.tools.toggle(tool);
  }

  private window(name: WindowName): void {
    const shown = this.views.window === name && !this.views.windowed;
    this.views.show(shown ? "soft" : name);
  }
}
