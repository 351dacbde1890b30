import { Socket } from 'node:net'

/** An answer to what an app no longer reads comes within this, or not at all. */
const ANSWER_MS = 1_000

/**
 * A connection to an app that is read to its end although the app no longer takes what is written: an app that answers
 * 413 and closes has often said so before we hear that it closed. What is written from then on goes nowhere.
 */
export class AppSocket extends Socket {
  #isDeaf = false

  override _write(data: Piece, encoding: BufferEncoding, callback: Callback): void {
    if (this.#isDeaf) callback()
    else super._write(data, encoding, (error) => this.#written(error, callback))
  }

  override _writev(pieces: { chunk: Piece; encoding: BufferEncoding }[], callback: Callback): void {
    if (this.#isDeaf) callback()
    else super._writev?.(pieces, (error) => this.#written(error, callback))
  }

  #written(error: NodeJS.ErrnoException | null | undefined, callback: Callback): void {
    if (this.destroyed || (error?.code !== 'EPIPE' && error?.code !== 'ECONNRESET')) return callback(error)
    this.#isDeaf = true
    const timer = setTimeout(() => {
      // An answer that has begun ends by itself, at the pace of the client.
      if (this.bytesRead === 0) this.destroy(error)
    }, ANSWER_MS)
    this.once('close', () => clearTimeout(timer))
    callback()
  }
}

type Piece = Buffer | string
type Callback = (error?: Error | null) => void
