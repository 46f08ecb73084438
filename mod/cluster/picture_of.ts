import { claimViews } from "./claim_views.ts";
import { classViews } from "./class_views.ts";
import { deviceViews } from "./device_views.ts";
import { driversOf, OwnClaims } from "./drivers.ts";
import { eventsByObject } from "./events_by_object.ts";
import { networkViews } from "./network_views.ts";
import { nodeViews } from "./node_views.ts";
import { type ClusterObjects, itemsOf, type Listed, type Unread } from "./objects.ts";
import type { ClusterPicture } from "./picture.ts";
import { podViews } from "./pod_views.ts";

/** What a picture is to be about. */
export interface PictureOptions {
  /** The driver's name; without it those that the agents run with. */
  readonly driver?: string;
  readonly now: Date;
}

/** Puts together what was read of a cluster. What could not be read is missing, and said so. */
export function pictureOf(
  objects: ClusterObjects,
  { driver, now }: PictureOptions,
): ClusterPicture {
  const drivers = driversOf(itemsOf(objects, "AgentPod"), driver);
  const classes = itemsOf(objects, "DeviceClass");
  const own = new OwnClaims(drivers, classes);
  const events = eventsByObject(itemsOf(objects, "Event"));
  const slices = itemsOf(objects, "ResourceSlice").filter((slice) =>
    drivers.includes(slice.driver)
  );
  const pods = itemsOf(objects, "Pod");
  const claims = claimViews(itemsOf(objects, "ResourceClaim"), {
    drivers,
    own,
    pods,
    events,
    nodeOfPool: new Map(slices.map(({ driver, pool, node }) => [`${driver} ${pool}`, node])),
  });
  const classesSeen = classViews(classes, own);
  return {
    takenAt: now.toISOString(),
    drivers,
    nodes: nodeViews({
      nodes: itemsOf(objects, "Node"),
      agents: itemsOf(objects, "AgentPod"),
      slices,
    }),
    devices: deviceViews(slices, claims),
    classes: classesSeen,
    classNames: classes.map(({ name }) => name),
    networks: networkViews(claims, classesSeen),
    claims,
    pods: podViews(pods, {
      claims,
      own,
      allClaims: ifRead(objects.ResourceClaim),
      templates: ifRead(objects.ResourceClaimTemplate),
      events,
    }),
    templates: itemsOf(objects, "ResourceClaimTemplate").filter(({ spec }) => own.has(spec))
      .map(({ namespace, name }) => ({ namespace, name })),
    unread: Object.values(objects).flatMap((listed): Unread[] =>
      listed.state === "unread" ? [listed.unread] : []
    ),
  };
}

function ifRead<T>(listed: Listed<T>): readonly T[] | undefined {
  return listed.state === "read" ? listed.items : undefined;
}
