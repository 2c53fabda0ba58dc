import { beforeEach, describe, expect, it } from "vitest";
import { ApiError } from "../viewer/api";
import type { Voxel } from "../viewer/contract";
import { Mask } from "../viewer/mask";
import { FULL } from "../viewer/numbers";
import { unpackMask } from "../viewer/packed";
import type { PromptClient } from "../viewer/prompt/client";
import type { PromptAnswer, PromptQuestion, Proposal } from "../viewer/prompt/contract";
import { Prompting } from "../viewer/prompt/prompting";
import { has, loops, taking, voxelsOf } from "../viewer/prompt/shape";
import type { Session } from "../viewer/session";
import * as example from "./example";

const { sop_uids: SOPS, shape } = example.readingDetail().grid;
const COLUMNS = shape[2];

function mask(): Mask {
  return new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
}

/** Voxels of one slice that are background in the example's mask. */
function freeAt(index: number, count: number): number[] {
  const plane = mask().plane(index);
  const all = Array.from({ length: 20 }, (_, at) => at);
  return all.filter((at) => !plane?.[at]).slice(0, count);
}

function proposal(index: number, positions: number[]): Proposal {
  return {
    slices: [
      { sop: SOPS[index] ?? "", box: [0, 0, 4, 5], runs: positions.map((at) => [at, 1, 1]) },
    ],
    voxels: positions.length,
    confidence: 0.9,
    unsure: [],
  };
}

describe("the shape of a proposal", () => {
  it("is cut by every plane, its border closed", () => {
    const voxels = voxelsOf(proposal(1, [6, 7, 11, 12]).slices, SOPS, COLUMNS);
    const [loop, ...more] = loops(voxels, COLUMNS, "axial", 1);
    expect(more).toEqual([]);
    expect(new Set(loop?.map(String))).toEqual(
      new Set(
        [
          [0.5, 0.5],
          [0.5, 1.5],
          [0.5, 2.5],
          [1.5, 2.5],
          [2.5, 2.5],
          [2.5, 1.5],
          [2.5, 0.5],
          [1.5, 0.5],
        ].map(String),
      ),
    );
    expect(loops(voxels, COLUMNS, "axial", 0)).toEqual([]);
    expect(loops(voxels, COLUMNS, "coronal", 1)[0]).toHaveLength(6);
    expect(loops(voxels, COLUMNS, "sagittal", 2)[0]).toHaveLength(6);
    expect(has(voxels, [1, 2, 2], COLUMNS)).toBe(true);
    expect(has(voxels, [2, 2, 2], COLUMNS)).toBe(false);
  });

  it("keeps a hole open", () => {
    const ring = [0, 1, 2, 5, 7, 10, 11, 12];
    const voxels = voxelsOf(proposal(0, ring).slices, SOPS, COLUMNS);
    expect(loops(voxels, COLUMNS, "axial", 0)).toHaveLength(2);
  });

  it("is taken as it was proposed where nobody holds a voxel of it", () => {
    const offered = proposal(0, freeAt(0, 3));
    const patch = taking(offered, mask(), SOPS, "new", new Set());
    expect(patch).toEqual({
      nodes: ["new"],
      slices: [{ index: 0, box: offered.slices[0]?.box, runs: offered.slices[0]?.runs }],
    });
  });

  it("takes no voxel of another node, but those of a rejected one", () => {
    const now = mask();
    const [number, node] = example.MANIFEST.labels[0] ?? [1, ""];
    const index = [0, 1, 2].find((at) => now.plane(at)?.includes(number)) ?? 0;
    const held = now.plane(index)?.indexOf(number) ?? 0;
    const offered = proposal(index, [held]);
    expect(taking(offered, now, SOPS, "new", new Set())).toBeNull();
    expect(taking(offered, now, SOPS, "new", new Set([number]))?.slices).toHaveLength(1);
    expect(taking(offered, now, SOPS, node, new Set())?.slices.length).toBeGreaterThan(0);
  });
});

/** A server that answers when it is told to. */
class Server {
  asked: PromptQuestion[] = [];
  cancelled: string[] = [];
  answers = new Map<string, PromptAnswer>();
  refusal: Error | null = null;

  readonly client = {
    ask: async (question: PromptQuestion) => {
      if (this.refusal) throw this.refusal;
      this.asked.push(question);
      return this.look(question.id);
    },
    look: async (id: string) => this.look(id),
    cancel: async (id: string) => {
      this.cancelled.push(id);
      return this.look(id);
    },
  } as unknown as PromptClient;

