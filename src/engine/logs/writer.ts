import { setTimeout as sleep } from 'node:timers/promises'
import { DeploymentStatus, LogStream } from '../../entities/deployment-status.js'
import { isRefused } from '../sql/errors.js'
import { DeployError, LostClaimError } from '../errors.js'
import { joinLines } from '../quoted-text.js'
import { boundedLine, LineShaper } from './lines.js'
import { LogCap } from './log-cap.js'
import { Redactor } from './redactor.js'
import type { Queryable } from '../sql/queryable.js'
import {
  appendChunks,
  CHUNK_BYTES,
  lastSeqOf,
  type LogChunkInput,
  type OverflowTail,
  type StoredChunk,
} from './store.js'

/** Chunks per insert: with full chunks 1 MiB, after which a further insert costs less than a longer wait. */
const CHUNKS_PER_INSERT = 64
/** More UTF-16 units than this unwritten and the source is paused: the build slows down, memory stays bounded. */
const MAX_PENDING_LENGTH = 1024 * 1024
const RETRY_MS = [50, 200, 500, 1000, 2000] as const

/** Tells whoever follows the log that these chunks are stored. */
export interface LogAnnouncer {
  announce(deploymentId: string, chunks: readonly StoredChunk[]): void
  /** How long to gather before the next insert, given how many watch. Milliseconds. */
  windowMs(deploymentId: string): number
}

export interface LogWriterOptions {
  readonly deploymentId: string
  readonly epoch: number
  /** Values that must not be seen in the log. */
  readonly secrets: readonly string[]
  /** Called once when nothing more will be written: the claim is lost, or PostgreSQL refuses what is to be stored. */
  readonly onStop: (reason: LostClaimError | DeployError) => void
  /** Called once each time that the database goes away; what is written waits for it. */
  readonly onWait?: (error: unknown) => void
}

/**
 * Writes one deployment's log under one claim. The first line of a calm log is inserted at once; what arrives
 * during an insert goes into the next one, so that a busy log needs few.
 *
 * Nothing is announced before it is stored. While the database is away it waits and, past 1 MiB, makes its sources
 * wait; nothing is lost.
 */
export class LogWriter {
  /** The status under which lines are written. */
  phase = DeploymentStatus.CLONING
  readonly #cap = new LogCap()
  #redactor: Redactor
  #secrets: readonly string[]
  readonly #closing = new AbortController()
  #pending: LogChunkInput[] = []
  #pendingLength = 0
  /** Of the last chunk that is pending: lines are joined to it while an insert is under way. */
  #lastBytes = 0
  #lastSeq: number | null = null
  #stopped: LostClaimError | DeployError | null = null
  #pumping: Promise<void> | null = null
  #waiters: (() => void)[] = []

  constructor(
    private readonly database: Queryable,
    private readonly announcer: LogAnnouncer,
    private readonly options: LogWriterOptions,
  ) {
    this.#secrets = options.secrets
    this.#redactor = new Redactor(options.secrets)
  }

  /** From now on these must not be seen either; outputs that are open keep to what they began with. */
  hide(secrets: readonly string[]): void {
    this.#secrets = [...new Set([...this.#secrets, ...secrets])]
    this.#redactor = new Redactor(this.#secrets)
  }

  /** Text that quotes a program or a person, with the values that must not be seen masked. */
  mask(text: string): string {
    return this.#redactor.mask(text)
  }

  /** A line of the engine itself; one line, whatever it quotes. */
  system(text: string): void {
    this.#add(LogStream.SYSTEM, `${boundedLine(joinLines(this.mask(text)))}\n`)
  }

  /** Says that lines are missing that never came here; the log's end says it too. */
  clipped(text: string): void {
    this.#cap.clipped = true
    this.system(text)
  }

