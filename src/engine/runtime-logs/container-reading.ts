import { setTimeout as sleep } from 'node:timers/promises'
import { LogStream } from '../../entities/deployment-status.js'
import type { DeploymentPosition } from '../../entities/runtime-log-viewer.js'
import type { ContainerLog, ContainerOutput, Docker } from '../docker/docker.js'
import type { Outbox } from './outbox.js'
import { SkipDetector } from './skip-detector.js'
import { StallDetector } from './stall-detector.js'
import { type ReadDeployment, STREAMS, StreamReading } from './stream-reading.js'

/** What a reading needs of a viewer's {@link Outbox}. */
export type ReadingOutbox = Pick<Outbox, 'places' | 'add' | 'advance' | 'untilRoom'>

/** A container whose log is read, and where it goes. */
export interface ReadContainer {
  readonly docker: Docker
  readonly deployment: ReadDeployment
  readonly name: string
  readonly outbox: ReadingOutbox
}

/** A log is opened anew no more often: the engine reads up to 30 MB each time. */
const REOPEN_MS = 1_000
/** Messages at the end of a log that are looked at where something may be missing. */
const LOOKED_AT = 200
const MISSING =
  '--- lines may be missing here: the Docker engine deleted the oldest file of this log before it was read ---\n'

/**
 * Reads what a container writes from the viewer's place on, cleaned and masked, into its outbox: to its present end,
 * or with `follow` until the container ends. Stops without an error when `signal` aborts; what was not given out by
 * then is read again the next time.
 *
 * The engine's own way to follow a log is not to be trusted when its files rotate: it repeats, skips, and may stand
 * still for ever. Here repeats are left out; where something is skipped or nothing comes any more the log is opened
 * anew, and what is gone by then is announced.
 *
 * @throws InfrastructureError when the Docker engine is away
 */
