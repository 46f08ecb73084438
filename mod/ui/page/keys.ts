import { byId } from "./elements.ts";
import type { MapView } from "./map_view.ts";
import type { PageState, Selection } from "./state.ts";

/** What the keys act on. */
export interface KeyOptions {
  readonly map: MapView;
  readonly query: HTMLInputElement;
  readonly current: () => PageState;
  readonly select: (selection: Selection | undefined) => void;
  readonly search: (text: string) => void;
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The keys of the page; the dialog `keys` lists them. */
export function startKeys({ map, query, current, select, search }: KeyOptions): void {
  const dialog = byId("keys") as HTMLDialogElement;
  byId("help").addEventListener("click", () => dialog.showModal());

  byId("map").addEventListener("keydown", (event) => {
    if (isChord(event)) return;
    const arrow = ARROWS[event.key];
    const { selection, found } = current();
    if (arrow) {
      const from = selection?.kind === "pod" ? selection.key : undefined;
      const key = map.next(from, found, arrow);
      if (key !== undefined) select({ kind: "pod", key });
    } else if (event.key === "Enter" && selection) byId("details").focus();
    else if (event.key === "+" || event.key === "=") map.zoom("in");
    else if (event.key === "-") map.zoom("out");
    else if (event.key === "0") map.fit();
    else return;
    event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (isChord(event) || dialog.open) return;
    if (event.key === "Escape") {
      if (current().selection) select(undefined);
      else search("");
      return;
    }
    if (document.activeElement === query) return;
    if (event.key === "/") query.select();
    else if (event.key === "m") byId("map").focus();
    else if (event.key === "?") dialog.showModal();
    else return;
    event.preventDefault();
  });
}

function isChord({ ctrlKey, altKey, metaKey }: KeyboardEvent): boolean {
  return ctrlKey || altKey || metaKey;
}