  look(id: string): PromptAnswer {
    return this.answers.get(id) ?? { id, state: "waiting", message: "", proposal: null };
  }

  answer(id: string, offered: Proposal): void {
    this.answers.set(id, { id, state: "answered", message: "", proposal: offered });
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe("adding a missed node", () => {
  const AT: Voxel = [0, 1, 1];
  let server: Server;
  let prompting: Prompting;
  let full: boolean;
  let painted: { nodes: string[]; prompt?: string | undefined }[];
  let session: Session;

  beforeEach(() => {
    server = new Server();
    painted = [];
    full = false;
    session = {
      mask: mask(),
      detail: example.readingDetail(),
      nodes: [],
      selected: null,
      leaseId: "lease",
      writable: true,
      refusesMore: () => full,
      node: () => undefined,
      select: () => {},
      paint: ({ nodes }: { nodes: string[] }, from: { prompt?: string }) =>
        painted.push({ nodes, ...from }),
    } as unknown as Session;
    const { detail } = session;
    if (detail) detail.ai.state = "ready";
    prompting = new Prompting(session, server.client, () => {});
    prompting.toggle();
  });

  const last = () => server.asked[server.asked.length - 1]?.id ?? "";
  const news = (prompt: string) => ({
    type: "prompt.changed",
    audience: "reading:1",
    seq: 1,
    payload: { prompt, state: "answered", message: "" },
  });

  async function answered(offered: Proposal): Promise<void> {
    await settled();
    server.answer(last(), offered);
    prompting.hear(news(last()));
    await settled();
  }

  it("asks nothing where no further node can be shown, and says why", () => {
    full = true;
    prompting.click(AT, true);
    expect(prompting.failure).toBe(FULL);
    expect(prompting.clicks).toEqual([]);
    expect(server.asked).toEqual([]);
  });

  it("shows what the socket says is there, and takes it with its prompt", async () => {
    prompting.click(AT, true);
    await answered(proposal(0, freeAt(0, 2)));
    expect(prompting.waiting).toBe(false);
    expect(prompting.proposal?.voxels).toBe(2);
    const node = prompting.take();
    expect(painted).toEqual([{ nodes: [node], prompt: last() }]);
    expect(prompting.proposal).toBeNull();
  });

  it("asks with all clicks, and goes back one by one", async () => {
    prompting.click(AT, true);
    const first = proposal(0, freeAt(0, 2));
    await answered(first);
    prompting.click([0, 2, 2], false);
    expect(prompting.proposal).toEqual(first);
    await answered(proposal(0, freeAt(0, 1)));
    expect(server.asked[1]?.clicks.map(({ within }) => within)).toEqual([true, false]);
    expect(prompting.proposal?.voxels).toBe(1);
    expect(prompting.back()).toBe(true);
    expect(prompting.proposal).toEqual(first);
    expect(prompting.take()).not.toBeNull();
    expect(painted[0]?.prompt).toBe(server.asked[0]?.id);
  });

  it("ignores the late answer to what was dropped, and tells the server", async () => {
    prompting.click(AT, true);
    await settled();
    const dropped = last();
    expect(prompting.drop()).toBe(true);
    server.answer(dropped, proposal(0, freeAt(0, 2)));
    prompting.hear(news(dropped));
    await settled();
    expect(server.cancelled).toEqual([dropped]);
    expect(prompting.proposal).toBeNull();
    expect(prompting.waiting).toBe(false);
  });

  it("does not take the last proposal while the next is waited for", async () => {
    prompting.click(AT, true);
    await answered(proposal(0, freeAt(0, 2)));
    prompting.click([0, 2, 2], true);
    expect(prompting.take()).toBeNull();
    expect(painted).toEqual([]);
  });

  it("keeps the clicks when nobody answers, and asks again with them", async () => {
    server.refusal = new ApiError(409, { error: "NO_WORKER", message: "No worker is connected." });
    prompting.click(AT, true);
    await settled();
    expect(prompting.failure).toContain("No worker is connected.");
    expect(prompting.clicks).toHaveLength(1);
    server.refusal = null;
    prompting.retry();
    await answered(proposal(0, freeAt(0, 1)));
    expect(prompting.failure).toBe("");
    expect(prompting.proposal?.voxels).toBe(1);
  });

  it("is put away where the AI is hidden, and says what a first click beside means", async () => {
    prompting.click(AT, false);
    expect(prompting.failure).toBe("Click into the node first.");
    expect(server.asked).toEqual([]);
    prompting.leave();
    const { detail } = session;
    if (detail) detail.ai.state = "none";
    prompting.toggle();
    expect(prompting.active).toBe(false);
  });
});
