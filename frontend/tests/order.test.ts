import { describe, expect, it } from "vitest";
import { inPlane } from "../viewer/in_plane";
import { inOrder, passes } from "../viewer/order";
import type { ShownNode } from "../viewer/projection";
import { nodeRecord } from "./example";

function node(number: number, own: Partial<ShownNode>, slice = 0, sad = 5): ShownNode {
  const measures = { centroid_vox: [slice, 0, 0], sad_mm: sad } as unknown as ShownNode["measures"];
  return { ...nodeRecord(`node-${number}`, number), stale: false, measures, ...own };
}

const numbers = (nodes: ShownNode[]) => nodes.map((each) => each.number);

describe("the list of nodes", () => {
  it("runs by side and level from the skull base to the clavicle, the unknown last", () => {
    const nodes = [
      node(1, { side: "L", level: "II" }, 60),
      node(2, { side: "R" }, 10),
      node(3, { side: "R" }, 80),
      node(4, { side: null }, 99),
      node(5, { side: "R", level: "IV" }, 20),
      node(6, { side: "R", level: "IB" }, 50),
    ];
    expect(numbers(inOrder(nodes, "place"))).toEqual([6, 5, 3, 2, 1, 4]);
  });

  it("runs by size, or with the undecided first", () => {
    const nodes = [
      node(1, { decision: "accepted" }, 9, 4),
      node(2, {}, 5, 12),
      node(3, { decision: "rejected" }, 7, 8),
      node(4, {}, 8, 6),
    ];
    expect(numbers(inOrder(nodes, "size"))).toEqual([2, 3, 4, 1]);
    expect(numbers(inOrder(nodes, "undecided"))).toEqual([4, 2, 1, 3]);
  });

  it("lists no node that was added and erased again", () => {
    expect(inOrder([node(1, { origin: "added", empty: true })], "place")).toEqual([]);
  });

  it("filters by what was decided and said", () => {
    const metastatic = { value: "metastatic", confidence: null } as const;
    expect(passes(node(1, { impression: metastatic }), "metastatic")).toBe(true);
    expect(passes(node(1, { decision: "rejected" }), "kept")).toBe(false);
    expect(passes(node(1, { decision: "reshaped" }), "kept")).toBe(true);
    expect(passes(node(1, { doubt: true }), "doubt")).toBe(true);
    expect(passes(node(1, {}), "undecided")).toBe(true);
  });
});

describe("a line in a plane", () => {
  it("lies whole in the slice it was measured on", () => {
    const found = inPlane(
      [
        [4, 10, 10],
        [4, 20, 12],
      ],
      0,
      4,
    );
    expect(found).toEqual({
      part: [
        [4, 10, 10],
        [4, 20, 12],
      ],
      ends: [
        [4, 10, 10],
        [4, 20, 12],
      ],
      whole: true,
    });
    expect(
      inPlane(
        [
          [4, 10, 10],
          [4, 20, 12],
        ],
        0,
        5,
      ),
    ).toBeNull();
  });

  it("is cut to the thickness of a slice it only crosses", () => {
    const found = inPlane(
      [
        [4, 10, 10],
        [4, 20, 12],
      ],
      1,
      15,
    );
    expect(found?.whole).toBe(false);
    expect(found?.ends).toEqual([]);
    expect(found?.part.map(([, row]) => row)).toEqual([14.5, 15.5]);
  });

  it("shows the one end that lies in the slice", () => {
    const found = inPlane(
      [
        [4, 10.2, 10],
        [4, 20, 12],
      ],
      1,
      10,
    );
    expect(found?.ends).toEqual([[4, 10.2, 10]]);
    expect(found?.part[0]).toEqual([4, 10.2, 10]);
  });
});
