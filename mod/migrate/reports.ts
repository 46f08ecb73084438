import { printable } from "../async/printable.ts";
import type { Finding, Level } from "./finding.ts";
import type { Migration } from "./migration.ts";

const LEVELS: Readonly<Record<Level, string>> = {
  left: "stays with Multus",
  decide: "decide",
  note: "note",
};

/** For people: what has moved and where to, what there is to know, and a sum. */
export function textReport(migration: Migration): string {
  const { networkOutcomes, workloadOutcomes, findings } = migration;
  const networks = networkOutcomes.flatMap(
    ({ file, line, network, deviceClass, networkObject }) => {
      if (deviceClass === undefined) return [];
      const object = networkObject === undefined ? "" : `Network ${networkObject}, `;
      return [
        `${file}:${line}: NetworkAttachmentDefinition ${network}: ${object}DeviceClass ${deviceClass}`,
      ];
    },
  );
  const workloads = workloadOutcomes.flatMap(({ file, line, object, moved }) => {
    if (!moved) return [];
    const { resourceClaimTemplate, interfaces } = moved;
    const which = interfaces.map((each) => `${each.interface} of ${each.deviceClass}`).join(", ");
    return [`${file}:${line}: ${object}: ResourceClaimTemplate ${resourceClaimTemplate}: ${which}`];
  });
  const all = findings.map(({ level, file, line, object, message }) =>
    `${file}:${line}: ${LEVELS[level]}: ${object}: ${message}`
  );
  return [...networks, ...workloads, ...all, sum(migration)].map(printable).join("\n");
}

export function jsonReport({ networkOutcomes, workloadOutcomes, findings }: Migration): string {
  return JSON.stringify(
    { networks: networkOutcomes, workloads: workloadOutcomes, findings },
    null,
    2,
  );
}

/** Whether something stays with Multus, or a person must decide. */
export function isComplete({ findings }: Migration): boolean {
  return findings.every(({ level }) => level === "note");
}

function sum({ networkOutcomes, workloadOutcomes, findings }: Migration): string {
  const networks = networkOutcomes.filter(({ deviceClass }) => deviceClass !== undefined).length;
  const workloads = workloadOutcomes.filter(({ moved }) => moved !== undefined).length;
  const count = (level: Level) => findings.filter((each: Finding) => each.level === level).length;
  return `${networks} of ${plural(networkOutcomes.length, "network")} and ${workloads} of ` +
    `${plural(workloadOutcomes.length, "workload")} moved; ${count("left")} to leave, ` +
    `${count("decide")} to decide`;
}

function plural(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
