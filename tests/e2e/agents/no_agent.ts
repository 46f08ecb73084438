import type { Agent } from "./agent.ts";

/** Nobody has installed one. */
export const NO_AGENT: Agent = {
  lines: [],
  restart: () => Promise.reject(new Error("there is no agent")),
  away: () => Promise.reject(new Error("there is no agent")),
  update: () => Promise.reject(new Error("there is no agent")),
  reinstall: () => Promise.reject(new Error("there is no agent")),
  stop: () => Promise.resolve(),
};
