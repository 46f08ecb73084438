/** What the agent writes in its state folder: folders, and files that are locked. */
export const STATE_PATHS = {
  claims: "claims",
  attachments: "attachments",
  requests: "requests",
  waiting: "waiting",
  status: "status",
  lead: "lead.lock",
  next: "next.lock",
} as const;
