/**
 * Where everything of the map is: networks in rows at the top, nodes as cards below, each with its
 * interfaces and its pods. It is computed and not found by forces, so that the same cluster always looks the
 * same, and a pod that comes moves nothing but what follows it on its card.
 */
import type { MapDevice, MapPicture, MapPod } from "./map_picture.ts";

/** The middle and the size of a box. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Boxes by key. */
export interface MapLayout {
  /** Whether there is so much that pods have no labels and connections are shown of what is selected. */
  readonly dense: boolean;
  /** How much larger than usual networks are. */
  readonly networkScale: number;
  readonly networks: ReadonlyMap<string, Box>;
  /** Cards of nodes; pods without a node are on the card with the key "". */
  readonly cards: ReadonlyMap<string, Box>;
  readonly devices: ReadonlyMap<string, Box>;
  readonly pods: ReadonlyMap<string, Box>;
}

/** The card of the pods that have no node yet. */
export const NO_NODE = "";

/** More pods than these, or more nodes, make a map dense. */
const MOST_LABELLED_PODS = 80;
const MOST_LABELLED_NODES = 16;

const GAP = 28;
const PADDING = 14;
const DEVICE = { height: 26, gap: 8 };
const NETWORK = { height: 44, gap: 24, least: 130, letter: 8.5, below: 30 };
/** Of a wide map, networks are larger: by its width by this, at most so many times. */
const NETWORK_SCALE = { per: 900, most: 3.5 };

/** What a pod takes of its card. */
const CELLS = {
  dense: { width: 22, height: 22, dot: 13, columns: 9, topGap: 12, title: 40, device: 60 },
  roomy: { width: 96, height: 52, dot: 20, columns: 3, topGap: 16, title: 28, device: 90 },
} as const;

/** @param aspect width of the window by its height */
export function layoutOf(picture: MapPicture, aspect: number): MapLayout {
  const { pods, devices, networks } = picture;
  const podsOf = Map.groupBy(pods.toSorted(byName), ({ node = NO_NODE }) => node);
  const devicesOf = Map.groupBy(devices.toSorted(byDevice), ({ node }) => node);
  const names = cardNames(picture, podsOf);
  const dense = pods.length > MOST_LABELLED_PODS || names.length > MOST_LABELLED_NODES;
  const cell = dense ? CELLS.dense : CELLS.roomy;
  const width = cardWidth(cell);
  const heights = names.map((name) =>
    cardHeight(cell, { pods: podsOf.get(name) ?? [], devices: devicesOf.get(name) ?? [] })
  );
  const columns = columnsFor({
    heights,
    width,
    aspect,
    above: (gridWidth) => networkRows(networks, gridWidth).height,
  });
  const gridWidth = columns * (width + GAP) - GAP;
  const { boxes: networkBoxes, scale: networkScale, height: top } = networkRows(
    networks,
    gridWidth,
  );

  const cards = new Map<string, Box>();
  const deviceBoxes = new Map<string, Box>();
  const podBoxes = new Map<string, Box>();
  for (let first = 0, y = top; first < names.length; first += columns) {
    const row = names.slice(first, first + columns);
    const height = Math.max(...heights.slice(first, first + columns));
    row.forEach((name, column) => {
      const left = column * (width + GAP);
      cards.set(name, { x: left + width / 2, y: y + height / 2, width, height });
      const own = devicesOf.get(name) ?? [];
      place(own, deviceBoxes, {
        left: left + PADDING,
        top: y + PADDING + cell.title,
        columns: deviceColumns(cell),
        cell: { width: cell.device + DEVICE.gap, height: DEVICE.height + DEVICE.gap },
        size: { width: cell.device, height: DEVICE.height },
      });
      place(podsOf.get(name) ?? [], podBoxes, {
        left: left + PADDING,
        top: y + PADDING + cell.title + devicesHeight(own, cell) +
          (own.length > 0 ? cell.topGap : 0),
        columns: cell.columns,
        cell,
        size: { width: cell.dot, height: cell.dot },
        // Its label is below it.
        ...(!dense && { middle: cell.dot / 2 + 4 }),
      });
    });
    y += height + GAP;
  }
  return {
    dense,
    networkScale,
    networks: networkBoxes,
    cards,
    devices: deviceBoxes,
    pods: podBoxes,
  };
}

/** Nodes by name, with numbers as people count; pods without a node come first. */
function cardNames({ nodes }: MapPicture, podsOf: ReadonlyMap<string, unknown>): string[] {
  const names = new Set([...nodes.map(({ name }) => name), ...podsOf.keys()]);
  return [...names].toSorted((one, other) => ORDER.compare(one, other));
}

const ORDER = new Intl.Collator("en", { numeric: true });

function byName(one: MapPod, other: MapPod): number {
  return ORDER.compare(`${one.namespace}/${one.name}`, `${other.namespace}/${other.name}`) ||
    (one.key < other.key ? -1 : 1);
}

function byDevice(one: MapDevice, other: MapDevice): number {
  return ORDER.compare(one.name, other.name);
}

type Cell = typeof CELLS[keyof typeof CELLS];

