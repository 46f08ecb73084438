/** A rectangle with a title, and lines of smaller text below it. */
interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly lines?: readonly string[];
  /** How it is filled. */
  readonly kind: "plain" | "ours" | "area";
}

/** A line of straight pieces that ends in a head, with words beside it. */
interface Arrow {
  readonly points: readonly (readonly [number, number])[];
  readonly words: string;
  readonly at: readonly [number, number];
  readonly anchor?: "start" | "middle" | "end";
}

const WIDTH = 940;
const HEIGHT = 430;

const BOXES: readonly Box[] = [
  { x: 20, y: 160, width: 900, height: 250, title: "node", kind: "area" },
  { x: 690, y: 190, width: 210, height: 135, title: "pod", kind: "area" },
  {
    x: 40,
    y: 20,
    width: 330,
    height: 96,
    title: "Pod and ResourceClaim",
    lines: ["which network: CNI configuration", "status: interface, addresses, Ready"],
    kind: "plain",
  },
  {
    x: 560,
    y: 20,
    width: 340,
    height: 96,
    title: "scheduler",
    lines: ["chooses a node and a device", "by the attributes of interfaces"],
    kind: "plain",
  },
  { x: 40, y: 205, width: 160, height: 56, title: "kubelet", kind: "plain" },
  { x: 40, y: 325, width: 160, height: 56, title: "container runtime", kind: "plain" },
  {
    x: 330,
    y: 205,
    width: 160,
    height: 176,
    title: "network-dra",
    lines: ["an agent on each node:", "DRA and NRI plugin"],
    kind: "ours",
  },
  {
    x: 560,
    y: 345,
    width: 110,
    height: 50,
    title: "CNI plugins",
    kind: "plain",
  },
  {
    x: 705,
    y: 222,
    width: 85,
    height: 86,
    title: "eth0",
    lines: ["cluster’s", "network"],
    kind: "plain",
  },
  { x: 800, y: 222, width: 85, height: 86, title: "lan", lines: ["the claim’s"], kind: "ours" },
  { x: 790, y: 345, width: 110, height: 50, title: "interface", kind: "plain" },
];

const ARROWS: readonly Arrow[] = [
  { points: [[370, 52], [560, 52]], words: "allocate", at: [465, 42], anchor: "middle" },
  {
    points: [[430, 205], [430, 138], [640, 138], [640, 116]],
    words: "devices of the node",
    at: [535, 130],
    anchor: "middle",
  },
  {
    points: [[360, 205], [360, 138], [250, 138], [250, 116]],
    words: "status, events",
    at: [244, 138],
    anchor: "end",
  },
  { points: [[200, 233], [330, 233]], words: "prepare", at: [265, 223], anchor: "middle" },
  { points: [[200, 353], [330, 353]], words: "may it start?", at: [265, 343], anchor: "middle" },
  { points: [[490, 370], [560, 370]], words: "ADD", at: [525, 360], anchor: "middle" },
  { points: [[670, 370], [790, 370]], words: "macvlan, …", at: [730, 360], anchor: "middle" },
  { points: [[842, 345], [842, 308]], words: "", at: [0, 0] },
];

/** docs/picture.svg: how a pod comes to its network. */
export function picture(): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
<!-- Written by \`deno task docs:reference\` from deploy/reference/picture.ts. -->
<title>A pod names a claim; the agent attaches its network by CNI plugins</title>
<style>
  svg { --paper: #ffffff; --ink: #1f2328; --line: #6e7781; --fill: #f6f8fa; --ours: #ddf4ff; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #e6edf3; --line: #8b949e; --fill: #161b22; --ours: #0c2d4d; }
  }
  .paper { fill: var(--paper); }
  text { fill: var(--ink); font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
  .title { font-size: 15px; font-weight: 600; }
  .plain { fill: var(--fill); stroke: var(--line); }
  .ours { fill: var(--ours); stroke: var(--line); stroke-width: 2; }
  .area { fill: none; stroke: var(--line); stroke-dasharray: 5 4; }
  .arrow { fill: none; stroke: var(--line); stroke-width: 1.6; marker-end: url(#head); }
  .head { fill: var(--line); }
</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8"
  orient="auto"><path class="head" d="M0 0 10 5 0 10z"/></marker></defs>
<rect class="paper" width="${WIDTH}" height="${HEIGHT}" rx="10"/>
${[...BOXES.map(box), ...ARROWS.map(arrow)].join("\n")}
</svg>
`;
}

function box({ x, y, width, height, title, lines = [], kind }: Box): string {
  const shape =
    `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="8"/>`;
  if (kind === "area") return `${shape}\n${text(title, [x + 12, y + 19], { anchor: "start" })}`;
  const middle = x + width / 2;
  const first = y + height / 2 + 5 - lines.length * 9;
  return [
    shape,
    text(title, [middle, first], { style: "title" }),
    ...lines.map((line, i) => text(line, [middle, first + 20 + i * 18])),
  ].join("\n");
}

function arrow({ points, words, at, anchor = "start" }: Arrow): string {
  const [[x, y] = [0, 0], ...others] = points;
  const path = `M${x} ${y}${others.map(([x, y]) => `L${x} ${y}`).join("")}`;
  const line = `<path class="arrow" d="${path}"/>`;
  return words === "" ? line : `${line}\n${text(words, at, { anchor })}`;
}

function text(
  words: string,
  [x, y]: readonly [number, number],
  { anchor = "middle", style }: { readonly anchor?: string; readonly style?: string } = {},
): string {
  const named = style === undefined ? "" : ` class="${style}"`;
  return `<text${named} x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;
}
