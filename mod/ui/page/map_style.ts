import type { StylesheetJson } from "cytoscape";
import { MAP_STATES } from "../map_picture.ts";
import { LOOKS } from "./glyphs.ts";
import { colours } from "./theme.ts";

const NAMES = [
  ...[
    "back",
    "card",
    "text",
    "muted",
    "line",
    "wire",
    "accent",
    "accent-back",
    "device",
    "network",
  ],
  ...MAP_STATES,
] as const;

/** How the map is drawn, in the colours of the moment. Sizes are of each element's own data. */
export function mapStyle(): StylesheetJson {
  const colour = colours(NAMES) as Readonly<Record<string, string>>;
  return [
    {
      selector: "node",
      style: {
        width: "data(width)",
        height: "data(height)",
        label: "data(label)",
        color: colour.text!,
        "font-family": "system-ui, DejaVu Sans, sans-serif",
        "font-size": "data(font)",
        "min-zoomed-font-size": 7,
        "text-wrap": "ellipsis",
        "text-max-width": "data(labelWidth)",
        "overlay-opacity": 0,
        "border-width": 0,
        "z-index-compare": "manual",
      },
    },
    {
      selector: ".card",
      style: {
        shape: "round-rectangle",
        "corner-radius": "10",
        "background-color": colour.card!,
        "border-width": 1.5,
        "border-color": colour.line!,
        "text-valign": "top",
        "text-halign": "center",
        "text-margin-y": "data(labelDown)",
        "font-weight": 600,
        "z-index": 1,
      },
    },
    { selector: ".card.unwell", style: { "border-color": colour.failed!, "border-width": 3 } },
    {
      selector: ".card.waiting",
      style: { "border-style": "dashed", "background-color": colour.back! },
    },
    {
      selector: ".device",
      style: {
        shape: "round-rectangle",
        "corner-radius": "5",
        "background-color": colour.device!,
        "border-width": 1,
        "border-color": colour.line!,
        "text-valign": "center",
        "text-halign": "center",
        "z-index": 3,
      },
    },
    {
      selector: ".device.down",
      style: { "border-color": colour.failed!, "border-style": "dashed" },
    },
    {
      selector: ".network",
      style: {
        shape: "round-rectangle",
        "corner-radius": "14",
        "background-color": colour.network!,
        "border-width": "data(edge)",
        "border-color": colour.accent!,
        "text-valign": "center",
        "text-halign": "center",
        "text-wrap": "wrap",
        "font-weight": 600,
        "z-index": 3,
      },
    },
    {
      selector: ".pod",
      style: {
        "text-valign": "bottom",
        "text-halign": "center",
        "text-margin-y": 4,
        "z-index": 4,
      },
    },
    ...MAP_STATES.map((state) => {
      const { shape, filled } = LOOKS[state];
      return {
        selector: `.pod.${state}`,
        style: {
          shape,
          "background-color": filled ? colour[state]! : colour.card!,
          "border-width": filled ? 0 : 3,
          "border-color": colour[state]!,
        },
      };
    }),
    {
      selector: "edge",
      style: {
        "curve-style": "straight",
        width: 1.4,
        "line-color": colour.wire!,
        "overlay-opacity": 0,
        "z-index-compare": "manual",
        "z-index": 0,
      },
    },
    // Inside of a card; the others go behind the cards.
    { selector: "edge.inside", style: { "z-index": 2 } },
    { selector: ".dim", style: { opacity: 0.16 } },
    {
      selector: "edge.lit",
      style: { width: "data(lit)", "line-color": colour.accent!, "z-index": 3 },
    },
    {
      selector: ".chosen",
      style: {
        "border-width": 3,
        "border-color": colour.accent!,
        label: "data(name)",
        "outline-width": 4,
        "outline-color": colour.accent!,
        "outline-opacity": 0.35,
        "min-zoomed-font-size": 0,
        "z-index": 9,
      },
    },
  ] as StylesheetJson;
}
