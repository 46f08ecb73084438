/**
 * The map, drawn by Cytoscape.js on a canvas: it is kept well, comes without packages of its own, and draws,
 * hits and zooms thousands of shapes without a layout by forces. Where things are is computed (layout.ts).
 */
import cytoscape from "cytoscape";
import { type Box, connectionsOf, layoutOf, type MapLayout, NO_NODE } from "../layout.ts";
import type { MapPicture, MapPod } from "../map_picture.ts";
import { mapStyle } from "./map_style.ts";
import { type PageState, podsOfSelection, type Selection } from "./state.ts";

/** What is drawn of one thing. */
interface Drawn {
  readonly kind: Selection["kind"];
  readonly key: string;
  readonly box: Box;
  readonly classes: string;
  readonly label: string;
  /** Its label where it is selected. */
  readonly name: string;
  readonly font: number;
  readonly labelWidth: number;
  readonly labelDown?: number;
  /** Width of its border. */
  readonly edge?: number;
}

const MARGIN = 24;
const ZOOM_STEP = 1.3;
/** From this zoom on, names of pods can be read. */
const LEGIBLE = 0.9;
/** In a dense map, what is not well is larger by this. */
const UNWELL_SCALE = 1.4;

/** The map. */
export class MapView {
  readonly #cy: cytoscape.Core;
  readonly #container: HTMLElement;
  readonly #selected: (selection: Selection | undefined) => void;
  /** What was drawn last of each thing, to touch only what is different. */
  readonly #drawn = new Map<string, string>();
  #picture: MapPicture | undefined;
  #layout: MapLayout | undefined;
  /** Whether the user has moved the map: then it stays where it is. */
  #isMoved = false;
  #isOwnMove = false;

  constructor(container: HTMLElement, selected: (selection: Selection | undefined) => void) {
    this.#container = container;
    this.#selected = selected;
    this.#cy = cytoscape({
      container,
      style: mapStyle(),
      layout: { name: "preset" },
      minZoom: 0.05,
      maxZoom: 4,
      autoungrabify: true,
      autounselectify: true,
      boxSelectionEnabled: false,
      textureOnViewport: true,
    });
    this.#cy.on("tap", (event) => this.#tapped(event.target));
    this.#cy.on("viewport", () => {
      if (!this.#isOwnMove) this.#isMoved = true;
    });
    new ResizeObserver(() => this.#resized()).observe(container);
  }

  /** Draws the colours of the moment. */
  restyle(): void {
    this.#cy.style(mapStyle());
  }

  show(state: PageState): void {
    const isNew = this.#picture !== state.picture;
    this.#picture = state.picture;
    this.#cy.batch(() => {
      if (isNew) this.#draw(state.picture);
      this.#connect(state);
      this.#light(state);
    });
    if (isNew && !this.#isMoved) this.fit();
  }

  /** Shows everything. */
  fit(): void {
    this.#move(() => this.#cy.fit(undefined, MARGIN));
    this.#isMoved = false;
  }

  zoom(direction: "in" | "out"): void {
    const level = this.#cy.zoom() * (direction === "in" ? ZOOM_STEP : 1 / ZOOM_STEP);
    const middle = { x: this.#cy.width() / 2, y: this.#cy.height() / 2 };
    this.#cy.zoom({ level, renderedPosition: middle });
  }

  /** Moves the map so that a pod is to be seen. */
  reveal(key: string): void {
    const found = this.#cy.getElementById(key);
    if (found.empty()) return;
    const { x1, y1, w, h } = this.#cy.extent();
    const { x, y } = found.position();
    const isSeen = x > x1 && x < x1 + w && y > y1 && y < y1 + h;
    if (this.#cy.zoom() < LEGIBLE) this.#cy.zoom({ level: LEGIBLE, position: { x, y } });
    if (!isSeen || this.#cy.zoom() === LEGIBLE) this.#cy.center(found);
  }

  /** The next pod of `pods` in a direction; the first where none is selected. */
  next(
    from: string | undefined,
    pods: readonly MapPod[],
    [dx, dy]: readonly [number, number],
  ): string | undefined {
    const boxes = this.#layout?.pods;
    const start = from === undefined ? undefined : boxes?.get(from);
    if (!boxes || !start) return pods[0]?.key;
    let best: { readonly key: string; readonly cost: number } | undefined;
    for (const { key } of pods) {
      const box = boxes.get(key)!;
      const [x, y] = [box.x - start.x, box.y - start.y];
      const along = x * dx + y * dy;
      if (along <= 0) continue;
      // What is aside counts more than what is far.
      const cost = along + 3 * Math.abs(x * dy) + 3 * Math.abs(y * dx);
      if (!best || cost < best.cost) best = { key, cost };
    }
    return best?.key;
  }

  #resized(): void {
    this.#move(() => this.#cy.resize());
    if (!this.#isMoved && this.#picture) {
      this.#cy.batch(() => this.#draw(this.#picture!));
      this.fit();
    }
  }

  #move(body: () => void): void {
    this.#isOwnMove = true;
    body();
    this.#isOwnMove = false;
  }

  #tapped(target: cytoscape.Core | cytoscape.SingularElementArgument): void {
    const { kind, key } = target === this.#cy
      ? {}
      : (target as cytoscape.SingularElementArgument).data();
    this.#selected(kind === undefined ? undefined : { kind, key });
  }

  #draw(picture: MapPicture): void {
    const { clientWidth, clientHeight } = this.#container;
    const layout = layoutOf(picture, clientWidth / Math.max(1, clientHeight));
    this.#layout = layout;
    const things = [...drawnThings(picture, layout)];
    const ids = new Set(things.map(idOf));
    for (const id of this.#drawn.keys()) {
      if (ids.has(id)) continue;
      this.#cy.getElementById(id).remove();
      this.#drawn.delete(id);
    }
    const added: cytoscape.ElementDefinition[] = [];
    for (const thing of things) {
      const id = idOf(thing);
      const text = JSON.stringify(thing);
      const before = this.#drawn.get(id);
      if (before === text) continue;
      this.#drawn.set(id, text);
      const { box: { x, y, width, height }, classes, ...rest } = thing;
      const data = { id, width, height, ...rest };
      if (before === undefined) {
        // Pannable: the map is dragged wherever it is taken hold of.
        added.push({ group: "nodes", data, classes, position: { x, y }, pannable: true });
      } else {
        this.#cy.getElementById(id).data(data).classes(classes).position({ x, y });
      }
    }
    this.#cy.add(added);
  }

  /** Connections of all pods, or in a dense map of what is selected. */
  #connect({ picture, selection }: PageState): void {
    const pods = this.#layout!.dense
      ? selection && selection.kind !== "network" ? podsOfSelection(picture, selection) : []
      : picture.pods;
    const wanted = new Map(connectionsOf(pods).map((each) => [each.key, each]));
    this.#cy.edges().forEach((edge) => {
      if (!wanted.delete(edge.id())) edge.remove();
    });
    const has = (id: string) => this.#drawn.has(id);
    this.#cy.add(
      [...wanted.values()].filter(({ from, to }) => has(from) && has(to))
        .map(({ key, from, to, kind }) => ({
          group: "edges" as const,
          pannable: true,
          classes: kind === "network" ? "" : "inside",
          data: { id: key, source: from, target: to, lit: this.#layout!.dense ? 4 : 2.6 },
        })),
    );
  }

  /** Dims what the search or the selection is not about. */
  #light({ picture, selection, found, query }: PageState): void {
    const cy = this.#cy;
    cy.elements().removeClass("dim lit chosen");
    const about = selection ? podsOfSelection(picture, selection) : undefined;
    if (!about && query === "") return;
    const pods = about ?? found;
    const bright = new Set<string>(pods.map(({ key }) => key));
    for (const { node, attachments } of pods) {
      bright.add(cardId(node ?? NO_NODE));
      for (const { device, network } of attachments) {
        if (device !== undefined) bright.add(device);
        if (network !== undefined) bright.add(network);
      }
    }
    if (selection) bright.add(idOf(selection));
    cy.nodes().filter((node) => !bright.has(node.id()) && !node.hasClass("card")).addClass("dim");
    cy.edges().forEach((edge) => {
      const isBright = bright.has(edge.source().id()) && bright.has(edge.target().id());
      edge.addClass(isBright && about ? "lit" : isBright ? "" : "dim");
    });
    if (selection) cy.getElementById(idOf(selection)).addClass("chosen");
  }
}

