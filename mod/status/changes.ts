import type { StatusDocument } from "./document.ts";

/** What one document says and the other does not, a line a thing: for `--watch`. Pure. */
export function changesBetween(before: StatusDocument, after: StatusDocument): string[] {
  const [was, is] = [statesOf(before), statesOf(after)];
  const gone = [...was.keys()].filter((name) => !is.has(name)).map((name) => `${name}: gone`);
  const changed = [...is].flatMap(([name, state]) => {
    const old = was.get(name);
    if (old === undefined) return [`${name}: ${state}`];
    return old === state ? [] : [`${name}: ${old} → ${state}`];
  });
  return [...changed, ...gone];
}

function statesOf({ source, agents, attachments, claims, devices }: StatusDocument) {
  const states = new Map<string, string>([["source", source]]);
  for (const { node, podUid, role, version, needs } of agents) {
    const agent = `agent of ${node}${podUid === undefined ? "" : ` (pod ${podUid})`}`;
    states.set(agent, `${role}, version ${version}`);
    for (const { name, ok } of needs) states.set(`${agent}, ${name}`, ok ? "there" : "missing");
  }
  for (const { pod, sandbox, state, error, addresses, ...each } of attachments) {
    const name = `pod ${pod.namespace}/${pod.name}, ${each.interface} (${sandbox.slice(0, 12)})`;
    const details = error ?? addresses.join(",");
    states.set(name, details === "" ? state : `${state} (${details})`);
  }
  for (const { namespace, name, state } of claims) states.set(`claim ${namespace}/${name}`, state);
  for (const { name, state } of devices) states.set(`device ${name}`, state);
  return states;
}
