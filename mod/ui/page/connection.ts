import type { Way } from "../../cluster/explain.ts";
import { EventReader } from "../event_stream.ts";
import { applyChanges } from "../map_changes.ts";
import type { MapPicture } from "../map_picture.ts";

/** How the page and the command are connected. */
export type ConnectionState =
  | { readonly state: "connecting" }
  | { readonly state: "live" }
  /** The command has ended, or does not answer; the page tries again. */
  | { readonly state: "away" }
  /** The command does not accept the token: it is another one. */
  | { readonly state: "refused"; readonly message: string };

/** What the page does when something comes. */
export interface ConnectionOptions {
  readonly token: string;
  readonly picture: (picture: MapPicture) => void;
  readonly connection: (state: ConnectionState) => void;
}

const RETRY_MS = { first: 1_000, most: 10_000 };

/** The page's connection to the command. */
export class Connection {
  readonly #options: ConnectionOptions;
  #picture: MapPicture | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Follows the cluster until the token is refused. */
  async run(): Promise<void> {
    this.#options.connection({ state: "connecting" });
    for (let pause = RETRY_MS.first;; pause = Math.min(2 * pause, RETRY_MS.most)) {
      try {
        const response = await this.#get("/data/events");
        if (response.status === 401) {
          return this.#options.connection({ state: "refused", message: await response.text() });
        }
        if (response.ok && response.body) {
          pause = RETRY_MS.first;
          this.#options.connection({ state: "live" });
          await this.#read(response.body);
        }
      } catch {
        // The command is away: it is asked again.
      }
      this.#options.connection({ state: "away" });
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** The ways of a pod's networks; undefined where the pod is gone. @throws Error without an answer */
  async ways(uid: string): Promise<readonly Way[] | undefined> {
    const response = await this.#get(`/data/way?${new URLSearchParams({ pod: uid })}`);
    return response.ok ? await response.json() : undefined;
  }

  #get(path: string): Promise<Response> {
    return fetch(path, { headers: { authorization: `Bearer ${this.#options.token}` } });
  }

  async #read(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const events = new EventReader();
    const pieces = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return;
      for (const { type, data } of events.push(value)) {
        if (type === "picture") this.#picture = JSON.parse(data);
        else if (this.#picture) this.#picture = applyChanges(this.#picture, JSON.parse(data));
        if (this.#picture) this.#options.picture(this.#picture);
      }
    }
  }
}

const STORED = "network-dra-token";

/**
 * The token of the page's address, which is taken out of it, so that it is not in the history; it is
 * kept for as long as the tab is open.
 */
export function takeToken(): string {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(STORED, given);
    history.replaceState(null, "", "/");
  }
  return sessionStorage.getItem(STORED) ?? "";
}
