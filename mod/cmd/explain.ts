import { printable } from "../async/printable.ts";
import { didYouMean } from "../claim/did_you_mean.ts";
import { show } from "../claim/field.ts";
import {
  explainClaim,
  EXPLAINED_KINDS,
  explainPod,
  type Step,
  type Way,
} from "../cluster/explain.ts";
import type { ClaimView, ClusterPicture, PodView } from "../cluster/picture.ts";
import { withCluster } from "./cluster_access.ts";
import { printAs, sayUnread } from "./cluster_output.ts";
import { EXPLAIN } from "./commands/cluster.ts";
import { readCommandLine } from "./flag_values.ts";
import { UsageError } from "./usage_error.ts";

const MISSING = 3;

/** What a user asks about. */
interface Asked {
  readonly kind: "pod" | "claim";
  readonly namespace?: string;
  readonly name: string;
}

/** `network-dra explain`: the way of a pod's networks. Gives the exit code. */
export function explain(argv: readonly string[]): Promise<number> {
  const { flags, args: [word] } = readCommandLine(EXPLAIN, argv, (name) => Deno.env.get(name));
  const asked = parseAsked(word!);
  return withCluster(flags, async (cluster) => {
    const namespace = flags.allNamespaces
      ? undefined
      : asked.namespace ?? flags.namespace ?? cluster.namespace;
    const picture = await cluster.look({
      kinds: EXPLAINED_KINDS,
      needed: asked.kind === "pod" ? ["Pod"] : ["ResourceClaim"],
      ...(namespace !== undefined && { namespace }),
    });
    const { title, ways } = asked.kind === "pod"
      ? aboutPod(one(picture.pods, { asked, namespace, picture }), picture)
      : aboutClaim(one(picture.claims, { asked, namespace, picture }), picture);
    printAs(flags.output, {
      document: () => ({ takenAt: picture.takenAt, about: title, ways, unread: picture.unread }),
      lines: () => explainLines(title, ways),
    });
    sayUnread(picture);
    return ways.some(({ hangsAt }) => hangsAt !== undefined) ? MISSING : 0;
  });
}

/** Reads `pod/web`, `claim/lan`, `web` or `shop/web`. @throws UsageError */
export function parseAsked(word: string): Asked {
  const kinds: Readonly<Record<string, Asked["kind"]>> = {
    pod: "pod",
    pods: "pod",
    po: "pod",
    claim: "claim",
    claims: "claim",
    resourceclaim: "claim",
    resourceclaims: "claim",
  };
  const parts = word.split("/");
  const [first = "", second, third] = parts;
  const isName = (text: string | undefined) =>
    text === undefined || /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text);
  if (parts.length > 3 || !parts.every(isName)) {
    throw new UsageError(
      `${EXPLAIN.argument.name}: ${show(word)} is not valid; must be pod/NAME or claim/NAME`,
    );
  }
  const kind = second === undefined ? undefined : kinds[first];
  if (kind === undefined) {
    if (third !== undefined) {
      throw new UsageError(
        `${EXPLAIN.argument.name}: ${show(first)} is not a kind; must be pod or claim`,
      );
    }
    return second === undefined
      ? { kind: "pod", name: first }
      : { kind: "pod", namespace: first, name: second };
  }
  return third === undefined ? { kind, name: second! } : { kind, namespace: second!, name: third };
}

/** The one object that the user means. @throws Error that lists the candidates */
function one<T extends { readonly namespace: string; readonly name: string }>(
  all: readonly T[],
  { asked: { kind, name, namespace: given }, namespace, picture }: {
    readonly asked: Asked;
    readonly namespace: string | undefined;
    readonly picture: ClusterPicture;
  },
): T {
  const found = all.filter((each) =>
    each.name === name && (given === undefined || each.namespace === given)
  );
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const names = found.map((each) => `\n  ${each.namespace}`).join("");
    throw new Error(
      `several namespaces have a ${kind} ${show(name)}; choose one of these with -n:${names}`,
    );
  }
  const where = namespace === undefined ? "in the cluster" : `in the namespace ${namespace}`;
  const what = kind === "pod" ? "that uses claims" : "";
  const meant = didYouMean(name, all.map((each) => each.name));
  throw new Error(
    [`there is no ${kind} ${show(name)}`, what, `of ${picture.drivers.join(", ")} ${where}${meant}`]
      .filter((part) => part).join(" "),
  );
}

interface Explained {
  readonly title: string;
  readonly ways: readonly Way[];
}

function aboutPod(pod: PodView, picture: ClusterPicture): Explained {
  return { title: podTitle(pod), ways: explainPod(pod, picture) };
}

/** The first line that is printed of a pod. */
export function podTitle({ namespace, name, phase, node, terminating }: PodView): string {
  const on = node === undefined ? "on no node yet" : `on node ${node}`;
  const ends = terminating ? ", ending" : "";
  return `pod ${namespace}/${name}: ${phase}${ends}, ${on}`;
}

function aboutClaim(claim: ClaimView, picture: ClusterPicture): Explained {
  return {
    title: `claim ${claim.namespace}/${claim.name}: ${claim.state.phase}`,
    ways: [explainClaim(claim, picture)],
  };
}

const SIGNS: Readonly<Record<Step["outcome"], string>> = {
  done: "✓",
  failed: "✗",
  waiting: "…",
  unknown: "?",
  "not-reached": " ",
};

/** The lines that `explain` prints. */
export function explainLines(title: string, ways: readonly Way[]): string[] {
  return [title, ...ways.flatMap((way) => ["", ...wayLines(way)])].map(printable);
}

function wayLines({ podClaim, claim, steps, hangsAt, because, cause, whatToDo }: Way): string[] {
  const name = podClaim ?? claim?.name ?? "";
  const end = hangsAt === undefined ? "attached" : `hangs at ${hangsAt}`;
  return [
    `${name}: ${end}`,
    ...steps.map(({ name, outcome, text }) =>
      `  ${SIGNS[outcome]} ${name.padEnd(10)} ${text}`.trimEnd()
    ),
    ...cause === undefined ? [] : [`  cause:  ${cause}`],
    ...because === undefined ? [] : [`  said:   ${because}`],
    ...whatToDo === undefined ? [] : [`  to do:  ${whatToDo}`],
  ];
}
