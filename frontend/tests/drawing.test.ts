import { beforeEach, expect, test } from "vitest";
import { type Engine, pace } from "../viewer/drawing";

/** As the host's: all that wait are drawn in one frame, then told of. */
class Host implements Engine {
  _needsRender = new Set<string>();
  hasBeenDestroyed = false;
  frames: string[][] = [];
  asked = 0;
  told: (id: string) => void = () => {};

  _renderFlaggedViewports = () => {
    const drawn = [...this._needsRender];
    this._needsRender.clear();
    this.frames.at(-1)?.push(...drawn);
    clock += slow;
    for (const id of drawn) this.told(id);
  };

  _render(): void {
    if (this._needsRender.size > 0) this.asked += 1;
  }

  ask(...ids: string[]): void {
    for (const id of ids) this._needsRender.add(id);
  }

  frame(): string[] {
    this.frames.push([]);
    this._renderFlaggedViewports();
    return this.frames.at(-1) ?? [];
  }
}

let clock = 0;
let slow = 100;
let mine = "axial";
let host: Host;

beforeEach(() => {
  clock = 0;
  slow = 100;
  mine = "axial";
  host = new Host();
  pace(
    host,
    () => mine,
    () => clock,
  );
});

test("a slow frame draws one plane, the reader's first, and asks for the next frame", () => {
  host.ask("coronal", "sagittal", "axial");
  expect(host.frame()).toEqual(["axial"]);
  expect(host.asked).toBe(1);
  expect(host.frame()).toEqual(["coronal"]);
  expect(host.frame()).toEqual(["sagittal"]);
  expect(host.asked).toBe(2);
  expect(host.frame()).toEqual([]);
});

test("a fast one draws them all", () => {
  slow = 1;
  host.ask("coronal", "sagittal", "axial");
  expect(host.frame()).toEqual(["axial", "coronal", "sagittal"]);
  expect(host.asked).toBe(0);
});

test("a plane that is drawn again and again keeps no other waiting for ever", () => {
  host.ask("axial", "coronal");
  const drawn: string[] = [];
  for (let frame = 0; frame < 6; frame += 1) {
    drawn.push(...host.frame());
    host.ask("axial");
  }
  expect(drawn.filter((id) => id === "coronal")).toHaveLength(1);
  expect(drawn).toHaveLength(6);
});

test("what is asked for while it is told of a drawing is drawn", () => {
  slow = 1;
  host.told = (id) => {
    if (id === "axial") host.ask("sagittal");
  };
  host.ask("axial", "coronal");
  expect(host.frame()).toEqual(["axial", "coronal", "sagittal"]);
  expect(host._needsRender.size).toBe(0);
});

test("it is paced once", () => {
  const ours = host._renderFlaggedViewports;
  pace(host, () => mine);
  expect(host._renderFlaggedViewports).toBe(ours);
});

test("nothing is drawn by an engine that is gone", () => {
  host.ask("axial");
  host.hasBeenDestroyed = true;
  expect(host.frame()).toEqual([]);
});
