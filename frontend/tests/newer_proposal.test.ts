import { beforeEach, describe, expect, it } from "vitest";
import { Mask } from "../viewer/mask";
import { unpackMask } from "../viewer/packed";
import type { ProposalClient } from "../viewer/proposal/client";
import type { Difference, NewerProposal } from "../viewer/proposal/contract";
import { Offering } from "../viewer/proposal/offering";
import { takingDifference } from "../viewer/proposal/taking";
import { countWords, partsWords, presentWords } from "../viewer/proposal/words";
import type { Session } from "../viewer/session";
import * as example from "./example";

const { sop_uids: SOPS } = example.readingDetail().grid;
const MEASURES = {
  sad_mm: 7,
  sad_text: "7.0",
  volume_mm3: 400,
} as Difference["nodes"][0]["measures"];

function mask(): Mask {
  return new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
}

/** Voxels of one slice as the slices of a change. */
function slices(index: number, positions: number[]) {
  return [
    {
      sop: SOPS[index] ?? "",
      box: [0, 0, 4, 5] as [number, number, number, number],
      runs: positions.map((at) => [at, 1, 1] as [number, number, number]),
    },
  ];
}

function difference(kind: Difference["kind"], key: string, own: Partial<Difference>): Difference {
  return { key, kind, at_vox: [0, 0, 0], dice: 0, nodes: [], present: [], ...own };
}

const present = (uuid: string, number: number, edited = false) => ({
  uuid,
  number,
  edited,
  decision: "undecided" as const,
  measures: MEASURES,
});
const proposed = (uuid: string, onto: string | null, at: ReturnType<typeof slices>) => ({
  uuid,
  onto,
  measures: MEASURES,
  slices: at,
});

/** Label numbers of one slice after a patch. */
function after(patch: ReturnType<typeof takingDifference>, index: number): number[] {
  const now = mask();
  if (patch) now.apply(patch);
  return [...(now.plane(index) ?? new Uint16Array(20))];
}

describe("taking a difference", () => {
  const held = (index: number, label: number) =>
    [...(mask().plane(index) ?? [])].flatMap((value, at) => (value === label ? [at] : []));

  it("makes a new node of what nobody holds, and steals from no other", () => {
    const [own] = held(0, 1);
    const free = [...Array(20).keys()].filter((at) => !mask().plane(0)?.[at]).slice(0, 2);
    const one = difference("new", "n", {
      nodes: [proposed("ai", null, slices(0, [...free, own ?? 0]))],
    });
    const patch = takingDifference(one, mask(), SOPS, () => example.NEW, new Set());
    expect(patch?.nodes).toEqual([example.NEW]);
    const labels = after(patch, 0);
    expect(free.map((at) => labels[at])).toEqual([301, 301]);
    expect(labels[own ?? 0]).toBe(1);
    const taken = takingDifference(one, mask(), SOPS, () => example.NEW, new Set([1]));
    expect(after(taken, 0)[own ?? 0]).toBe(301);
  });

  it("gives a node the proposal's voxels, and a node that leaves none", () => {
    const one = difference("changed", "c", {
      nodes: [proposed("ai", example.A, slices(1, [7, 8]))],
      present: [present(example.A, 1), present(example.LATE, 300)],
    });
    const patch = takingDifference(one, mask(), SOPS, () => "", new Set());
    expect(patch?.nodes).toEqual([example.A]);
    expect(after(patch, 1).flatMap((label, at) => (label === 1 ? [at] : []))).toEqual([7, 8]);
    for (const index of [0, 2]) {
      expect(after(patch, index).filter((label) => label === 1 || label === 300)).toEqual([]);
    }
    expect(partsWords(one)).toBe("2 become 1");
    expect(presentWords(one)).toBe("nodes 1 and 300");
  });

  it("is no change where the node is as proposed", () => {
    const one = difference("changed", "c", {
      nodes: [
        proposed(
          "ai",
          example.LATE,
          [0, 2].flatMap((index) => slices(index, held(index, 300))),
        ),
      ],
      present: [present(example.LATE, 300)],
    });
    expect(takingDifference(one, mask(), SOPS, () => "", new Set())).toBeNull();
  });
});

