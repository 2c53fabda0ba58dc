import { afterEach, describe, expect, it, vi } from "vitest";
import { request, Unreachable } from "../viewer/api";

afterEach(() => vi.unstubAllGlobals());

/** The network's edge: one answer of the server's. */
function answering(status: number, body: string, headers: Record<string, string> = {}): void {
  vi.stubGlobal("window", {});
  vi.stubGlobal("fetch", async () => new Response(body, { status, headers }));
}

async function refusal(): Promise<Error> {
  return request("/x").then(
    () => {
      throw new Error("was answered");
    },
    (error: Error) => error,
  );
}

describe("an answer that says to wait", () => {
  it("says for how long, in the server's own words", async () => {
    const body = JSON.stringify({
      error: "TOO_FAST",
      message: "That was asked too fast.",
      cure: "",
    });
    answering(429, body, { "Retry-After": "10" });
    const error = await refusal();
    expect(error).toBeInstanceOf(Unreachable);
    expect(error.message).toBe("That was asked too fast. Try again in 10 s.");
  });

  it("says that it was too much where nobody says how long", async () => {
    answering(429, "<html>");
    expect((await refusal()).message).toBe("Too many requests. Try again in a moment.");
  });

  it("is another matter than a server that is not ready", async () => {
    answering(503, "");
    expect((await refusal()).message).toContain("not ready (503)");
  });
});