function cardWidth({ columns, width }: Cell): number {
  return columns * width + 2 * PADDING;
}

function deviceColumns(cell: Cell): number {
  const inner = cell.columns * cell.width + DEVICE.gap;
  return Math.floor(inner / (cell.device + DEVICE.gap));
}

function devicesHeight({ length }: readonly MapDevice[], cell: Cell): number {
  return Math.ceil(length / deviceColumns(cell)) * (DEVICE.height + DEVICE.gap);
}

function cardHeight(
  cell: Cell,
  { pods, devices }: { readonly pods: readonly MapPod[]; readonly devices: readonly MapDevice[] },
): number {
  const rows = Math.ceil(pods.length / cell.columns);
  const gap = devices.length > 0 && rows > 0 ? cell.topGap : 0;
  return 2 * PADDING + cell.title + devicesHeight(devices, cell) + gap + rows * cell.height;
}

/** As many columns as let the whole be drawn largest in the window; of two that are alike, the fewer. */
function columnsFor(
  { heights, width, aspect, above }: {
    readonly heights: readonly number[];
    /** Of a card. */
    readonly width: number;
    readonly aspect: number;
    /** What networks take above cards of a width. */
    readonly above: (gridWidth: number) => number;
  },
): number {
  let best = { columns: 1, size: Infinity };
  const most = Math.min(heights.length, Math.ceil(3 * Math.sqrt(heights.length * aspect)));
  for (let columns = 1; columns <= most; columns++) {
    const gridWidth = columns * (width + GAP) - GAP;
    let height = above(gridWidth);
    for (let first = 0; first < heights.length; first += columns) {
      height += Math.max(...heights.slice(first, first + columns)) + GAP;
    }
    const size = Math.max(gridWidth, height * aspect);
    if (size < 0.99 * best.size) best = { columns, size };
  }
  return best.columns;
}

/** Networks above a grid of cards: where they are, and what they take with the gap below them. */
interface NetworkRows {
  readonly boxes: ReadonlyMap<string, Box>;
  readonly scale: number;
  readonly height: number;
}

/** In as many rows as they need, each in the middle. */
function networkRows(networks: MapPicture["networks"], width: number): NetworkRows {
  const scale = Math.max(1, Math.min(NETWORK_SCALE.most, width / NETWORK_SCALE.per));
  const [gap, height] = [NETWORK.gap * scale, NETWORK.height * scale];
  const rows: { key: string; width: number }[][] = [[]];
  let used = 0;
  for (const { key, name, plugins } of networks) {
    const text = Math.max(name.length, plugins.length) * NETWORK.letter + 24;
    const own = Math.max(NETWORK.least, text) * scale;
    if (used > 0 && used + own > width) {
      rows.push([]);
      used = 0;
    }
    rows.at(-1)!.push({ key, width: own });
    used += own + gap;
  }
  const boxes = new Map<string, Box>();
  rows.forEach((row, i) => {
    const whole = row.reduce((sum, each) => sum + each.width + gap, -gap);
    let x = (width - whole) / 2;
    for (const each of row) {
      const y = i * (height + gap) + height / 2;
      boxes.set(each.key, { x: x + each.width / 2, y, width: each.width, height });
      x += each.width + gap;
    }
  });
  const whole = networks.length === 0 ? 0 : rows.length * (height + gap) + NETWORK.below * scale;
  return { boxes, scale, height: whole };
}

function place(
  things: readonly { readonly key: string }[],
  boxes: Map<string, Box>,
  { left, top, columns, cell, size, middle = cell.height / 2 }: {
    readonly left: number;
    readonly top: number;
    readonly columns: number;
    readonly cell: { readonly width: number; readonly height: number };
    readonly size: { readonly width: number; readonly height: number };
    /** Of the box in its cell, from above. */
    readonly middle?: number;
  },
): void {
  things.forEach(({ key }, i) => {
    const x = left + (i % columns) * cell.width + cell.width / 2;
    const y = top + Math.floor(i / columns) * cell.height + middle;
    boxes.set(key, { x, y, width: size.width, height: size.height });
  });
}

/** A connection of the map. */
export interface Connection {
  readonly key: string;
  readonly from: string;
  readonly to: string;
  /** From a pod to its interface, from there to a network, or from a pod to the network that it waits for. */
  readonly kind: "pod" | "network" | "wanted";
}

/**
 * The connections of pods: from each to its interface, and from there to the network; to the network
 * alone where there is no interface yet. Each pair once.
 */
export function connectionsOf(pods: readonly MapPod[]): Connection[] {
  const found = new Map<string, Connection>();
  const add = (kind: Connection["kind"], from: string | undefined, to: string | undefined) => {
    if (from === undefined || to === undefined) return;
    const key = `${kind} ${from} ${to}`;
    found.set(key, { key, from, to, kind });
  };
  for (const { key, attachments } of pods) {
    for (const { device, network } of attachments) {
      if (device === undefined) {
        add("wanted", key, network);
      } else {
        add("pod", key, device);
        add("network", device, network);
      }
    }
  }
  return [...found.values()];
}
