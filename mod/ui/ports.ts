import type { Way } from "../cluster/explain.ts";
import type { MapChanges } from "./map_changes.ts";
import type { MapPicture } from "./map_picture.ts";

/** What the page shows, as its server needs it. */
export interface ShownCluster {
  readonly picture: MapPicture;
  /** @returns what ends it */
  subscribe(listener: (changes: MapChanges) => void): () => void;
  explain(uid: string): readonly Way[] | undefined;
}

/** The files of the page. */
export interface PageFiles {
  readonly html: string;
  readonly css: string;
  readonly js: string;
}
