// A server that settles as the contract says, in memory: two readers, an adjudicator, one case.

import { ApiError } from "../viewer/api";
import type { ImpressionValue, Measures } from "../viewer/contract";
import type { AgreeHereBody, ConsensusApi, SignBody } from "../viewer/settle/client";
import type {
  Act,
  ActAnswer,
  AgreedNode,
  Cluster,
  ClusterSide,
  ConsensusDetail,
  ConsensusState,
  Discrepancy,
  DiscrepancyState,
  Evidence,
  NewEvidence,
  Resolution,
  Trigger,
  Verb,
} from "../viewer/settle/contract";

export type Who = "r1" | "r2" | "adj" | "aud";
const AT = "2026-11-21T13:05:00Z";

export function measures(sad: number, lad: number, slice: number): Measures {
  return {
    sad_mm: sad,
    lad_mm: lad,
    longest_any_plane_mm: lad,
    volume_mm3: Math.round(sad * lad * lad * 0.52),
    slice_index: slice,
    endpoints_vox: null,
    centroid_vox: [slice, 20, 20],
    sad_text: sad.toFixed(1),
    lad_text: lad.toFixed(1),
    measurable: true,
    flags: [],
  };
}

function side(
  sad: number,
  lad: number,
  slice: number,
  impression: ImpressionValue | null = null,
): ClusterSide {
  const node = { label: 1, impression, side: "L", level: "II", doubt: false };
  return { nodes: [node], measures: measures(sad, lad, slice) };
}

function cluster(number: number, x: ClusterSide | null, y: ClusterSide | null): Cluster {
  const kind = !x ? "only-y" : !y ? "only-x" : "1-1";
  const box = [90 - number * 5, 10, 10, 94 - number * 5, 30, 30];
  const dice = x && y && JSON.stringify(x.measures) === JSON.stringify(y.measures) ? 1 : null;
  const apart = { dice, asd_mm: null, hd95_mm: null, sad_difference_mm: null, decisions: null };
  return { number, kind, outcome: "open", x, y, box, ...apart };
}

export function trigger(
  kind: string,
  x: unknown,
  y: unknown,
  apart: number | null = null,
  limit: number | null = null,
): Trigger {
  return { kind, text: kind, x, y, difference_mm: apart, limit_mm: limit };
}

interface Held {
  id: string;
  cluster: number;
  state: DiscrepancyState;
  triggers: Trigger[];
  resolution: string | null;
  by_rule: boolean;
  rationale: string;
  proposal: { step: string; by: Who; resolution: Resolution; rationale: string } | null;
  steps: { action: string; by: Who; resolution: Resolution | ""; rationale: string }[];
}

function held(number: number, triggers: Trigger[], ruled = ""): Held {
  return {
    id: `d${number}`,
    cluster: number,
    state: ruled ? "resolved" : "open",
    triggers,
    resolution: ruled || null,
    by_rule: Boolean(ruled),
    rationale: ruled ? "Within all tolerances." : "",
    proposal: null,
    steps: [],
  };
}

export class Server {
  state: ConsensusState = "draft";
  clusters = [
    cluster(1, side(9.6, 14.2, 85, "metastatic"), side(11.9, 15.0, 85, "metastatic")),
    cluster(2, side(7.2, 10.1, 80), null),
    cluster(3, side(6.4, 8.0, 75), side(6.5, 8.1, 75)),
    cluster(4, side(12.1, 18.3, 70, "metastatic"), side(12.4, 17.9, 70)),
    cluster(5, null, side(3.9, 5.2, 65)),
    cluster(6, side(8.0, 9.0, 60), side(8.0, 9.0, 60)),
  ];
  held = [
    held(1, [
      trigger("border", null, null, 1.44, 1),
      trigger("short_axis", 9.6, 11.9, 2.3, 2),
      trigger("size_class", "5-9", "10-14", 2.3),
    ]),
    held(2, [trigger("presence", 7.2, null, null, 5)]),
    held(3, [], "mean"),
    held(4, [trigger("impression", ["metastatic"], ["non_metastatic"])]),
    held(5, [trigger("presence", null, 3.9, null, 5)], "ignore"),
  ];
  nodes: (Omit<AgreedNode, "possible" | "needs" | "label"> & {
    label: AgreedNode["label"];
    who: Who;
  })[] = [];
  evidence: Evidence[] = [
    evidence("e1", "PET", { scope: "node", node: 1 }),
    evidence("e2", "HIST", { scope: "patient", counts_as_positive: false }),
  ];
  signed: Who[] = [];
  objection: string | null = null;
  required: Who[] = ["r1", "r2"];
  show_ai = true;
  pet_max_days = 10_000;
  answers = new Map<string, ActAnswer>();
  acts: Act[] = [];
  asked = 0;
  /** Throws, once each, before an act is taken. */
  troubles: (() => Error | null)[] = [];
  /** Throws, once each, after an act was taken: the answer is lost. */
  losses: (() => Error | null)[] = [];

