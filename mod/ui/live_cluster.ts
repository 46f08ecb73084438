import type { Clock } from "../async/clock.ts";
import { Notifier } from "../async/notifier.ts";
import { EXPLAINED_KINDS, explainPod, type Way } from "../cluster/explain.ts";
import { ClusterFollower } from "../cluster/follow_cluster.ts";
import type { ClusterPicture } from "../cluster/picture.ts";
import { pictureOf } from "../cluster/picture_of.ts";
import type { ObjectSource } from "../cluster/ports.ts";
import { changesBetween, type MapChanges } from "./map_changes.ts";
import type { MapPicture } from "./map_picture.ts";
import { mapPictureOf } from "./map_picture_of.ts";
import { NotedSource } from "./noted_source.ts";
import type { ShownCluster } from "./ports.ts";

/** Changes that come within this time are shown together, in milliseconds. */
const TOGETHER_MS = 250;

/** What is followed, and how. */
export interface LiveClusterOptions {
  /** The API server's URL. */
  readonly server: string;
  /** The driver's name; without it those that the agents run with. */
  readonly driver?: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A cluster as the page shows it, kept up to date by one list and one watch a kind. */
export class LiveCluster implements ShownCluster {
  readonly #options: LiveClusterOptions;
  readonly #source: NotedSource;
  readonly #follower: ClusterFollower;
  readonly #touched = new Notifier();
  readonly #listeners = new Set<(changes: MapChanges) => void>();
  #isTouched = false;
  #cluster: ClusterPicture;
  #picture: MapPicture;

  constructor(source: ObjectSource, options: LiveClusterOptions) {
    const { clock, signal } = options;
    const changed = () => {
      this.#isTouched = true;
      this.#touched.notify();
    };
    this.#options = options;
    this.#source = new NotedSource(source, changed);
    this.#follower = new ClusterFollower(this.#source, {
      kinds: EXPLAINED_KINDS,
      clock,
      signal,
      changed,
    });
    [this.#cluster, this.#picture] = this.#look();
  }

  /** As it is now. */
  get picture(): MapPicture {
    return this.#picture;
  }

  /** Calls back with each change of the picture. @returns what ends it */
  subscribe(listener: (changes: MapChanges) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The ways of a pod's networks; undefined where there is no pod of the UID. */
  explain(uid: string): readonly Way[] | undefined {
    const pod = this.#cluster.pods.find((each) => each.uid === uid);
    return pod && explainPod(pod, this.#cluster);
  }

  /** Follows until the signal is aborted. */
  async run(): Promise<void> {
    await Promise.all([this.#follower.run(), this.#publish()]);
  }

  async #publish(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      try {
        if (!this.#isTouched) await this.#touched.next(signal);
        await clock.sleep(TOGETHER_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      this.#isTouched = false;
      const before = this.#picture;
      [this.#cluster, this.#picture] = this.#look();
      const changes = changesBetween(before, this.#picture);
      if (changes) { for (const listener of this.#listeners) listener(changes); }
    }
  }

  #look(): [ClusterPicture, MapPicture] {
    const { server, driver, clock } = this.#options;
    const objects = this.#follower.objects();
    const reading = EXPLAINED_KINDS.some((kind) => objects[kind].state === "unasked");
    const { away } = this.#source;
    const cluster = pictureOf(objects, {
      now: clock.now(),
      ...(driver !== undefined && { driver }),
    });
    const about = { server, reading, ...(away !== undefined && { away }) };
    return [cluster, mapPictureOf(cluster, about)];
  }
}