function cardId(name: string): string {
  return `card ${name}`;
}

function idOf({ kind, key }: Pick<Selection, "kind" | "key">): string {
  return kind === "node" ? cardId(key) : key;
}

function* drawnThings(picture: MapPicture, layout: MapLayout): Generator<Drawn> {
  const { dense, networkScale } = layout;
  const nodes = new Map(picture.nodes.map((node) => [node.key, node]));
  for (const [key, box] of layout.cards) {
    const node = nodes.get(key);
    const classes = key === NO_NODE
      ? "card waiting"
      : node?.well === false
      ? "card unwell"
      : "card";
    const font = dense ? 26 : 15;
    yield {
      kind: "node",
      key,
      box,
      classes,
      label: key === NO_NODE ? "no node yet" : key,
      name: key,
      font,
      labelWidth: box.width - 20,
      labelDown: font + (dense ? 16 : 14),
    };
  }
  for (const { key, name, state } of picture.devices) {
    const box = layout.devices.get(key)!;
    const classes = state === "down" ? "device down" : "device";
    yield {
      kind: "device",
      key,
      box,
      classes,
      label: name,
      name,
      font: 12,
      labelWidth: box.width - 8,
    };
  }
  for (const { key, name, plugins } of picture.networks) {
    yield {
      kind: "network",
      key,
      box: layout.networks.get(key)!,
      classes: "network",
      label: plugins === "" ? name : `${name}\n${plugins}`,
      name,
      font: 13 * networkScale,
      labelWidth: 10_000,
      edge: 1.5 * networkScale,
    };
  }
  for (const { key, name, state } of picture.pods) {
    const place = layout.pods.get(key)!;
    const scale = dense && state !== "attached" ? UNWELL_SCALE : 1;
    const box = { ...place, width: place.width * scale, height: place.height * scale };
    const label = dense ? "" : name;
    const classes = `pod ${state}`;
    yield { kind: "pod", key, box, classes, label, name, font: 12, labelWidth: dense ? 200 : 92 };
  }
}
