// Requests of the settling screen. Every body carries the id of the act, so that a retry is safe.

import { post, request, send } from "../api";
import type {
  Act,
  ActAnswer,
  ConsensusDetail,
  ConsensusState,
  Evidence,
  NewEvidence,
  Signing,
} from "./contract";

export interface SignBody {
  client: string;
  record_hash: string;
  password: string;
  /** The other reader, who signs at the same screen. */
  username?: string;
}

/** What the other reader agrees to at this screen, as it was shown. */
export interface AgreeHereBody {
  username: string;
  password: string;
  answers: { client: string; discrepancy: string; seen: number; step: string }[];
}

export interface Signed {
  state: ConsensusState;
  signing: Signing;
}

export class ConsensusApi {
  constructor(readonly consensus: string) {}

  private get root(): string {
    return `/api/consensus/${this.consensus}`;
  }

  async detail(): Promise<ConsensusDetail> {
    return (await (await request(this.root)).json()) as ConsensusDetail;
  }

  act(act: Act): Promise<ActAnswer> {
    const { kind, id, ...rest } = act;
    if ("discrepancy" in rest) {
      const { discrepancy, ...body } = rest;
      return post(`/api/discrepancies/${discrepancy}/${kind}`, { client: id, ...body });
    }
    const { node, ...body } = rest;
    const root = `${this.root}/nodes/${node}`;
    return kind === "label"
      ? send("PUT", `${root}/label`, { client: id, ...body })
      : post(`${root}/defer`, { client: id, ...body });
  }

  async enterEvidence(body: NewEvidence, caseId: string): Promise<Evidence> {
    const { evidence } = await post<{ evidence: Evidence }>(`/api/cases/${caseId}/evidence`, body);
    return evidence;
  }

  sign(body: SignBody): Promise<Signed> {
    return post(`${this.root}/sign`, body);
  }

  agreeHere(body: AgreeHereBody): Promise<{ agreed: number }> {
    return post(`${this.root}/agree`, body);
  }

  object(body: { client: string; reason: string }): Promise<Signed> {
    return post(`${this.root}/object`, body);
  }
}