  /**
   * A program's output, in pieces of any size. Await `write`: it waits while too much is unwritten.
   *
   * @param prefix what a line begins with, asked when it ends
   */
  output(
    stream: LogStream,
    prefix: () => string = () => '',
  ): { write(bytes: Buffer): Promise<void>; end(): void } {
    const shaper = new LineShaper(this.#secrets, (line) => this.#add(stream, `${prefix()}${line}`))
    return {
      write: async (bytes) => {
        shaper.write(bytes)
        while (this.#pendingLength > MAX_PENDING_LENGTH && !this.#stopped) {
          await new Promise<void>((resolve) => this.#waiters.push(resolve))
        }
      },
      end: () => shaper.end(),
    }
  }

  /** Waits until all that was written so far is stored. @throws LostClaimError, DeployError LOG_REFUSED */
  async flush(): Promise<void> {
    while (this.#pumping) await this.#pumping
    if (this.#stopped) throw this.#stopped
  }

  /** Stores what it can, then gives the overflow tail of a log to be stored with the last chunk. @throws LostClaimError */
  async overflowTail(): Promise<OverflowTail> {
    await this.flush().catch((error: unknown) => {
      // What was refused is why the deployment ends, and its log is still closed.
      if (!(error instanceof DeployError)) throw error
    })
    return this.#cap.overflowTail(this.phase)
  }

  /** Stops retrying; what is not stored is given up. */
  close(): void {
    this.#closing.abort()
  }

  #add(stream: LogStream, text: string): void {
    if (this.#stopped) return
    const line = { at: new Date(), phase: this.phase, stream, text }
    for (const kept of this.#cap.take(line)) this.#gather(kept)
    // Starts after the lines of the same turn have been gathered, so that they share an insert.
    if (!this.#pumping && this.#pending.length > 0) this.#pumping = Promise.resolve().then(() => this.#pump())
  }

  #gather(line: LogChunkInput): void {
    const last = this.#pending.at(-1)
    const bytes = Buffer.byteLength(line.text)
    const joins =
      last?.stream === line.stream && last.phase === line.phase && this.#lastBytes + bytes <= CHUNK_BYTES
    this.#lastBytes = joins ? this.#lastBytes + bytes : bytes
    if (last && joins) this.#pending[this.#pending.length - 1] = { ...last, text: last.text + line.text }
    else this.#pending.push(line)
    this.#pendingLength += line.text.length
  }

  async #pump(): Promise<void> {
    try {
      while (this.#pending.length > 0 && !this.#stopped) {
        const batch = this.#pending.splice(0, CHUNKS_PER_INSERT)
        this.#pendingLength -= batch.reduce((sum, chunk) => sum + chunk.text.length, 0)
        await this.#store(batch)
        for (const wake of this.#waiters.splice(0)) wake()
        const windowMs = this.announcer.windowMs(this.options.deploymentId)
        if (windowMs > 0) await sleep(windowMs)
      }
    } catch (error) {
      this.#stop(error)
    } finally {
      this.#pumping = null
    }
  }

  #stop(error: unknown): void {
    const { deploymentId } = this.options
    this.#stopped = error instanceof DeployError ? error : new LostClaimError(deploymentId)
    this.#pending = []
    this.#pendingLength = 0
    for (const wake of this.#waiters.splice(0)) wake()
    this.options.onStop(this.#stopped)
  }

  async #store(batch: readonly LogChunkInput[]): Promise<void> {
    const { deploymentId, epoch } = this.options
    const { clipped } = this.#cap
    for (let attempt = 0; ; attempt++) {
      try {
        const expectedSeq = this.#lastSeq ?? (await this.#readLastSeq())
        this.#lastSeq = expectedSeq
        const place = { deploymentId, epoch, expectedSeq, clipped }
        const base = await appendChunks(this.database, batch, place)
        if (base === null && !(await this.#wasStored(expectedSeq + batch.length))) {
          throw new LostClaimError(deploymentId)
        }
        this.#lastSeq = expectedSeq + batch.length
        const stored = batch.map((chunk, index) => ({ ...chunk, seq: expectedSeq + index + 1 }))
        this.announcer.announce(deploymentId, stored)
        return
      } catch (error) {
        if (error instanceof LostClaimError || this.#closing.signal.aborted) throw error
        if (isRefused(error)) throw refusal(error)
        if (attempt === 0) this.options.onWait?.(error)
        await sleep(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)], undefined, {
          signal: this.#closing.signal,
        })
      }
    }
  }

  /** A connection that broke after COMMIT was sent: under one epoch there is one writer, so the number tells. */
  async #wasStored(lastSeq: number): Promise<boolean> {
    return (await this.#readLastSeq()) === lastSeq
  }

  async #readLastSeq(): Promise<number> {
    const { deploymentId, epoch } = this.options
    const lastSeq = await lastSeqOf(this.database, deploymentId, epoch)
    if (lastSeq === null) throw new LostClaimError(deploymentId)
    return lastSeq
  }
}

function refusal(error: unknown): DeployError {
  const message = `PostgreSQL refuses to store the log: ${(error as Error).message}. Its own log has the details`
  return new DeployError('LOG_REFUSED', message, { cause: error })
}
