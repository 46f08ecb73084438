import { Duplex } from "node:stream";

/** Read at once, in bytes. */
const CHUNK = 64 * 1024;

/**
 * A unix connection as a Node stream, for node:http2.
 *
 * node:net, by which one would reach a unix socket, closes every descriptor of one twice in Deno
 * 2.9.3: whatever another thread opened under that number in between is closed with it.
 */
export function unixStream(connection: Deno.UnixConn): Duplex {
  const buffer = new Uint8Array(CHUNK);
  return new Duplex({
    // Who has closed does not read either; node:http2 keeps one forever that did so before it spoke.
    allowHalfOpen: false,
    read() {
      connection.read(buffer).then(
        (count) => this.push(count === null ? null : buffer.slice(0, count)),
        // Closed from this side or broken off: the end, either way.
        () => this.destroy(),
      );
    },
    write(chunk: Uint8Array, _encoding, done) {
      writeAll(connection, chunk).then(() => done(), done);
    },
    final(done) {
      connection.closeWrite().then(() => done(), () => done());
    },
    destroy(error, done) {
      try {
        connection.close();
      } catch {
        // Closed already.
      }
      done(error);
    },
  });
}

async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await connection.write(bytes.subarray(written));
  }
}