  api(who: Who): ConsensusApi {
    const api = {
      consensus: "c",
      detail: async () => this.detail(who),
      act: async (act: Act) => {
        const trouble = this.troubles.shift()?.();
        if (trouble) throw trouble;
        const answer = this.act(who, act);
        const loss = this.losses.shift()?.();
        if (loss) throw loss;
        return answer;
      },
      enterEvidence: async (body: NewEvidence) => {
        const made = evidence(body.client, body.kind, { scope: body.scope, node: body.node });
        this.evidence.push(made);
        return structuredClone(made);
      },
      sign: async (body: SignBody) => this.sign(who, body),
      agreeHere: async ({ username, answers }: AgreeHereBody) => {
        for (const { client: id, discrepancy, seen, step } of answers) {
          this.act(username as Who, { kind: "agree", id, discrepancy, seen, step });
        }
        return { agreed: answers.length };
      },
      object: async ({ reason }: { reason: string }) => {
        this.objection = reason;
        this.signed = [];
        this.state = "labelling";
        return this.signing(who);
      },
    };
    return api as unknown as ConsensusApi;
  }

  detail(who: Who): ConsensusDetail {
    this.asked += 1;
    const role = who === "adj" ? "adjudicator" : who === "aud" ? "observer" : "reader";
    const all: Resolution[] = ["X", "Y", "AI", "union", "intersection", "redrawn", "absent"];
    const late = this.state !== "draft";
    return structuredClone({
      id: "c",
      case: { id: "case", label: "LN-0001", study_date: "2026-10-02" },
      version: 1,
      state: this.state,
      role,
      study_uid: "1.2",
      series_uid: "1.2.3",
      dicomweb: "/dicom-web/consensus/c",
      grid: { shape: [100, 64, 64], spacing_mm: [1, 1, 1], sop_uids: [], geometry: "0" },
      show_ai: this.show_ai,
      resolutions: [...all, "indeterminate"].filter((one) => this.show_ai || one !== "AI"),
      counts: this.counts,
      clusters: this.clusters,
      discrepancies: this.held.map((one) => this.shown(one, who)),
      nodes: late ? this.nodes.map((node) => this.node(node, who)) : [],
      evidence: late ? this.evidence : [],
      labels: {
        values: ["metastatic", "non_metastatic", "indeterminate", "not_assessable"],
        pet_max_days: this.pet_max_days,
        metastatic_needs: 1,
      },
      signing: this.signing(who).signing,
      versions: [{ id: "c", version: 1, state: this.state, published_at: null, reason: "" }],
      news_seq: 0,
    } as ConsensusDetail);
  }

  get counts() {
    const state = (name: DiscrepancyState) =>
      this.held.filter((one) => one.state === name && !one.by_rule).length;
    return {
      open: state("open"),
      proposed: state("proposed"),
      deferred: state("deferred"),
      resolved: state("resolved"),
      indeterminate: state("indeterminate"),
      by_rule: this.held.filter((one) => one.by_rule).length,
      identical: 1,
    };
  }

  private by(step: Who, asker: Who): string {
    return step === asker ? "you" : step === "adj" ? "adjudicator" : "other";
  }

  shown(one: Held, who: Who): Discrepancy {
    const { proposal, steps, ...rest } = one;
    return {
      ...rest,
      version: steps.length,
      geometry: null,
      proposal: proposal && { ...proposal, by: this.by(proposal.by, who), mask: null, at: AT },
      steps: steps.map((step) => ({ ...step, by: this.by(step.by, who), at: AT })),
      possible: this.possible(one, who),
    };
  }

  private possible(one: Held, who: Who): Verb[] {
    if (this.state !== "draft" || who === "aud") return [];
    if (who === "adj") return one.state === "deferred" ? ["resolve"] : [];
    if (one.state === "open") return ["propose", "defer"];
    if (one.state !== "proposed") return [];
    return one.proposal?.by === who ? ["propose", "defer"] : ["propose", "agree", "defer"];
  }

  act(who: Who, act: Act): ActAnswer {
    const known = this.answers.get(act.id);
    if (known) return structuredClone(known);
    const answer = "discrepancy" in act ? this.step(who, act) : this.label(who, act);
    this.acts.push(act);
    this.answers.set(act.id, structuredClone(answer));
    return structuredClone(answer);
  }

  private step(who: Who, act: Extract<Act, { discrepancy: string }>): ActAnswer {
    const one = this.held.find(({ id }) => id === act.discrepancy);
    if (!one) throw new ApiError(404, { error: "MISSING", message: "There is none." });
    if (act.seen !== one.steps.length) {
      throw new ApiError(409, {
        error: "MOVED_ON",
        message: "It moved on.",
        discrepancy: this.shown(one, who),
        since: this.shown(one, who).steps.slice(act.seen),
      } as never);
    }
    const resolution = "resolution" in act ? act.resolution : (one.proposal?.resolution ?? "");
    const rationale = act.rationale ?? "";
    one.steps.push({ action: act.kind, by: who, resolution, rationale });
    if (act.kind === "propose") {
      one.state = "proposed";
      one.proposal = { step: act.id, by: who, resolution: act.resolution, rationale };
    } else if (act.kind === "defer") {
      one.state = "deferred";
      one.proposal = null;
    } else {
      one.state = resolution === "indeterminate" ? "indeterminate" : "resolved";
      one.resolution = one.state === "resolved" ? resolution : null;
      one.rationale = rationale || (one.proposal?.rationale ?? "");
      one.proposal = null;
    }
    this.settle();
    return {
      discrepancy: this.shown(one, who),
      consensus: { state: this.state, counts: this.counts },
    };
  }

