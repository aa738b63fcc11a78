/**
 * Standard output with back-pressure. What is added is collected and written in pieces of about 64 KiB; `flush` waits
 * until the piece has been taken, so that a slow reader slows the command down and memory stays bounded.
 *
 * A reader that goes away (`varve cat | head`) ends the command quietly: BrokenPipe is thrown, which main.ts turns into
 * exit code 0.
 */
const PIECE_BYTES = 65536;

/** The reader of standard output has gone. */
export class BrokenPipe extends Error {}

export class Output {
  private readonly stream: NodeJS.WritableStream;
  private parts: Uint8Array[] = [];
  private size = 0;
  private failure: NodeJS.ErrnoException | undefined;

  constructor(stream: NodeJS.WritableStream) {
    this.stream = stream;
    // Without a listener the error would end the process with a stack.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error;
    });
  }

  /** Adds bytes, which must not change before the next flush, or text; whether it is time to flush. */
  add(data: Uint8Array | string): boolean {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    this.parts.push(bytes);
    this.size += bytes.length;
    return this.size >= PIECE_BYTES;
  }

  /** Adds a line and flushes when it is time. */
  async line(text = ''): Promise<void> {
    if (this.add(`${text}\n`)) await this.flush();
  }

  /** Adds an object as one line of JSON. */
  json(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value));
  }

  /** Writes what was added and waits until it is taken. Throws BrokenPipe, or what the system says. */
  async flush(): Promise<void> {
    if (this.failure !== undefined) throw broken(this.failure);
    if (this.size === 0) return;
    const piece = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts, this.size);
    this.parts = [];
    this.size = 0;
    await new Promise<void>((resolve, reject) => {
      this.stream.write(piece, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(broken(error));
      });
    });
  }
}

function broken(error: NodeJS.ErrnoException): Error {
  return error.code === 'EPIPE' ? new BrokenPipe() : error;
}
