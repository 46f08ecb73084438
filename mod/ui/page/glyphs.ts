import type { MapState } from "../map_picture.ts";

/** How a state is drawn: by its shape too, for those who do not see the colours. */
export interface StateLook {
  /** As Cytoscape.js calls it. */
  readonly shape: "ellipse" | "diamond" | "hexagon" | "triangle" | "pentagon" | "rectangle";
  readonly filled: boolean;
  /** The same shape, in a square of 12 by 12. */
  readonly path: string;
}

const CIRCLE = "M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10Z";

export const LOOKS: Readonly<Record<MapState, StateLook>> = {
  failed: { shape: "diamond", filled: true, path: "M6 0L12 6L6 12L0 6Z" },
  lost: { shape: "hexagon", filled: true, path: "M0 6L3 .8H9L12 6L9 11.2H3Z" },
  "no-claim": { shape: "pentagon", filled: true, path: "M6 .3L12 4.7L9.7 11.7H2.3L0 4.7Z" },
  unallocated: { shape: "triangle", filled: true, path: "M6 .5L12 11.5H0Z" },
  attaching: { shape: "ellipse", filled: false, path: CIRCLE },
  detaching: { shape: "rectangle", filled: false, path: "M1.5 1.5H10.5V10.5H1.5Z" },
  allocated: { shape: "rectangle", filled: true, path: "M1.5 1.5H10.5V10.5H1.5Z" },
  attached: { shape: "ellipse", filled: true, path: CIRCLE },
};

/** The shape of a state; its colour is that of the text around it. */
export function glyph(state: MapState): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("class", "glyph");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  const { filled, path: d } = LOOKS[state];
  path.setAttribute("d", d);
  path.setAttribute("fill", filled ? "currentColor" : "none");
  if (!filled) {
    path.setAttribute("stroke", "currentColor");
    path.setAttribute("stroke-width", "2");
  }
  svg.append(path);
  return svg;
}
