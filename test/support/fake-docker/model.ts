import { randomBytes } from 'node:crypto'
import type { Dialect } from './generations.js'
import type { Program } from './program.js'

export type Labels = Readonly<Record<string, string>>
export type Json = Readonly<Record<string, unknown>>
/** Processors of the host that it says it is on. */
export const CPUS = 2

export type Health = 'starting' | 'healthy' | 'unhealthy'

export interface Healthcheck {
  readonly Test: readonly string[]
  readonly Interval?: number
  readonly Timeout?: number
  readonly Retries?: number
  readonly StartPeriod?: number
}

export interface FakeImage {
  /** `sha256:…` */
  id: string
  tags: string[]
  labels: Record<string, string>
  /** As `8080/tcp`. */
  exposedPorts: string[]
  env: string[]
  cmd: string[]
  healthcheck: Healthcheck | null
  /** Bytes. */
  size: number
  created: Date
  /** What its containers answer a request with. */
  body: string
}

export interface Endpoint {
  readonly network: string
  /** Empty while the container does not run. */
  address: string
  endpointId: string
}

export interface LogLine {
  readonly stream: 1 | 2
  /** With its newline. */
  readonly text: string
  /** Nanoseconds since 1970; each line of an engine has its own. */
  readonly nanos: bigint
}

export interface FakeContainer {
  readonly id: string
  name: string
  /** The reference it was created with. */
  readonly image: string
  readonly imageId: string
  readonly labels: Labels
  readonly env: readonly string[]
  readonly cmd: readonly string[]
  readonly exposedPorts: readonly string[]
  readonly healthcheck: Healthcheck | null
  readonly created: Date
  hostConfig: Record<string, unknown>
  status: 'created' | 'running' | 'restarting' | 'exited'
  /** It runs, frozen. A fake goes on answering. */
  paused: boolean
  exitCode: number
  error: string
  oomKilled: boolean
  restartCount: number
  /** Null: it has no health check. */
  health: Health | null
  failingStreak: number
  startedAt: Date | null
  finishedAt: Date | null
  readonly endpoints: Endpoint[]
  readonly logs: LogLine[]
  /** Somebody asked it to stop: `unless-stopped` does not bring it back. */
  manuallyStopped: boolean
  /** What it does while it runs; made anew at each start. */
  program: Program | null
}

export interface FakeNetwork {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly labels: Labels
  readonly created: Date
}

/** An answer other than success, with the words of the real engine. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

export function newId(): string {
  return randomBytes(32).toString('hex')
}

export function policyOf(container: FakeContainer): string {
  return (container.hostConfig.RestartPolicy as { Name?: string } | undefined)?.Name ?? ''
}

/** True for a container that restarts, too: the real engine says so. */
export function isRunning(container: FakeContainer): boolean {
  return container.status === 'running' || container.status === 'restarting'
}

/** As the engine names its state. */
export function statusOf({ paused, status }: FakeContainer): string {
  return paused ? 'paused' : status
}

export function variable(container: FakeContainer, name: string): string | null {
  const found = container.env.find((entry) => entry.startsWith(`${name}=`))
  return found ? found.slice(name.length + 1) : null
}

/** Everything the engine has; it outlives a restart of the server. */
export class EngineState {
  readonly images = new Map<string, FakeImage>()
  readonly containers = new Map<string, FakeContainer>()
  readonly networks = new Map<string, FakeNetwork>()

  constructor(readonly dialect: Dialect) {
    const drivers = { none: 'null', host: 'host', bridge: 'bridge' }
    for (const [name, driver] of Object.entries(drivers)) this.addNetwork(name, {}, driver)
  }

  addNetwork(name: string, labels: Labels = {}, driver = 'bridge'): FakeNetwork {
    const network = { id: newId(), name, driver, labels, created: new Date() }
    this.networks.set(network.id, network)
    return network
  }

  /** By name, id, or an id's beginning. @throws Refused 404 */
  container(reference: string): FakeContainer {
    const found = findBy(this.containers, reference, (container) => container.name === reference)
    if (!found) throw new Refused(404, `No such container: ${reference}`)
    return found
  }

  /** @throws Refused 404, 400 */
  network(reference: string): FakeNetwork {
    const namesakes = [...this.networks.values()].filter(({ name }) => name === reference).length
    if (namesakes > 1) {
      throw new Refused(400, `network ${reference} is ambiguous (${namesakes} matches found on name)`)
    }
    const found = findBy(this.networks, reference, (network) => network.name === reference)
    if (!found) throw new Refused(404, `network ${reference} not found`)
    return found
  }

  /** For a container that starts. @throws Refused 404, 400 */
  networkFor(reference: string): FakeNetwork {
    try {
      return this.network(reference)
    } catch (error) {
      const { status, message } = error as Refused
      throw new Refused(status, this.dialect.words.unconnected(message))
    }
  }

  /** By tag (`latest` when there is none), id, or an id's beginning. */
  findImage(reference: string): FakeImage | null {
    const tag = withTag(reference)
    for (const image of this.images.values()) if (image.tags.includes(tag)) return image
    const id = reference.replace(/^sha256:/, '')
    if (!/^[0-9a-f]{4,64}$/.test(id)) return null
    return [...this.images.values()].find((image) => image.id.startsWith(`sha256:${id}`)) ?? null
  }

  /** Gives the image the tag, and takes it from the image that had it. */
  tag(image: FakeImage, reference: string): string {
    const tag = checkedReference(reference, this.dialect)
    for (const other of this.images.values()) {
      if (other === image || !other.tags.includes(tag)) continue
      other.tags = other.tags.filter((one) => one !== tag)
      const isGone = other.tags.length === 0 && !this.dialect.keepsUnnamed
      if (isGone && this.containersOf(other).length === 0) this.images.delete(other.id)
    }
    image.tags = image.tags.filter((one) => one !== tag)
    image.tags.push(tag)
    return tag
  }

  containersOf(image: FakeImage): FakeContainer[] {
    return [...this.containers.values()].filter((container) => container.imageId === image.id)
  }
}

export function withTag(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1).includes(':') ? reference : `${reference}:latest`
}

/** @throws Refused 500 on one that the engine could not name an image */
export function checkedReference(reference: string, { words }: Dialect): string {
  const name = withTag(reference)
  if (/^[^:]*[A-Z]/.test(name)) {
    throw new Refused(500, words.badName(name.slice(0, name.lastIndexOf(':'))))
  }
  if (!/^[a-z0-9]+([._/:-]+[a-z0-9]+)*:[\w][\w.-]{0,127}$/.test(name)) {
    throw new Refused(500, 'invalid reference format')
  }
  return name
}

function findBy<T extends { readonly id: string }>(
  all: ReadonlyMap<string, T>,
  reference: string,
  named: (one: T) => boolean,
): T | null {
  const byId = all.get(reference)
  if (byId) return byId
  const values = [...all.values()]
  const byName = values.find(named)
  if (byName) return byName
  const isPrefix = /^[0-9a-f]{4,64}$/.test(reference)
  return (isPrefix && values.find((one) => one.id.startsWith(reference))) || null
}
