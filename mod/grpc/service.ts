import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** What @grpc/grpc-js needs to know of a service, from its generated description. */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [method.localName, methodDefinition(method)]),
  );
}

/** What @grpc/grpc-js needs to know of one method. */
export function methodDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  const { input, output } = method;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: method.methodKind === "server_streaming",
    // A message without its type's mark, as handlers make them, is completed.
    requestSerialize: (message) => Buffer.from(toBinary(input, create(input, message))),
    requestDeserialize: (bytes) => fromBinary(input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(output, create(output, message))),
    responseDeserialize: (bytes) => fromBinary(output, bytes),
  };
}
