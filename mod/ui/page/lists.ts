import type { MapPod } from "../map_picture.ts";
import { MAP_STATES } from "../map_picture.ts";
import { stateText } from "../search.ts";
import { barLength, durationText, type TimelineEntry, timelineOf } from "../timeline.ts";
import { element, linkButton, replaceKeepingFocus } from "./elements.ts";
import { glyph } from "./glyphs.ts";
import type { PageState } from "./state.ts";

/** Rows that a list shows at first, and how many more with each click. */
const ROWS = 100;

/** A list that shows its first rows, and more on demand. */
abstract class LongList<T> {
  readonly #panel: HTMLElement;
  #most = ROWS;
  #shown: readonly T[] = [];

  constructor(panel: HTMLElement) {
    this.#panel = panel;
  }

  protected abstract rows(things: readonly T[]): HTMLElement;
  protected abstract none(): string;

  protected fill(things: readonly T[]): void {
    this.#shown = things;
    const left = things.length - this.#most;
    if (things.length === 0) {
      return this.#panel.replaceChildren(element("p", { class: "muted" }, this.none()));
    }
    const more = left > 0 ? [this.#more(left)] : [];
    replaceKeepingFocus(this.#panel, this.rows(things.slice(0, this.#most)), ...more);
  }

  #more(left: number): HTMLElement {
    const button = element("button", { type: "button" }, `Show ${Math.min(left, ROWS)} more`);
    button.addEventListener("click", () => {
      this.#most += ROWS;
      this.fill(this.#shown);
    });
    return element("p", {}, button, ` ${left} more are not shown.`);
  }
}

/** Opens a pod. */
export type Open = (uid: string) => void;

/** The pods as a table: what the map shows, for those who do not see it. */
export class PodTable extends LongList<MapPod> {
  readonly #open: Open;
  #state: PageState | undefined;

  constructor(panel: HTMLElement, open: Open) {
    super(panel);
    this.#open = open;
  }

  show(state: PageState): void {
    this.#state = state;
    this.fill(worstFirst(state.found));
  }

  protected none(): string {
    return this.#state?.query ? "No pod matches the search." : "No pod uses claims of the driver.";
  }

  protected rows(pods: readonly MapPod[]): HTMLElement {
    const { networks } = this.#state!.picture;
    const names = new Map(networks.map(({ key, name }) => [key, name]));
    const head = ["State", "Pod", "Networks"].map((text, i) =>
      element("th", { scope: "col", width: ["30%", "36%", "34%"][i] }, text)
    );
    return element(
      "table",
      {},
      element("caption", { class: "unseen" }, "Pods, the worst first"),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...pods.map((pod) => this.#row(pod, names))),
    );
  }

  #row(pod: MapPod, names: ReadonlyMap<string, string>): HTMLElement {
    const { selection } = this.#state!;
    const isSelected = selection?.kind === "pod" && selection.key === pod.key;
    const open = linkButton(`${pod.namespace}/${pod.name}`, () => this.#open(pod.key));
    open.dataset.key = pod.key;
    const place = pod.node === undefined ? "no node yet" : `on ${pod.node}`;
    const networks = pod.attachments.map(({ network, podClaim, interfaceName, addresses }) => {
      const name = names.get(network ?? "") ?? podClaim;
      const more = [interfaceName, ...addresses].filter((part) => part).join(" ");
      return element("div", {}, name, element("div", { class: "muted" }, more));
    });
    return element(
      "tr",
      isSelected ? { "data-selected": "", "aria-current": "true" } : {},
      element("td", { "data-state": pod.state }, glyph(pod.state), ` ${stateText(pod.state)}`),
      element("th", { scope: "row" }, open, element("div", { class: "muted" }, place)),
      element("td", {}, ...networks),
    );
  }
}

function worstFirst(pods: readonly MapPod[]): readonly MapPod[] {
  const rank = new Map(MAP_STATES.map((state, i) => [state, i]));
  const nameOf = ({ namespace, name }: MapPod) => `${namespace}/${name}`;
  return pods.toSorted((one, other) =>
    rank.get(one.state)! - rank.get(other.state)! || (nameOf(one) < nameOf(other) ? -1 : 1)
  );
}

/** When attachments began, and how long they took. */
export class TimelineList extends LongList<TimelineEntry> {
  readonly #open: Open;

  constructor(panel: HTMLElement, open: Open) {
    super(panel);
    this.#open = open;
  }

  show({ picture, found }: PageState): void {
    this.fill(timelineOf({ ...picture, pods: found }, Date.now()));
  }

  protected none(): string {
    return "There are no attachments.";
  }

  protected rows(entries: readonly TimelineEntry[]): HTMLElement {
    const longest = Math.max(
      1_000,
      ...entries.map(({ duration }) => duration.kind === "unknown" ? 0 : duration.ms),
    );
    return element("ol", { class: "rows" }, ...entries.map((entry) => this.#row(entry, longest)));
  }

  #row({ key, pod, name, network, state, began, duration }: TimelineEntry, longest: number) {
    const open = linkButton(name, () => this.#open(pod));
    open.dataset.key = key;
    const bar = element("i", { "data-state": state });
    const length = duration.kind === "unknown" ? 0 : barLength(duration.ms, longest);
    bar.style.width = `${Math.round(100 * length)}%`;
    const at = new Date(began);
    return element(
      "li",
      {},
      element(
        "div",
        { class: "entry" },
        element(
          "span",
          { "data-state": state },
          glyph(state),
          " ",
          open,
          ` ${network} `,
          element("span", { class: "unseen" }, stateText(state)),
        ),
        element("time", { datetime: at.toISOString() }, timeText(at)),
      ),
      element(
        "div",
        { class: "bar" },
        element("span", {}, bar),
        element("span", {}, spoken(duration)),
      ),
    );
  }
}

function spoken(duration: TimelineEntry["duration"]): string {
  switch (duration.kind) {
    case "took":
      return durationText(duration.ms);
    case "waiting":
      return `waits ${durationText(duration.ms)}`;
    case "unknown":
      return "not known";
  }
}

/** The time of today, or the date too. */
function timeText(at: Date): string {
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString() : at.toLocaleString();
}

/** What is wrong, and what to do. */
export function showProblems(panel: HTMLElement, { picture }: PageState): void {
  const { findings, reading } = picture.summary;
  if (findings.length === 0) {
    const text = reading ? "The cluster is being read." : "Nothing is wrong.";
    return panel.replaceChildren(element("p", { class: "muted" }, text));
  }
  const rows = findings.slice(0, ROWS).map(({ level, where, what, whatToDo }) =>
    element(
      "li",
      {},
      element("p", {}, element("strong", {}, `${level === "error" ? "✗" : "!"} ${where}`)),
      element("p", {}, what),
      whatToDo === undefined
        ? undefined
        : element("p", {}, element("span", { class: "muted" }, "To do: "), whatToDo),
    )
  );
  const left = findings.length - rows.length;
  const more = left > 0 ? [element("p", { class: "muted" }, `${left} more are not shown.`)] : [];
  replaceKeepingFocus(panel, element("ul", { class: "rows" }, ...rows), ...more);
}
