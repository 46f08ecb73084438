import { AddressBook } from "../../../mod/addresses/address_book.ts";
import {
  ADDRESS_PATH,
  type AddressOwner,
  toObject,
} from "../../../mod/addresses/address_object.ts";
import { parseAddresses } from "../../../mod/addresses/parse_addresses.ts";
import { systemClock } from "../../../mod/async/clock.ts";
import { Limiter } from "../../../mod/async/limiter.ts";
import { KubeAddressApi } from "../../../mod/kube/address_api.ts";
import { KubeConnection } from "../../../mod/kube/connection.ts";
import { KubeObjectSource } from "../../../mod/kube/object_source.ts";
import type { Api, Json } from "../api.ts";
import { render } from "../chart.ts";
import { until } from "../poll.ts";
import type { AddressSide } from "./address_side.ts";
import { addWith, type Attachment } from "./ipam_program.ts";
import { addressAt, offsetOf, RANGE } from "./range.ts";

const NETWORK = "lan";
const POOLS = parseAddresses({ pools: [{ subnet: RANGE }] }, "addresses");
/** Requests at once while the range is filled. */
const WIDTH = 8;
const never = new AbortController().signal;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const uncounted = { taken() {}, conflicted() {}, held() {}, requested() {} };

/** One agent's address book on each node, and the reference plugin `static`, as the agent has it run. */
export class OwnSide implements AddressSide {
  readonly name = "network-dra";
  readonly #api: Api;
  readonly #program: string;
  readonly #books: ReadonlyMap<string, AddressBook>;

  private constructor(api: Api, program: string, books: ReadonlyMap<string, AddressBook>) {
    this.#api = api;
    this.#program = program;
    this.#books = books;
  }

  /** @param options.program the plugin `static` */
  static async start(
    { api, kubeconfig, program, nodes, running }: {
      readonly api: Api;
      readonly kubeconfig: string;
      readonly program: string;
      readonly nodes: readonly string[];
      readonly running: AsyncDisposableStack;
    },
  ): Promise<OwnSide> {
    const manifests = await render({ networks: { objects: true } });
    const kinds = manifests.filter(({ kind }) => kind === "CustomResourceDefinition");
    for (const kind of kinds) await api.apply(kind);
    await until("NetworkAddresses are served", async () => {
      return await api.list({ kind: "NetworkAddress" }).catch(() => undefined);
    });
    const books = new Map(nodes.map((node) => {
      const connection = running.adopt(new KubeConnection({ kubeconfig }), (it) => it.close());
      const book = new AddressBook({
        api: new KubeAddressApi(connection, {
          source: new KubeObjectSource(connection),
          clock: systemClock,
          metrics: uncounted,
        }),
        node,
        clock: systemClock,
        log: quiet,
        metrics: uncounted,
        events: { warn() {} },
      });
      running.use(book.lead(() => undefined, never));
      return [node, book];
    }));
    return new OwnSide(api, program, books);
  }

  async used(): Promise<ReadonlySet<number>> {
    const objects = await this.#api.list({ kind: "NetworkAddress" });
    return new Set(objects.map(({ spec }: Json) => offsetOf(spec.address)));
  }

  async occupy(offsets: readonly number[]): Promise<void> {
    const limiter = new Limiter(WIDTH);
    await Promise.all(offsets.map((offset) =>
      limiter.run(async () => {
        const owner = { ...ownerOf(`other-${offset}`), node: "others" };
        const body = toObject({ network: NETWORK, address: addressAt(offset), owner });
        await this.#api.request("POST", ADDRESS_PATH, body);
      })
    ));
  }

  async attach(attachment: Attachment): Promise<string> {
    const [taken] = await this.#books.get(attachment.node)!.take({
      network: NETWORK,
      pools: POOLS,
      owner: ownerOf(attachment.id),
      fixed: [],
    }, never);
    const address = `${taken!.address}/${RANGE.split("/")[1]}`;
    const ipam = { type: "static", addresses: [{ address }] };
    return await addWith(this.#program, { attachment, ipam });
  }
}

function ownerOf(id: string): Omit<AddressOwner, "node"> {
  return {
    claim: { namespace: "default", name: `claim-${id}`, uid: `claim-${id}` },
    pod: { namespace: "default", name: `pod-${id}`, uid: `pod-${id}` },
    containerID: `sandbox-${id}`,
    ifName: "net1",
  };
}
