import { describe, expect, it } from "vitest";
import type { DicomWebClient, Host } from "../viewer/ohif";
import { answerAhead } from "../viewer/opening/answering";
import { following } from "../viewer/opening/next";
import type { Opening, Study } from "../viewer/opening/opening";
import { SliceStream } from "../viewer/opening/slices";

/** A volume answer of `slices`, in chunks of any size. */
function answer(header: object, slices: number[][], chunk: number): SliceStream {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const pixels = slices.map((values) => new Uint8Array(Int16Array.from(values).buffer));
  const parts = [new Uint8Array(new Uint32Array([text.length]).buffer), text, ...pixels];
  const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
  let at = 0;
  return new SliceStream({
    read: async () => {
      const value = whole.slice(at, at + chunk);
      at += chunk;
      return value.length ? { done: false, value } : { done: true };
    },
    cancel: async () => {},
  });
}

const header = { grid: { shape: [2, 1, 3], sop_uids: ["1", "2"] }, facts: { order: [1, 0] } };

describe("a stream of slices", () => {
  it.each([1, 3, 7, 4096])("gives whole slices out of chunks of %i bytes", async (chunk) => {
    const stream = answer(
      header,
      [
        [0, 1, 2],
        [-5, 3000, 7],
      ],
      chunk,
    );
    expect(await stream.header()).toEqual(header);
    const first = await stream.slice(3, -1024);
    expect([...first.values]).toEqual([-1024, -1023, -1022]);
    const second = await stream.slice(3, 0);
    expect([second.low, second.high]).toEqual([-5, 3000]);
  });

  it("keeps values within what the server gives", async () => {
    const stream = answer(header, [[-32768, -31745, 32767]], 4096);
    await stream.header();
    expect([...(await stream.slice(3, -1024)).values]).toEqual([-32768, -32768, 31743]);
  });

  it("says so when it ends early", async () => {
    const stream = answer(header, [[1, 2]], 5);
    await stream.header();
    await expect(stream.slice(3, 0)).rejects.toThrow("ended before");
  });
});

describe("the next case", () => {
  const row = (reading: string, state: string) => ({
    reading,
    state,
    case: { label: `LN-${reading}` },
    url: `/viewer/lymph?reading=${reading}`,
  });

  it("is the next below in the worklist that can be read, and goes round", () => {
    const rows = [
      row("1", "assigned"),
      row("2", "submitted"),
      row("3", "open"),
      row("4", "sealed"),
    ];
    expect(following(rows, "1")?.reading).toBe("3");
    expect(following(rows, "3")?.reading).toBe("1");
    expect(following(rows, "elsewhere")?.reading).toBe("1");
  });

  it("is none where nothing else can be read", () => {
    expect(following([row("1", "open"), row("2", "submitted")], "1")).toBeNull();
    expect(following([], "1")).toBeNull();
  });
});

describe("what the host asks of a series", () => {
  const of = (study: string, series: string) => ({
    "0020000D": { vr: "UI", Value: [study] },
    "0020000E": { vr: "UI", Value: [series] },
  });
  const asked: string[] = [];
  const client = (): DicomWebClient => ({
    searchForSeries: async () => {
      asked.push("series");
      return [of("1", "9")];
    },
    retrieveSeriesMetadata: async () => {
      asked.push("metadata");
      return [of("1", "9")];
    },
  });
  const host = (hers: ReturnType<typeof client>) =>
    ({
      extensionManager: {
        getActiveDataSource: () => [{ retrieve: { getWadoDicomWebClient: () => hers } }],
      },
    }) as unknown as Host;
  const ahead = (study: Study | null) => {
    const state = { study };
    return {
      study: async () => state.study,
      forgetStudy: () => {
        state.study = null;
      },
    } as unknown as Opening;
  };
  const text = JSON.stringify([of("1", "2")]);

  it("is answered by what was fetched ahead, once", async () => {
    asked.length = 0;
    const hers = client();
    answerAhead(host(hers), ahead({ series: text, metadata: text }));
    const reading = { studyInstanceUID: "1", seriesInstanceUID: "2" };
    expect(await hers.searchForSeries(reading)).toEqual([of("1", "2")]);
    expect(await hers.retrieveSeriesMetadata(reading)).toEqual([of("1", "2")]);
    expect(asked).toEqual([]);
    expect(await hers.retrieveSeriesMetadata(reading)).toEqual([of("1", "9")]);
    expect(asked).toEqual(["metadata"]);
  });

  it("is asked of the server where nothing came, or what came is of another study", async () => {
    for (const study of [null, { series: text, metadata: text }]) {
      asked.length = 0;
      const hers = client();
      answerAhead(host(hers), ahead(study));
      const reading = { studyInstanceUID: "3", seriesInstanceUID: "2" };
      expect(await hers.searchForSeries(reading)).toEqual([of("1", "9")]);
      expect(await hers.retrieveSeriesMetadata(reading)).toEqual([of("1", "9")]);
      expect(asked).toEqual(["series", "metadata"]);
    }
  });
});
