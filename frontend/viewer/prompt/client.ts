// Requests about prompts.

import { post, request } from "../api";
import type { PromptAnswer, PromptQuestion } from "./contract";

export class PromptClient {
  constructor(private readonly reading: string) {}

  ask(question: PromptQuestion): Promise<PromptAnswer> {
    return post(`/api/readings/${this.reading}/prompt`, question);
  }

  async look(id: string): Promise<PromptAnswer> {
    const answer = await request(`/api/readings/${this.reading}/prompts/${id}`);
    return (await answer.json()) as PromptAnswer;
  }

  cancel(id: string): Promise<PromptAnswer> {
    return post(`/api/readings/${this.reading}/prompts/${id}/cancel`, {});
  }
}
