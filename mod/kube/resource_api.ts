import type { KubeError } from "./error.ts";

/** The API version of claims and slices that the agent uses. */
export const RESOURCE_API = "resource.k8s.io/v1";

/** What a 404 means where no object with that name was asked for. */
export function notServed(error: KubeError): Error {
  return new Error(
    `the API server does not serve ${RESOURCE_API}: Kubernetes 1.34 or later is needed, with the ` +
      `API enabled (${error.message})`,
    { cause: error },
  );
}
