import { Client, type ClientOptions, credentials } from "@grpc/grpc-js";
import type { DescMethod, MessageShape } from "@bufbuild/protobuf";
import { methodDefinition } from "./service.ts";

/** Calls gRPC methods at one address, such as `unix:/run/x.sock`. */
export class GrpcClient {
  readonly #client: Client;

  constructor(address: string, options: ClientOptions = {}) {
    this.#client = new Client(address, credentials.createInsecure(), options);
  }

  /** One unary call. Rejects with a ServiceError, also when `timeout` milliseconds have passed. */
  call<M extends DescMethod>(
    method: M,
    request: Partial<MessageShape<M["input"]>>,
    { timeout, signal }: { readonly timeout: number; readonly signal?: AbortSignal },
  ): Promise<MessageShape<M["output"]>> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        // deno-lint-ignore no-explicit-any -- grpc-js knows no message types
        requestSerialize as any,
        responseDeserialize,
        request,
        { deadline: Date.now() + timeout },
        (error, response) => error ? reject(error) : resolve(response as MessageShape<M["output"]>),
      );
      signal?.addEventListener("abort", () => call.cancel(), { once: true });
    });
  }

  /** A server-streaming call; ends when the signal is aborted or the server ends it. */
  async *stream<M extends DescMethod>(
    method: M,
    request: Partial<MessageShape<M["input"]>>,
    signal: AbortSignal,
  ): AsyncGenerator<MessageShape<M["output"]>> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    const call = this.#client.makeServerStreamRequest(
      path,
      // deno-lint-ignore no-explicit-any -- grpc-js knows no message types
      requestSerialize as any,
      responseDeserialize,
      request,
    );
    const cancel = () => call.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      for await (const message of call) yield message;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}
