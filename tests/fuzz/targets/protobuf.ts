import { type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  NodePrepareResourcesRequestSchema,
  NodeUnprepareResourcesRequestSchema,
} from "../../../proto/gen/dra/dra_v1_pb.ts";
import { NodePrepareResourcesRequestSchema as PrepareV1Beta1 } from "../../../proto/gen/dra/dra_v1beta1_pb.ts";
import {
  InfoRequestSchema,
  RegistrationStatusSchema,
} from "../../../proto/gen/dra/registration_pb.ts";
import { NodeWatchResourcesRequestSchema } from "../../../proto/gen/dra/health_v1_pb.ts";
import {
  ConfigureRequestSchema,
  CreateContainerRequestSchema,
  PodSandboxRequestSchema,
  StateChangeEventSchema,
  SynchronizeRequestSchema,
} from "../../../proto/gen/nri/nri_pb.ts";
import { RequestSchema, ResponseSchema } from "../../../proto/gen/ttrpc/ttrpc_pb.ts";
import { bytesCorpus, toHex } from "../corpus.ts";
import { mutateBytes } from "../mutate_bytes.ts";
import { declared, holds, type Target } from "../target.ts";

/** Every message that comes from outside. */
const SCHEMAS: readonly DescMessage[] = [
  RequestSchema,
  ResponseSchema,
  ConfigureRequestSchema,
  SynchronizeRequestSchema,
  PodSandboxRequestSchema,
  StateChangeEventSchema,
  CreateContainerRequestSchema,
  NodePrepareResourcesRequestSchema,
  NodeUnprepareResourcesRequestSchema,
  PrepareV1Beta1,
  InfoRequestSchema,
  RegistrationStatusSchema,
  NodeWatchResourcesRequestSchema,
];

/** Protobuf messages: what one of the messages takes, written again says the same. */
export async function makeProtobuf(): Promise<Target> {
  const target: Target<Uint8Array> = {
    seeds: await bytesCorpus("protobuf"),
    mutate: mutateBytes,
    attempt(bytes, random) {
      const schema = random.pick(SCHEMAS);
      let message;
      try {
        message = fromBinary(schema, bytes);
      } catch (error) {
        // A TypeError is what text that is no UTF-8 gives.
        declared(error, Error, RangeError, TypeError);
        return;
      }
      const written = toBinary(schema, message);
      const again = toBinary(schema, fromBinary(schema, written));
      holds(toHex(written) === toHex(again), `${schema.typeName} changes when it is written`);
    },
    show: toHex,
  };
  return target as Target;
}
