import { LogStream } from '../../entities/deployment-status.js'
import type { DeploymentPosition, StreamPosition } from '../../entities/runtime-log-viewer.js'
import type { ContainerOutput } from '../docker/docker.js'
import { LineShaper } from '../logs/lines.js'
import type { Outbox } from './outbox.js'
import { isUpTo, positionIn } from './positions.js'

/** A deployment as its containers' output is read. */
export interface ReadDeployment {
  readonly id: string
  /** What was written up to here is read and no more. Null: all of it. */
  readonly until: DeploymentPosition | null
  /** Names of its containers. */
  readonly containers: readonly string[]
  /** Values that must not be seen. */
  readonly secrets: readonly string[]
}

/** One of the two streams of a container. */
export interface ReadStream {
  readonly deployment: ReadDeployment
  readonly container: string
  readonly stream: 'STDOUT' | 'STDERR'
}

export const STREAMS = ['STDOUT', 'STDERR'] as const
/** The two streams of a container may be out of step by much less than this. */
const OUT_OF_STEP_MS = 1_000
const NEWLINE = 0x0a

/** One stream of one container. Within it times never go back; between the two of a container they may. */
export class StreamReading {
  readonly #shaper: LineShaper
  readonly #key: string
  #start: StreamPosition
  readonly #until: StreamPosition | null
  #position: StreamPosition = { at: '', seen: 0 }
  #isBehindStart = true
  #last: Buffer = Buffer.alloc(0)
  #lines: string[] = []

  constructor(
    private readonly of: ReadStream,
    place: DeploymentPosition,
    private readonly outbox: Pick<Outbox, 'add' | 'advance'>,
  ) {
    const { deployment, container, stream } = of
    this.#key = `${container}/${stream}`
    this.#start = positionIn(place, this.#key)
    this.#until = deployment.until && positionIn(deployment.until, this.#key)
    this.#shaper = new LineShaper(deployment.secrets, (line) => this.#lines.push(line))
  }

  /** When its last message was written; empty: there was none. */
  get at(): string {
    return this.#position.at
  }

  /** How far it has been read, by this reading or one before it; at empty: from the beginning. */
  get reached(): StreamPosition {
    return this.#isBehindStart ? this.#start : this.#position
  }

  /** What comes next begins at or before what has been read, `latest` in both streams: that much of it is left out. */
  restart(latest: string): void {
    this.#start = this.reached
    const at = latest === '' ? '' : earlier(latest, OUT_OF_STEP_MS)
    if (at > this.#start.at) this.#start = { at, seen: 0 }
    this.#position = { at: '', seen: 0 }
    this.#isBehindStart = true
  }

  /** Whether a message is older than the one before it. */
  goesBack({ at }: ContainerOutput): boolean {
    return !this.#isBehindStart && at < this.#position.at
  }

  /** Whole lines never have the same nanosecond: one that comes again in it is a repeat. Pieces of a line have it. */
  take({ at, bytes }: ContainerOutput): void {
    if (at === this.#position.at && bytes.at(-1) === NEWLINE && bytes.equals(this.#last)) return
    this.#last = bytes
    this.#position = { at, seen: at === this.#position.at ? this.#position.seen + 1 : 1 }
    if (this.#wasShown() || (this.#until && !isUpTo(this.#until, this.#position))) return
    this.#shaper.write(bytes)
    this.#give(this.#shaper.isEmpty)
  }

  end(): void {
    this.#shaper.end()
    this.#give(true)
  }

  /**
   * After the end, when the other stream was last written to at `latest`: one that is silent stands there as well, or
   * everything since its last line would be read again each time that the container starts.
   */
  catchUp(latest: string): void {
    if (latest === '' || this.#until) return
    const at = earlier(latest, OUT_OF_STEP_MS)
    if (at <= this.#position.at || at <= this.#start.at) return
    this.outbox.advance(this.of.deployment.id, { key: this.#key, position: { at, seen: 0 } })
  }

  /** What the engine gives from the start's time on includes what was shown of that time. */
  #wasShown(): boolean {
    const { at, seen } = this.#position
    // Not looked at any more after the first new message: clocks are set back at times.
    this.#isBehindStart &&= isUpTo(this.#start, { at, seen })
    return this.#isBehindStart
  }

  #give(isWhole: boolean): void {
    const lines = this.#lines.splice(0)
    const at = new Date(this.#position.at)
    for (const [index, text] of lines.entries()) {
      const isLast = index === lines.length - 1
      const shown = isWhole && isLast ? { key: this.#key, position: this.#position } : null
      this.outbox.add(
        { deploymentId: this.of.deployment.id, at, stream: LogStream[this.of.stream], text },
        shown,
      )
    }
  }
}

function earlier(at: string, ms: number): string {
  const seconds = new Date(Date.parse(`${at.slice(0, 19)}Z`) - ms).toISOString().slice(0, 19)
  return `${seconds}${at.slice(19)}`
}
