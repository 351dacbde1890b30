import { LogSource } from '../../entities/deployment-status.js'
import type { DeploymentPlace, StreamPosition } from '../../entities/runtime-log-viewer.js'
import type { ContainerOutput, Docker } from '../docker/docker.js'
import { LineShaper } from '../logs/lines.js'
import type { Outbox } from './outbox.js'

/** A deployment as its containers' output is read. */
export interface ReadDeployment {
  readonly id: string
  /** Names of its containers. */
  readonly containers: readonly string[]
  /** Values that must not be seen. */
  readonly secrets: readonly string[]
}

const STREAMS = ['STDOUT', 'STDERR'] as const
/** The two streams of a container may be out of step by much less than this. */
const OUT_OF_STEP_MS = 1_000

/**
 * Reads what a container writes from the viewer's place on, cleaned and masked, into its outbox: to its present end,
 * or with `follow` until the container ends. Stops without an error when `signal` aborts; what was not given out by
 * then is read again the next time.
 *
 * @throws InfrastructureError when the Docker engine is away
 */
export async function readContainer(
  docker: Docker,
  deployment: ReadDeployment,
  name: string,
  follow: boolean,
  outbox: Outbox,
  signal: AbortSignal,
): Promise<void> {
  const place = outbox.places?.find(({ deploymentId }) => deploymentId === deployment.id)
  if (!place) return
  const query = { tail: null, since: sinceOf(place, name), follow }
  try {
    const output = await docker.containerLogs(name, query, signal)
    if (!output) return
    const readings = {
      STDOUT: new StreamReading(deployment, place, name, 'STDOUT', outbox),
      STDERR: new StreamReading(deployment, place, name, 'STDERR', outbox),
    }
    for await (const message of output) {
      readings[message.stream].take(message)
      await outbox.untilRoom()
      if (signal.aborted) return
    }
    for (const stream of STREAMS) readings[stream].end()
    const latest = STREAMS.map((stream) => readings[stream].at).reduce((one, other) =>
      one > other ? one : other,
    )
    for (const stream of STREAMS) readings[stream].catchUp(latest)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** The earlier of where its two streams stand; null: the beginning. */
function sinceOf({ from, shown }: DeploymentPlace, container: string): string | null {
  const starts = STREAMS.map((stream) => shown[keyOf(container, stream)]?.at ?? from)
  return starts.reduce((least, at) => (least === null || at === null ? null : at < least ? at : least))
}

function keyOf(container: string, stream: string): string {
  return `${container}/${stream}`
}

/** One stream of one container. Within it times never go back; between the two of a container they may. */
class StreamReading {
  readonly #shaper: LineShaper
  readonly #key: string
  readonly #start: StreamPosition
  #position: StreamPosition = { at: '', seen: 0 }
  #isBehindStart = true
  #lines: string[] = []

  constructor(
    private readonly deployment: ReadDeployment,
    place: DeploymentPlace,
    container: string,
    private readonly stream: 'STDOUT' | 'STDERR',
    private readonly outbox: Outbox,
  ) {
    this.#key = keyOf(container, stream)
    this.#start = place.shown[this.#key] ?? { at: place.from ?? '', seen: 0 }
    this.#shaper = new LineShaper(deployment.secrets, (line) => this.#lines.push(line))
  }

  /** When its last message was written; empty: there was none. */
  get at(): string {
    return this.#position.at
  }

  take({ at, bytes }: ContainerOutput): void {
    this.#position = { at, seen: at === this.#position.at ? this.#position.seen + 1 : 1 }
    if (this.#wasShown()) return
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
    if (latest === '') return
    const at = earlier(latest, OUT_OF_STEP_MS)
    if (at <= this.#position.at || at <= this.#start.at) return
    this.outbox.advance(this.deployment.id, { key: this.#key, position: { at, seen: 0 } })
  }

  /** What the engine gives from the start's time on includes what was shown of that time. */
  #wasShown(): boolean {
    const { at, seen } = this.#position
    // Not looked at any more after the first new message: clocks are set back at times.
    this.#isBehindStart &&= at < this.#start.at || (at === this.#start.at && seen <= this.#start.seen)
    return this.#isBehindStart
  }

  #give(isWhole: boolean): void {
    const lines = this.#lines.splice(0)
    const at = new Date(this.#position.at)
    for (const [index, text] of lines.entries()) {
      const isLast = index === lines.length - 1
      const shown = isWhole && isLast ? { key: this.#key, position: this.#position } : null
      this.outbox.add({ deploymentId: this.deployment.id, at, stream: LogSource[this.stream], text }, shown)
    }
  }
}

function earlier(at: string, ms: number): string {
  const seconds = new Date(Date.parse(`${at.slice(0, 19)}Z`) - ms).toISOString().slice(0, 19)
  return `${seconds}${at.slice(19)}`
}

/**
 * From when on the last `tail` lines of several containers together were written. Null: they have no more than that.
 * Keeps their times only: a line may be long.
 */
export async function startOfTail(
  docker: Docker,
  containers: readonly string[],
  tail: number,
  signal: AbortSignal,
): Promise<string | null> {
  const times: string[] = []
  for (const name of containers) {
    const output = await docker.containerLogs(name, { tail, since: null, follow: false }, signal)
    for await (const { at } of output ?? []) times.push(at)
  }
  return times.length < tail ? null : (times.sort().at(-tail) ?? null)
}
