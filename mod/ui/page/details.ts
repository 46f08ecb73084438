import type { Step, Way } from "../../cluster/explain.ts";
import type { MapPod } from "../map_picture.ts";
import { stateText } from "../search.ts";
import { element, linkButton, replaceKeepingFocus } from "./elements.ts";
import { glyph } from "./glyphs.ts";
import type { Open } from "./lists.ts";
import { type PageState, podsOfSelection, type Selection } from "./state.ts";

/** Pods of a node or a network that its details list. */
const MOST_PODS = 30;

const SIGNS: Readonly<Record<Step["outcome"], readonly [sign: string, spoken: string]>> = {
  done: ["✓", "done"],
  failed: ["✗", "failed"],
  waiting: ["…", "waiting"],
  unknown: ["?", "not known"],
  "not-reached": ["·", "not reached"],
};

/** What the details need of the rest of the page. */
export interface DetailsOptions {
  readonly panel: HTMLElement;
  /** Undefined where the pod is gone. */
  readonly ways: (uid: string) => Promise<readonly Way[] | undefined>;
  readonly open: Open;
  readonly close: () => void;
}

/** What is known of what is selected: of a pod, the way of each network as `explain` shows it. */
export class Details {
  readonly #options: DetailsOptions;
  /** Counts what was shown, so that an answer that comes late is dropped. */
  #shown = 0;

  constructor(options: DetailsOptions) {
    this.#options = options;
  }

  async show(state: PageState): Promise<void> {
    const turn = ++this.#shown;
    const { selection, picture } = state;
    const { panel, ways } = this.#options;
    const pod = selection?.kind === "pod" && picture.pods.find(({ key }) => key === selection.key);
    panel.hidden = selection === undefined;
    if (!selection) return panel.replaceChildren();
    if (selection.kind !== "pod") return this.#fill(titleOf(state, selection), this.#things(state));
    if (!pod) return this.#fill("The pod is gone", []);
    const found = await ways(pod.key).catch(() => []) ?? [];
    if (turn !== this.#shown) return;
    this.#fill(`${pod.namespace}/${pod.name}`, [podLine(pod), ...found.map(wayPart)]);
  }

  #fill(title: string, parts: readonly HTMLElement[]): void {
    const close = element("button", { type: "button", "data-key": "close" }, "Close");
    close.addEventListener("click", this.#options.close);
    replaceKeepingFocus(
      this.#options.panel,
      element("header", {}, element("h2", {}, title), close),
      ...parts,
    );
  }

  /** Of a node, a device or a network: facts, and its pods. */
  #things(state: PageState): HTMLElement[] {
    const selection = state.selection!;
    const pods = podsOfSelection(state.picture, selection);
    const rows = pods.slice(0, MOST_PODS).map((pod) => {
      const open = linkButton(`${pod.namespace}/${pod.name}`, () => this.#options.open(pod.key));
      open.dataset.key = pod.key;
      return element("li", { "data-state": pod.state }, glyph(pod.state), " ", open);
    });
    const left = pods.length - rows.length;
    return [
      ...factsOf(state, selection).map((fact) => element("p", {}, fact)),
      element("h3", {}, pods.length === 1 ? "1 pod" : `${pods.length} pods`),
      element("ul", { class: "rows" }, ...rows),
      ...left > 0 ? [element("p", { class: "muted" }, `${left} more are in the list.`)] : [],
    ];
  }
}

function titleOf({ picture }: PageState, { kind, key }: Selection): string {
  const named = kind === "network" ? picture.networks : kind === "device" ? picture.devices : [];
  const found = named.find((each) => each.key === key);
  const name = found?.name ?? key;
  return kind === "node" && name === "" ? "No node yet" : `${kind} ${name}`;
}

function factsOf({ picture }: PageState, { kind, key }: Selection): string[] {
  switch (kind) {
    case "node": {
      const node = picture.nodes.find((each) => each.key === key);
      return node ? [node.text] : ["The scheduler has not chosen a node for these pods."];
    }
    case "device": {
      const device = picture.devices.find((each) => each.key === key);
      if (!device) return ["It is gone."];
      const { node, type, state, mtu, used, capacity, tainted } = device;
      const facts = [`on ${node}`, type, state, mtu && `MTU ${mtu}`, tainted && "tainted"];
      return [
        facts.filter((fact) => fact).join(", "),
        `${used} of ${capacity} attachments in use`,
      ];
    }
    case "network": {
      const network = picture.networks.find((each) => each.key === key);
      if (!network) return ["Nobody names it any more."];
      const { definedIn, plugins, states } = network;
      const counts = Object.entries(states).map(([state, count]) => `${count} ${stateText(state)}`);
      return [
        [`defined in ${definedIn}`, plugins].filter((part) => part).join(", "),
        counts.length > 0 ? `attachments: ${counts.join(", ")}` : "nobody uses it",
      ];
    }
    case "pod":
      return [];
  }
}

function podLine({ phase, ending, node, state }: MapPod): HTMLElement {
  const where = node === undefined ? "on no node yet" : `on ${node}`;
  return element(
    "p",
    { "data-state": state },
    glyph(state),
    ` ${stateText(state)} · ${phase}${ending ? ", ending" : ""}, ${where}`,
  );
}

function wayPart({ podClaim, claim, steps, hangsAt, because, cause, whatToDo }: Way): HTMLElement {
  const name = podClaim ?? claim?.name ?? "";
  const end = hangsAt === undefined ? "all steps are done" : `hangs at ${hangsAt}`;
  const said = [["Cause", cause], ["What to do", whatToDo], ["Said", because]] as const;
  const facts = said.flatMap(([title, text]) =>
    text === undefined ? [] : [element("dt", {}, title), element("dd", {}, text)]
  );
  return element(
    "div",
    { class: "way" },
    element("h3", {}, `${name}: ${end}`),
    element("ol", { class: "steps" }, ...steps.map(stepRow)),
    facts.length > 0 ? element("dl", { class: "hang" }, ...facts) : undefined,
  );
}

function stepRow({ name, outcome, text }: Step): HTMLElement {
  const [sign, spoken] = SIGNS[outcome];
  return element(
    "li",
    { "data-outcome": outcome },
    element("span", { class: "sign", "aria-hidden": "true" }, sign),
    element("span", {}, name, element("span", { class: "unseen" }, ` ${spoken}: `)),
    element("span", {}, text),
  );
}
