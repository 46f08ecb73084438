import { join } from "node:path";
import { Limiter } from "../../../mod/async/limiter.ts";
import type { Api, Manifest } from "../api.ts";
import { until } from "../poll.ts";
import type { AddressSide } from "./address_side.ts";
import { addWith, type Attachment } from "./ipam_program.ts";
import { addressAt, RANGE } from "./range.ts";

const GROUP = "whereabouts.cni.cncf.io";
/** Where whereabouts keeps its objects unless the kubeconfig names another namespace. */
const OBJECTS = `/apis/${GROUP}/v1alpha1/namespaces/kube-system`;
const POOL = RANGE.replace("/", "-");
/** Requests at once while the range is filled. */
const WIDTH = 8;
const TEXT = { type: "string" };

/** The kinds that the plugin reads and writes, with what it needs of them. */
const KINDS: readonly Manifest[] = [
  kindOf("IPPool", {
    range: { type: "string" },
    allocations: {
      type: "object",
      additionalProperties: {
        type: "object",
        properties: { id: TEXT, podref: TEXT, ifname: TEXT },
      },
    },
  }),
  kindOf("OverlappingRangeIPReservation", {
    containerid: TEXT,
    podref: TEXT,
    ifname: TEXT,
  }),
];

/** The IPAM plugin whereabouts, as an interface plugin runs it; all settings are its defaults. */
export class WhereaboutsSide implements AddressSide {
  readonly name = "whereabouts";
  readonly #api: Api;
  readonly #program: string;
  readonly #ipam: Readonly<Record<string, unknown>>;

  private constructor(api: Api, program: string, ipam: Readonly<Record<string, unknown>>) {
    this.#api = api;
    this.#program = program;
    this.#ipam = ipam;
  }

  static async start(
    { api, kubeconfig, program, folder }: {
      readonly api: Api;
      readonly kubeconfig: string;
      readonly program: string;
      readonly folder: string;
    },
  ): Promise<WhereaboutsSide> {
    for (const kind of KINDS) await api.apply(kind);
    await until("whereabouts' kinds are served", async () => {
      const plurals = ["ippools", "overlappingrangeipreservations"];
      return await Promise.all(plurals.map((plural) => api.request("GET", `${OBJECTS}/${plural}`)))
        .catch(() => undefined);
    });
    await api.request("POST", `${OBJECTS}/ippools`, {
      apiVersion: `${GROUP}/v1alpha1`,
      kind: "IPPool",
      metadata: { name: POOL },
      spec: { range: RANGE, allocations: {} },
    });
    // The plugin refuses to run without this file.
    const file = join(folder, "whereabouts.conf");
    await Deno.writeTextFile(file, JSON.stringify({ kubernetes: { kubeconfig } }));
    return new WhereaboutsSide(api, program, {
      type: "whereabouts",
      configuration_path: file,
      kubernetes: { kubeconfig },
      range: RANGE,
    });
  }

  async used(): Promise<ReadonlySet<number>> {
    const { spec } = await this.#api.request("GET", `${OBJECTS}/ippools/${POOL}`);
    return new Set(Object.keys(spec.allocations).map(Number));
  }

  async occupy(offsets: readonly number[]): Promise<void> {
    const allocations = Object.fromEntries(offsets.map((offset) => {
      const id = `other-${offset}`;
      return [offset, { id: `sandbox-${id}`, podref: `default/pod-${id}`, ifname: "net1" }];
    }));
    await this.#api.request("PATCH", `${OBJECTS}/ippools/${POOL}`, {
      spec: { allocations },
    }, "application/merge-patch+json");
    const limiter = new Limiter(WIDTH);
    await Promise.all(
      offsets.map((offset) =>
        limiter.run(() =>
          this.#api.request("POST", `${OBJECTS}/overlappingrangeipreservations`, {
            apiVersion: `${GROUP}/v1alpha1`,
            kind: "OverlappingRangeIPReservation",
            metadata: { name: addressAt(offset) },
            spec: { podref: `default/pod-other-${offset}`, ifname: "net1" },
          })
        )
      ),
    );
  }

  attach(attachment: Attachment): Promise<string> {
    return addWith(this.#program, { attachment, ipam: this.#ipam });
  }
}

function kindOf(kind: string, spec: Readonly<Record<string, unknown>>): Manifest {
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular },
      versions: [{
        name: "v1alpha1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: { spec: { type: "object", properties: spec } },
          },
        },
      }],
    },
  };
}
