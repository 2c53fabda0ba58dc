// The request for a newer proposal.

import { request } from "../api";
import type { NewerProposal } from "./contract";

export class ProposalClient {
  constructor(private readonly reading: string) {}

  /** Null where nothing is offered. */
  async look(): Promise<NewerProposal | null> {
    const answer = await request(`/api/readings/${this.reading}/proposal`);
    return ((await answer.json()) as { proposal: NewerProposal | null }).proposal;
  }
}