class Reading {
  mask = mask();
  detail = example.readingDetail();
  writable = true;
  closed = false;
  nodes = [];
  made: unknown[] = [];
  undone = 0;
  /** The names of the changes that can be undone. */
  readonly steps: string[] = [];
  select() {}
  changed() {}
  paint(_patch: unknown, from: unknown) {
    this.made.push(from);
    this.change();
    return true;
  }
  decide(...said: unknown[]) {
    this.made.push(said);
    this.change();
  }
  change() {
    this.mask.advance();
    this.steps.push(this.mask.head);
  }
  undo() {
    this.undone += 1;
    this.mask.advance();
    this.steps.pop();
  }
  get latest() {
    return this.steps.at(-1) ?? null;
  }
  get undoable() {
    return this.writable && this.steps.length > 0;
  }
}

describe("a newer proposal", () => {
  const differences = [
    difference("new", "n", { nodes: [proposed("ai-n", null, slices(1, [3]))] }),
    difference("gone", "g", { present: [present(example.A, 1, true)] }),
    difference("changed", "c", {
      nodes: [proposed("ai-c", example.B, slices(1, [9]))],
      present: [present(example.B, 2)],
    }),
  ];
  let reading: Reading;
  let answer: NewerProposal | null;
  let offering: Offering;

  beforeEach(async () => {
    reading = new Reading();
    answer = { mask: "m1", differences } as NewerProposal;
    const client = { look: async () => answer } as ProposalClient;
    offering = new Offering(reading as unknown as Session, client, () => {});
    await offering.look();
  });

  it("is announced by what it says, and changes nothing until something is taken", () => {
    expect(countWords(offering.waiting)).toBe("1 new, 1 gone, 1 changed");
    expect(offering.active).toBe(false);
    expect(reading.made).toEqual([]);
  });

  it("is taken and left one by one, each change naming its source", () => {
    offering.toggle();
    expect(offering.current?.key).toBe("n");
    offering.take();
    expect(reading.made).toEqual([{ proposal: { mask: "m1", nodes: ["ai-n"] } }]);
    expect(offering.current?.key).toBe("g");
    offering.take();
    expect(reading.made[1]).toEqual([example.A, "rejected", "other", { mask: "m1", nodes: [] }]);
    offering.leave();
    expect(reading.made).toHaveLength(2);
    expect(offering.active).toBe(false);
    expect(offering.kept).toEqual({ mask: "m1", keys: ["c"] });
  });

  it("offers again what is undone while nothing else was done", () => {
    offering.toggle();
    offering.take();
    expect(offering.back()).toBe(true);
    expect(reading.undone).toBe(1);
    expect(offering.current?.key).toBe("n");
    offering.take();
    reading.change();
    expect(offering.back()).toBe(false);
  });

  it("offers each again that is undone in turn, whole", async () => {
    reading.change();
    const gone = (key: string, ...nodes: string[]) =>
      difference("gone", key, { present: nodes.map((uuid) => present(uuid, 1)) });
    answer = {
      mask: "m2",
      differences: [gone("a", example.A), gone("b", example.B, example.LATE), gone("c", "other")],
    } as NewerProposal;
    await offering.look();
    offering.toggle();
    offering.take();
    offering.take();
    expect(offering.waiting.map(({ key }) => key)).toEqual(["c"]);
    expect(offering.back()).toBe(true);
    expect([reading.undone, offering.current?.key]).toEqual([2, "b"]);
    expect(offering.back()).toBe(true);
    expect([reading.undone, offering.current?.key]).toEqual([3, "a"]);
    expect(offering.waiting.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    expect(offering.back()).toBe(false);
  });

  it("lets a tab that may not write undo nothing", () => {
    offering.toggle();
    offering.take();
    reading.writable = false;
    expect(offering.back()).toBe(false);
    expect(reading.undone).toBe(0);
  });

  it("does not take in a tab that may not write", () => {
    reading.writable = false;
    offering.toggle();
    expect(offering.take()).toBe(false);
    expect(offering.current?.key).toBe("n");
  });

  it("keeps what was left through an opening, and forgets it with a newer one", async () => {
    offering.restore({ mask: "m1", keys: ["n", "g"] });
    await offering.look();
    expect(offering.waiting.map(({ key }) => key)).toEqual(["c"]);
    answer = { mask: "m2", differences } as NewerProposal;
    await offering.look();
    expect(offering.waiting).toHaveLength(3);
  });

  it("is fetched when it is ready, and gone once the reading is signed", async () => {
    answer = null;
    offering.hear({ type: "mask_ready", audience: "", seq: 1, payload: { offered: false } });
    expect(offering.proposal).not.toBeNull();
    offering.hear({ type: "reading.submitted", audience: "", seq: 2, payload: {} });
    expect(offering.proposal).toBeNull();
  });
});