  private settle(): void {
    const { open, proposed, deferred } = this.counts;
    if (this.state !== "draft" || open + proposed + deferred > 0) return;
    this.state = "labelling";
    this.clusters.slice(0, 3).forEach(({ number, x, y }, at) => {
      this.nodes.push({
        number: at + 1,
        uuid: `n${number}`,
        cluster: number,
        origin: "X",
        side: "L",
        level: "II",
        measures: (x ?? y)?.measures ?? null,
        impressions: {
          x: x?.nodes[0]?.impression ?? null,
          y: y?.nodes[0]?.impression ?? null,
        },
        label: null,
        position: 0,
        who: "r1",
      });
    });
  }

  private node({ who: by, ...node }: Server["nodes"][number], who: Who): AgreedNode {
    const open = this.state === "labelling" || this.state === "ready";
    const label = node.label && { ...node.label, by: this.by(by, who) };
    const needs = node.label?.value ? [] : [`Node ${node.number} has no label.`];
    const left = node.label?.deferred ?? false;
    const may =
      who === "aud" ? [] : who === "adj" ? left && ["label"] : !left && ["label", "defer"];
    return { ...node, label, possible: (open && may) || [], needs };
  }

  private label(who: Who, act: Extract<Act, { node: number }>): ActAnswer {
    const node = this.nodes.find(({ number }) => number === act.node);
    if (!node) throw new ApiError(404, { error: "MISSING", message: "There is none." });
    if (act.seen !== node.position) {
      const now = this.node(node, who);
      throw new ApiError(409, { error: "MOVED_ON", message: "It moved on.", node: now } as never);
    }
    const value = act.kind === "label" ? act.value : "";
    if (act.kind === "label" && value === "metastatic" && act.evidence.length === 0) {
      throw new ApiError(400, { error: "EVIDENCE_NEEDED", message: "Evidence is needed." });
    }
    node.position += 1;
    node.who = who;
    node.label = {
      value,
      reason: act.kind === "label" ? (act.reason ?? "") : "",
      rationale: act.rationale ?? "",
      evidence: act.kind === "label" ? act.evidence : [],
      by: "you",
      at: AT,
      carried: false,
      position: node.position,
      deferred: act.kind === "defer_label",
      rests_on_necrosis_alone:
        act.kind === "label" &&
        act.evidence.length > 0 &&
        act.evidence.every((id) => this.evidence.find((e) => e.id === id)?.kind === "NECR"),
    };
    if (this.nodes.every(({ label }) => label?.value)) this.state = "ready";
    return { node: this.node(node, who), consensus: { state: this.state } };
  }

  private sign(who: Who, body: SignBody) {
    if (body.password !== "right") {
      throw new ApiError(403, {
        error: "WRONG_PASSWORD",
        message: "That is not the password.",
        cure: "Type it again.",
      });
    }
    if (body.record_hash !== "h4sh") {
      throw new ApiError(409, { error: "RECORD_CHANGED", message: "It changed." });
    }
    this.signed.push(body.username ? (body.username as Who) : who);
    this.state = this.required.every((one) => this.signed.includes(one)) ? "published" : "signing";
    return this.signing(who);
  }

  private signing(who: Who) {
    const ready = this.state === "ready" || this.state === "signing";
    const signed = (one: Who) => this.signed.includes(one);
    return {
      state: this.state,
      signing: {
        required: this.required.map((one) => ({
          role: one === "adj" ? "adjudicator" : "reader",
          name: signed(one) ? `Dr. ${one}` : null,
          mine: one === who,
          signed_at: signed(one) ? AT : null,
        })),
        record_hash: this.state === "draft" || this.state === "labelling" ? "" : "h4sh",
        can_sign: ready && this.required.includes(who) && !signed(who),
        missing: this.nodes.filter((n) => !n.label).map((n) => `Node ${n.number} has no label.`),
        objection: this.objection,
      },
    };
  }
}

export function evidence(
  id: string,
  kind: Evidence["kind"],
  rest: Partial<Evidence> = {},
): Evidence {
  return {
    id,
    kind,
    result: "positive",
    date: "2026-09-30",
    days_from_study: kind === "NECR" ? 0 : -2,
    source: "report",
    scope: "node",
    node: null,
    side: null,
    level: null,
    details: {},
    counts_as_positive: true,
    why_not: rest.counts_as_positive === false ? "It does not count." : "",
    text: `${kind} of 2026-09-30, 2 days before the CT: positive, node 1.`,
    withdrawn: null,
    ...rest,
  };
}
