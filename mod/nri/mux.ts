import type { ByteConnection } from "../ttrpc/connection.ts";
import { encodeMessage, MuxDecoder } from "./mux_frame.ts";

/** The connection on which the plugin serves and the runtime calls. */
export const PLUGIN_SERVICE = 1;
/** The connection on which the runtime serves and the plugin calls. */
export const RUNTIME_SERVICE = 2;

/** What a socket must be able to do; a Deno.Conn can. */
export interface Socket {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** More than this waiting to be read on one connection means that nobody reads it. */
const QUEUE_LIMIT = 64 * 1024 * 1024;
/** The approximate overhead of a piece: many empty pieces must count, too. */
const PIECE_COST = 64;
/** More than this waiting to be written means that the other side does not read. */
const WRITE_LIMIT = 16 * 1024 * 1024;
/** What waits costs more than its bytes, about this much: short answers are many. */
const WRITE_COST = 4096;
const READ_SIZE = 64 * 1024;

/** Several connections over one socket. Frames for connections that were not opened are dropped. */
export class Mux {
  readonly #socket: Socket;
  readonly #inboxes = new Map<number, Inbox>();
  #writing: Promise<void> = Promise.resolve();
  /** Bytes that wait to be written. */
  #unwritten = 0;
  #closed = false;
  /** Gives up the write that is in progress. */
  #breakOff = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Opens a connection; nothing is sent. */
  open(id: number): ByteConnection {
    const inbox = new Inbox();
    if (this.#closed) inbox.end();
    this.#inboxes.set(id, inbox);
    return { incoming: inbox, write: (message) => this.#write(encodeMessage(id, message)) };
  }

  /** Reads until the socket's end. Rejects when that comes in the middle of a frame, or on nonsense. */
  async run(): Promise<void> {
    const decoder = new MuxDecoder();
    const buffer = new Uint8Array(READ_SIZE);
    try {
      for (;;) {
        const length = await this.#read(buffer);
        if (length === null) break;
        for (const { connection, payload } of decoder.push(buffer.subarray(0, length))) {
          this.#inboxes.get(connection)?.put(payload);
        }
      }
      if (decoder.midFrame && !this.#closed) {
        throw new Error("the connection ended in the middle of a frame");
      }
    } finally {
      this.close();
    }
  }

  /** Closes the socket and ends all connections. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    this.#breakOff();
    for (const inbox of this.#inboxes.values()) inbox.end();
  }

  async #read(buffer: Uint8Array): Promise<number | null> {
    try {
      return await this.#socket.read(buffer);
    } catch (error) {
      // Closing from our side makes the read in progress fail.
      if (this.#closed) return null;
      throw error;
    }
  }

  #write(bytes: Uint8Array): Promise<void> {
    const cost = bytes.length + WRITE_COST;
    this.#unwritten += cost;
    // The reading side then ends, and the session with it.
    if (this.#unwritten > WRITE_LIMIT) this.close();
    const written = this.#writing.then(async () => {
      for (let offset = 0; offset < bytes.length;) {
        if (this.#closed) throw new Error("the connection is closed");
        offset += await this.#writeSome(bytes.subarray(offset));
      }
    }).finally(() => this.#unwritten -= cost);
    this.#writing = written.catch(() => {});
    return written;
  }

  /** Closing the socket does not end a write that the other side keeps waiting, and all waits behind it. */
  #writeSome(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#breakOff = () => reject(new Error("the connection is closed"));
      this.#socket.write(bytes).then(resolve, reject);
    });
  }
}

/** What has come on one connection and was not read yet. */
class Inbox implements AsyncIterable<Uint8Array> {
  readonly #pieces: Uint8Array[] = [];
  #size = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  put(piece: Uint8Array): void {
    if (this.#ended) return;
    this.#size += piece.length + PIECE_COST;
    if (this.#size > QUEUE_LIMIT) throw new RangeError("a connection's queue is full");
    this.#pieces.push(piece);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) {
        this.#size -= piece.length + PIECE_COST;
        yield piece;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = undefined;
      }
    }
  }
}