export async function readContainer(
  container: ReadContainer,
  follow: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { deployment, outbox } = container
  const place = outbox.places?.find(({ deploymentId }) => deploymentId === deployment.id)
  if (!place) return
  try {
    await new ContainerReading(container, place, signal).read(follow)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

class ContainerReading {
  readonly #streams: Record<(typeof STREAMS)[number], StreamReading>
  readonly #skips = new SkipDetector()

  constructor(
    private readonly container: ReadContainer,
    place: DeploymentPosition,
    private readonly signal: AbortSignal,
  ) {
    const { deployment, name, outbox } = container
    const reading = (stream: (typeof STREAMS)[number]) =>
      new StreamReading({ deployment, container: name, stream }, place, outbox)
    this.#streams = { STDOUT: reading('STDOUT'), STDERR: reading('STDERR') }
  }

  async read(follow: boolean): Promise<void> {
    for (;;) {
      const stop = new AbortController()
      const query = { tail: null, since: this.#since(), follow }
      const { docker, name } = this.container
      const log = await docker.containerLogs(name, query, AbortSignal.any([this.signal, stop.signal]))
      if (!log) return
      const isWhole = await (follow ? this.#follow(log, stop) : this.#takeAll(log))
      if (this.signal.aborted) return
      if (isWhole) return this.#end()
      await sleep(REOPEN_MS, undefined, { signal: this.signal })
      const latest = this.#latestReached()
      for (const stream of STREAMS) this.#streams[stream].restart(latest)
    }
  }

  async #takeAll(log: ContainerLog): Promise<boolean> {
    const latest = this.#latestReached()
    let isFirst = true
    for await (const message of log) {
      if (isFirst) this.#announceGap(message, latest, log.createdAt)
      isFirst = false
      await this.#take(message)
      if (this.signal.aborted) return false
    }
    return true
  }

  /** False: the engine has left something out, or gives nothing any more. */
  async #follow(log: ContainerLog, stop: AbortController): Promise<boolean> {
    const latest = this.#latestReached()
    const since = this.#since() ?? ''
    using stall = new StallDetector(
      () => this.#isBehind(since),
      () => stop.abort(),
    )
    let isFirst = true
    let isFirstNew = true
    stall.begin()
    try {
      for await (const message of log) {
        stall.end()
        if (this.signal.aborted) return false
        if (isFirst) this.#announceGap(message, latest, log.createdAt)
        isFirst = false
        if (message.at > latest) {
          // The first one is read from the files, as they are.
          if (!isFirstNew && this.#skips.isSuspect(message) && !(await this.#isNext(message))) return false
          isFirstNew = false
          this.#skips.add(message)
        }
        const reading = this.#streams[message.stream]
        if (reading.goesBack(message) && (await this.#isOld(message))) reading.restart(reading.at)
        await this.#take(message)
        stall.begin()
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error
    }
    return !stop.signal.aborted
  }

  async #take(message: ContainerOutput): Promise<void> {
    this.#streams[message.stream].take(message)
    await this.container.outbox.untilRoom()
  }

  #end(): void {
    for (const stream of STREAMS) this.#streams[stream].end()
    const latest = STREAMS.map((stream) => this.#streams[stream].at).reduce((one, other) =>
      one > other ? one : other,
    )
    for (const stream of STREAMS) this.#streams[stream].catchUp(latest)
  }

  /** The earlier of where its two streams stand; null: the beginning. */
  #since(): string | null {
    const [one, other] = STREAMS.map((stream) => this.#streams[stream].reached.at).sort()
    return one === '' || other === '' ? null : (one ?? null)
  }

  /** When the latest message was written that has been read; empty: none was. */
  #latestReached(): string {
    const read = STREAMS.map((stream) => this.#streams[stream].reached).filter(({ seen }) => seen > 0)
    return (
      read
        .map(({ at }) => at)
        .sort()
        .at(-1) ?? ''
    )
  }

  /** A log that begins behind all that has been read of it was cut off at its beginning, or is of another container. */
  #announceGap(first: ContainerOutput, latest: string, createdAt: Date): void {
    if (latest === '' || first.at <= latest || createdAt.getTime() > Date.parse(latest)) return
    const line = {
      deploymentId: this.container.deployment.id,
      at: new Date(first.at),
      stream: LogStream.SYSTEM,
    }
    this.container.outbox.add({ ...line, text: MISSING }, null)
  }

  /** Whether `message` is the one behind the last that was read, as far as the end of the log tells. */
  async #isNext(message: ContainerOutput): Promise<boolean> {
    const times = await lastTimes(this.container, LOOKED_AT, this.signal)
    const place = times.lastIndexOf(message.at)
    return place > 0 && times[place - 1] === this.#skips.beforeAt
  }

  /** Whether the container has written what has not come. */
  async #isBehind(since: string): Promise<boolean> {
    const at = await this.#lastWrittenAt()
    return at > since && STREAMS.every((stream) => this.#streams[stream].reached.at !== at)
  }

  /** Of a message that is older than the one before it: whether it was given before, or the clock was set back. */
  async #isOld(message: ContainerOutput): Promise<boolean> {
    return (await this.#lastWrittenAt()) >= this.#streams[message.stream].at
  }

  /** Empty: nothing is there. */
  async #lastWrittenAt(): Promise<string> {
    return (await lastTimes(this.container, 1, this.signal)).at(-1) ?? ''
  }
}

/**
 * From when on the last `tail` lines of several containers together were written. Null: they have no more than that.
 * Keeps their times only: a line may be long.
 */
export async function startOfTail(
  docker: Docker,
  { containers, tail }: { readonly containers: readonly string[]; readonly tail: number },
  signal: AbortSignal,
): Promise<string | null> {
  const times: string[] = []
  for (const name of containers) times.push(...(await lastTimes({ docker, name }, tail, signal)))
  return times.length < tail ? null : (times.sort().at(-tail) ?? null)
}

/** When the last `count` messages of a container were written. */
async function lastTimes(
  { docker, name }: Pick<ReadContainer, 'docker' | 'name'>,
  count: number,
  signal: AbortSignal,
): Promise<string[]> {
  const times: string[] = []
  const log = await docker.containerLogs(name, { tail: count, since: null, follow: false }, signal)
  for await (const { at } of log ?? []) times.push(at)
  return times
}
