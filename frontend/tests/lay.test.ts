import { describe, expect, it } from "vitest";
import { lay } from "../viewer/lay";

const dense = new Uint8Array(65536);
dense[7] = 1;
dense[300] = 2;

describe("a slice as the host shows it", () => {
  it.each([0, 2, 4])("has a dense number for each label, wherever it lies (byte %i)", (begin) => {
    const labels = [0, 0, 7, 0, 0, 300, 7, 7, 300];
    const truth = new Uint16Array(new ArrayBuffer(begin + 2 * labels.length), begin);
    truth.set(labels);
    const shown = new Uint8Array(labels.length).fill(9);
    lay(truth, shown, dense);
    expect([...shown]).toEqual([0, 0, 1, 0, 0, 2, 1, 1, 2]);
  });

  it("is empty where the mask is", () => {
    const shown = new Uint8Array(4).fill(9);
    lay(undefined, shown, dense);
    expect([...shown]).toEqual([0, 0, 0, 0]);
  });
});
