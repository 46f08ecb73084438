import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { lint } from "../../../mod/lint/lint.ts";
import { migrate } from "../../../mod/migrate/migrate.ts";
import { jsonReport, textReport } from "../../../mod/migrate/reports.ts";
import { kustomization, stream } from "../../../mod/migrate/written.ts";
import { SHAPES } from "../../support/multus_shapes.ts";
import { filled, merged } from "../../support/strategic_merge.ts";
import { type Json, mutateJson } from "../mutate_json.ts";
import { mutateText } from "../mutate_text.ts";
import { declared, holds, type Target } from "../target.ts";

/** Larger ones take the YAML reader a second, in characters. */
const LONGEST = 64 * 1024;
/** As long as a line of the report may get. */
const LONGEST_MESSAGE = 2048;

/** Objects for Multus, down into the JSON in their texts. */
export function makeMigrate(): Promise<Target> {
  const seeds = SHAPES.map(({ yaml }) =>
    opened(yaml.split("\n---\n").filter((text) => text !== "").map((text) => JSON.parse(text)))
  );
  const target: Target<Json | string> = {
    seeds,
    mutate(_, random) {
      const changed = mutateJson(seeds, random);
      return random.oneIn(4) ? mutateText([textOf(changed)], random) : changed;
    },
    attempt(input) {
      const text = textOf(input);
      if (text.length > LONGEST) return;
      let migration;
      try {
        migration = migrate([{ file: "f.yaml", text }], {
          driver: "dra.networking",
          selectors: new Map([["intel.com/sriov", "true"]]),
        });
      } catch (error) {
        declared(error, Error);
        return;
      }
      for (const { message, line } of migration.findings) {
        holds(message.length < LONGEST_MESSAGE, `a message has ${message.length} characters`);
        holds(Number.isSafeInteger(line) && line > 0, `line ${line}`);
      }
      textReport(migration);
      jsonReport(migration);
      const { networks, classes, templates, workloads } = migration;
      const written = stream(migration);
      const errors = lint([{ file: "o.yaml", text: written }], { driver: "dra.networking" })
        .filter(({ level }) => level === "error");
      holds(errors.length === 0, `lint finds: ${errors.map(({ message }) => message).join("; ")}`);
      const documents = parseAllDocuments(written, { version: "1.1" });
      holds(
        (documents.length ?? 0) ===
          networks.length + classes.length + templates.length + workloads.length,
        "another number of objects is written",
      );
      for (const { before, patch, object } of workloads) {
        assert.deepEqual(filled(merged(before, patch)), filled(object));
      }
      for (const path of kustomization(migration).keys()) {
        holds(/^(patches\/)?[a-z0-9-]+\.yaml$/.test(path), path);
      }
    },
    show: (input) => JSON.stringify(textOf(input)),
  };
  return Promise.resolve(target as Target);
}

const NETWORKS = "k8s.v1.cni.cncf.io/networks";

/** With the values that stand in texts as JSON. */
function opened(value: Json): Json {
  return mapped(value, (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  });
}

function textOf(input: Json | string): string {
  if (typeof input === "string") return input;
  const closed = mapped(
    input,
    (value) => typeof value === "string" ? value : JSON.stringify(value),
  );
  return (Array.isArray(closed) ? closed : [closed]).map((each) => JSON.stringify(each) ?? "")
    .join("\n---\n");
}

const TEMPLATES = [[], ["spec", "template"], ["spec", "jobTemplate", "spec", "template"]];
/** Where JSON stands in texts. */
const PLACES = [
  ["spec", "config"],
  ...TEMPLATES.map((path) => [...path, "metadata", "annotations", NETWORKS]),
];

/** Objects with other values at these places. It does not look further: values can be very deep. */
// deno-lint-ignore no-explicit-any -- a text, or what stands in it
function mapped(objects: Json, map: (value: any) => Json): Json {
  const all = Array.isArray(objects) ? objects : [objects];
  return all.map((each) => PLACES.reduce((object, path) => mappedAt(object, path, map), each));
}

// deno-lint-ignore no-explicit-any -- likewise
function mappedAt(value: Json, [key, ...rest]: string[], map: (value: any) => Json): Json {
  if (key === undefined) return map(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (!Object.hasOwn(value, key)) return value;
  return { ...value, [key]: mappedAt(value[key]!, rest, map) };
}
