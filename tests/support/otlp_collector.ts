/** A span as OTLP has it in JSON. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: { stringValue: string } }[];
  readonly status: { readonly code: number; readonly message?: string };
}

/** An OTLP receiver on loopback that keeps what arrives. */
export class OtlpCollector implements AsyncDisposable {
  readonly requests: {
    readonly path: string;
    readonly resource: string[];
    readonly spans: Span[];
  }[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  answer: () => Response | Promise<Response> = () => Response.json({});

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const { resourceSpans: [{ resource, scopeSpans }] } = await request.json();
        this.requests.push({
          path: `${request.method} ${new URL(request.url).pathname}`,
          resource: described(resource.attributes),
          spans: scopeSpans.flatMap(({ spans }: { spans: Span[] }) => spans),
        });
        return await this.answer();
      },
    );
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  get spans(): Span[] {
    return this.requests.flatMap(({ spans }) => spans);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** `key=value` of each. */
export function described(attributes: Span["attributes"]): string[] {
  return attributes.map(({ key, value }) => `${key}=${value.stringValue}`);
}
