import type { Readable } from 'node:stream'

const MIB = 1024 * 1024
/** Held for every request, as every other body of the server is. */
const SMALL_BYTES = MIB
/** What forges send at most. */
const MAX_BYTES = 25 * MIB
/** Larger bodies of all apps at once that are held before anybody knows whose they are. */
const MAX_LARGE = 4
/** A larger body that takes longer leaves its place to another. */
const LARGE_MS = 30_000

/** Why a body was not read: it is over 25 MiB, others are being read, or it did not come to its end in time. */
export interface UnreadBody {
  readonly kind: 'too-large' | 'busy' | 'unfinished'
}

/** A request whose body is still to come. */
export interface Incoming {
  readonly appId: string
  readonly payload: Readable
  /** As the request says; null: it does not. */
  readonly length: number | null
}

/**
 * Reads the bodies of requests to webhooks. Who sent one is known only at its end, so that strangers must not have many
 * large ones held: one of each app, four in all, and none of an app that is not there. Such a one is read and forgotten,
 * and answered after the same work, so that nobody learns which apps there are.
 */
export class WebhookBodies {
  readonly #reading = new Set<string>()
  #held = 0
  /** All bodies that are not held, without memory of their own. */
  #nothing: SharedArrayBuffer | null = null

  constructor(private readonly isHooked: (appId: string) => Promise<boolean>) {}

  /** Does `work` with the body of a request. */
  async read<T>(incoming: Incoming, work: (body: Buffer) => Promise<T>): Promise<T | UnreadBody> {
    const { payload, length } = incoming
    if (length !== null && length > MAX_BYTES) return { kind: 'too-large' }
    const pieces: Buffer[] = []
    const end = await take(payload, { limit: SMALL_BYTES, onPiece: (piece) => pieces.push(piece) })
    if (end === 'end') return work(Buffer.concat(pieces))
    return end === 'over' ? this.#readLarge(incoming, pieces, work) : { kind: 'unfinished' }
  }

  async #readLarge<T>(
    { appId, payload }: Incoming,
    pieces: Buffer[],
    work: (body: Buffer) => Promise<T>,
  ): Promise<T | UnreadBody> {
    if (this.#reading.has(appId) || this.#held >= MAX_LARGE) {
      // Who is cut off in the middle of a request hears no answer.
      await take(payload, { limit: MAX_BYTES, timeoutMs: LARGE_MS, onPiece: () => undefined })
      return { kind: 'busy' }
    }
    this.#reading.add(appId)
    const isHeld = await this.isHooked(appId).catch(() => false)
    if (isHeld) this.#held++
    try {
      let bytes = pieces.reduce((sum, { length }) => sum + length, 0)
      if (!isHeld) pieces.length = 0
      const onPiece = (piece: Buffer) => {
        bytes += piece.length
        if (isHeld) pieces.push(piece)
      }
      const end = await take(payload, { limit: MAX_BYTES - bytes, timeoutMs: LARGE_MS, onPiece })
      if (end !== 'end') return { kind: end === 'over' ? 'too-large' : 'unfinished' }
      return await work(isHeld ? Buffer.concat(pieces.splice(0), bytes) : this.#zeros(bytes))
    } finally {
      this.#reading.delete(appId)
      if (isHeld) this.#held--
    }
  }

  #zeros(bytes: number): Buffer {
    this.#nothing ??= new SharedArrayBuffer(MAX_BYTES)
    return Buffer.from(this.#nothing, 0, bytes)
  }
}

interface Taking {
  readonly limit: number
  readonly timeoutMs?: number
  readonly onPiece: (piece: Buffer) => void
}

/** Takes bytes until the stream ends, or is `over` the limit, which leaves it paused. */
function take(
  payload: Readable,
  { limit, timeoutMs, onPiece }: Taking,
): Promise<'end' | 'over' | 'unfinished'> {
  return new Promise((resolve) => {
    let bytes = 0
    const finish = (how: 'end' | 'over' | 'unfinished') => {
      clearTimeout(timer)
      payload.off('data', onData).off('end', onEnd).off('close', onClose).pause()
      resolve(how)
    }
    const onData = (piece: Buffer) => {
      onPiece(piece)
      bytes += piece.length
      if (bytes > limit) finish('over')
    }
    const onEnd = () => finish('end')
    const onClose = () => finish('unfinished')
    const timer = timeoutMs === undefined ? undefined : setTimeout(onClose, timeoutMs)
    if (payload.destroyed) return onClose()
    payload.on('error', () => undefined) // it closes, which is what is looked at
    payload.on('data', onData).once('end', onEnd).once('close', onClose).resume()
  })
}
