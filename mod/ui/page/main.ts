/** The page of `network-dra ui`: what it holds, and what its parts do for one another. */
import { MAP_STATES, type MapPicture, type MapState } from "../map_picture.ts";
import { searchPods, stateText } from "../search.ts";
import { Connection, type ConnectionState, takeToken } from "./connection.ts";
import { Details } from "./details.ts";
import { byId, element, replaceKeepingFocus } from "./elements.ts";
import { glyph } from "./glyphs.ts";
import { startKeys } from "./keys.ts";
import { PodTable, showProblems, TimelineList } from "./lists.ts";
import { MapView } from "./map_view.ts";
import type { PageState, Selection } from "./state.ts";
import { startTabs } from "./tabs.ts";
import { startTheme } from "./theme.ts";

const NOTHING: MapPicture = {
  nodes: [],
  devices: [],
  networks: [],
  pods: [],
  summary: { server: "", drivers: [], reading: true, unread: [], findings: [] },
};

/** Times that run are shown anew after this, in milliseconds. */
const TICK_MS = 5_000;

const CONNECTIONS: Readonly<Record<ConnectionState["state"], string>> = {
  connecting: "connecting",
  live: "live",
  away: "the command has ended or does not answer",
  refused: "no access",
};

let state: PageState = { picture: NOTHING, query: "", found: [], selection: undefined };
let isQueued = false;

const query = byId("query") as HTMLInputElement;
const map = new MapView(byId("map"), select);
const pods = new PodTable(byId("panel-pods"), open);
const timeline = new TimelineList(byId("panel-timeline"), open);
const connection = new Connection({
  token: takeToken(),
  picture: (picture) => {
    tellNews(state.picture, picture);
    change({ picture });
  },
  connection: showConnection,
});
const details = new Details({
  panel: byId("details"),
  ways: (uid) => connection.ways(uid),
  open,
  close: () => {
    select(undefined);
    byId("map").focus();
  },
});

const tabs = startTabs(byId("tabs"), showLists);
startTheme(() => map.restyle());
startKeys({
  map,
  query,
  current: () => state,
  select: (selection) => {
    select(selection);
    if (selection?.kind === "pod") map.reveal(selection.key);
  },
  search,
});
query.addEventListener("input", () => search(query.value));
for (const button of document.querySelectorAll<HTMLButtonElement>("[data-zoom]")) {
  button.addEventListener("click", () => {
    const { zoom } = button.dataset;
    if (zoom === "in" || zoom === "out") map.zoom(zoom);
    else map.fit();
  });
}
setInterval(() => {
  if (tabs.current() === "timeline") timeline.show(state);
}, TICK_MS);
void connection.run();

function change(changes: Partial<PageState>): void {
  state = { ...state, ...changes };
  if (changes.picture || changes.query !== undefined) {
    state = { ...state, found: searchPods(state.picture, state.query) };
  }
  if (isQueued) return;
  isQueued = true;
  requestAnimationFrame(() => {
    isQueued = false;
    render();
  });
}

function select(selection: Selection | undefined): void {
  change({ selection });
}

function open(uid: string): void {
  select({ kind: "pod", key: uid });
  map.reveal(uid);
  byId("details").focus();
}

function search(text: string): void {
  if (query.value !== text) query.value = text;
  change({ query: text });
}

function render(): void {
  map.show(state);
  void details.show(state);
  showLists();
  showNotices();
  showLegend();
  const { server, drivers } = state.picture.summary;
  byId("cluster").textContent = server === "" ? "" : `${server} · ${drivers.join(", ")}`;
  byId("tab-pods").textContent = `Pods ${state.found.length}`;
  byId("tab-problems").textContent = `Problems ${state.picture.summary.findings.length}`;
  showEmpty();
}

function showLists(): void {
  switch (tabs.current()) {
    case "pods":
      return pods.show(state);
    case "problems":
      return showProblems(byId("panel-problems"), state);
    case "timeline":
      return timeline.show(state);
  }
}

function showNotices(): void {
  const { unread, away, findings } = state.picture.summary;
  const ofCluster = findings.filter(({ where }) => where === "cluster");
  const sentences = [
    ...away === undefined ? [] : [`What is shown may be old: ${away}`],
    ...unread.map((sentence) => `Not shown: ${sentence}`),
    ...ofCluster.map(({ what, whatToDo }) => [what, whatToDo].filter((part) => part).join(": ")),
  ];
  const notices = byId("notices");
  const before = [...notices.children].map(({ textContent }) => textContent);
  if (JSON.stringify(before) === JSON.stringify(sentences)) return;
  notices.replaceChildren(...sentences.map((sentence) => element("p", {}, sentence)));
}

function showEmpty(): void {
  const { picture: { nodes, pods, summary } } = state;
  const empty = byId("empty");
  empty.hidden = nodes.length > 0 || pods.length > 0;
  empty.textContent = summary.reading
    ? "The cluster is being read."
    : summary.unread.length > 0
    ? "Nothing can be shown of the cluster; the reason is above."
    : "The cluster has no nodes.";
}

/** The states that there are, each with its count; a click searches for it. */
function showLegend(): void {
  const counts = new Map<MapState, number>();
  for (const pod of state.picture.pods) counts.set(pod.state, (counts.get(pod.state) ?? 0) + 1);
  const buttons = MAP_STATES.filter((each) => counts.has(each)).map((each) => {
    const isPressed = state.query === stateText(each);
    const button = element(
      "button",
      {
        "type": "button",
        "data-state": each,
        "data-key": each,
        "aria-pressed": `${isPressed}`,
      },
      glyph(each),
      `${stateText(each)} ${counts.get(each)}`,
    );
    button.addEventListener("click", () => search(isPressed ? "" : stateText(each)));
    return button;
  });
  const legend = byId("legend");
  legend.hidden = buttons.length === 0;
  replaceKeepingFocus(legend, ...buttons);
}

function showConnection(connection: ConnectionState): void {
  const shown = byId("connection");
  shown.textContent = CONNECTIONS[connection.state];
  shown.dataset.state = connection.state;
  if (connection.state !== "refused") return;
  byId("empty").textContent = connection.message;
  byId("empty").hidden = false;
}

/** Says what has become wrong, for those who hear the page. */
function tellNews(before: MapPicture, after: MapPicture): void {
  if (before === NOTHING) return;
  const known = new Map(before.pods.map(({ key, state }) => [key, state]));
  const bad = after.pods.filter(({ key, state }) =>
    (state === "failed" || state === "lost") && known.get(key) !== state
  );
  if (bad.length === 0) return;
  const [first] = bad;
  const more = bad.length > 1 ? ` and ${bad.length - 1} more` : "";
  byId("news").textContent = `${first!.namespace}/${first!.name}${more}: ${first!.state}`;
}
