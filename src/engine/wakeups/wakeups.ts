import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from '../../logger.js'

/** What a wake-up is about. Each has one method of {@link Wakeups}, which says whose id goes with it. */
export type Topic =
  | 'queue'
  | 'push'
  | 'log'
  | 'deployment'
  | 'app'
  | 'node'
  | 'cancel'
  | 'route'
  | 'routed'
  | 'stage'
  | 'watch'
  | 'viewer'
  | 'output'
  | 'read'
  | 'refs'
  | 'refsAnswer'
type Listener = (id: string) => void

/** Instead of an id: any of them may have changed. */
export const ANY = ''

const CHANNEL = 'longshore'
/**
 * After a NOTIFY, further ones gather: each takes a lock of the whole PostgreSQL instance. They gather for so many times what
 * that one took, so that a server with little to do is told soon and a busy one is left in peace …
 */
const GATHER_TIMES = 4
/** … but for so long at least, and at most. */
const GATHER_MS = { least: 2, most: 10 }
/** PostgreSQL refuses a payload of 8,000 bytes. */
const MAX_PAYLOAD_BYTES = 7_900
const HEARTBEAT_MS = 10_000
const MAX_RECONNECT_MS = 5_000

/**
 * Tells listeners in this and in other processes that something in the database has changed.
 *
 * A wake-up is a hint and carries no data: it may be lost, doubled or late, so whoever waits for one also polls.
 * Listeners of this process are called at once, those of others through NOTIFY a few milliseconds later. After a
 * lost connection every listener is called with an empty id: anything may have changed.
 */
export class Wakeups implements AsyncDisposable {
  readonly #origin = randomBytes(6).toString('hex')
  readonly #listeners = new Map<Topic, Set<Listener>>()
  readonly #outgoing = new Set<string>()
  readonly #closing = new AbortController()
  #client: pg.Client | null = null
  #gathering = false
  #running: Promise<void> = Promise.resolve()

  constructor(
    private readonly url: string,
    private readonly logger: Logger,
  ) {}

  /** Connects; from then on reconnects by itself until disposed. */
  async start(): Promise<void> {
    const first = await this.#connect()
    this.#running = this.#stayConnected(first)
  }

  /** Calls `listener` with the id of each wake-up. Returns what ends it. */
  on(topic: Topic, listener: Listener): () => void {
    const set = this.#listeners.get(topic) ?? new Set<Listener>()
    this.#listeners.set(topic, set.add(listener))
    return () => set.delete(listener)
  }

  // Each is called after the transaction that changed something has been committed.

  /** Deployments wait, or a slot is free. */
  queueChanged(): void {
    this.notify('queue', ANY)
  }

  /** A push is to be compared with what serves. */
  pushReceived(): void {
    this.notify('push', ANY)
  }

  /** Something that is under way is to be cancelled, or to make way. */
  cancelRequested(): void {
    this.notify('cancel', ANY)
  }

  deploymentChanged(deploymentId: string): void {
    this.notify('deployment', deploymentId)
  }

  /** It has ended or serves, and its log has ended. */
  deploymentSettled(deploymentId: string): void {
    this.deploymentChanged(deploymentId)
    this.logGrew(deploymentId)
  }

  /** An app, a stage, or what belongs to it was changed. Deployments have wake-ups of their own. */
  nodeChanged(id: string): void {
    this.notify('node', id)
  }

  /** Its log has new chunks, or an end. */
  logGrew(deploymentId: string): void {
    this.notify('log', deploymentId)
  }

  /** The routers have to read again what requests for the stage go to. */
  trafficMoved(stageId: string): void {
    this.notify('route', stageId)
  }

  /** A router has applied the stage's last switch. */
  switchConfirmed(stageId: string): void {
    this.notify('routed', stageId)
  }

  /** What runs for the stage may be other than what is to run: the reconciler compares. */
  stageChanged(stageId: string): void {
    this.notify('stage', stageId)
  }

  watchBegan(deploymentId: string): void {
    this.notify('watch', deploymentId)
  }

  /** A deleted app is gone with all that ran for it. */
  appRemoved(appId: string): void {
    this.notify('app', appId)
  }

  /** Viewers of runtime logs wait for a worker that follows containers for them. */
  viewersChanged(): void {
    this.notify('viewer', ANY)
  }

  /** There are chunks for a viewer of a runtime log. */
  outputStored(viewerId: string): void {
    this.notify('output', viewerId)
  }

  /** A viewer of a runtime log has read chunks: there is room for more. */
  outputRead(viewerId: string): void {
    this.notify('read', viewerId)
  }

  /** The API asks for the refs of a repository. */
  refsRequested(requestId: string): void {
    this.notify('refs', requestId)
  }

  /** A worker has asked the repository. */
  refsAnswered(requestId: string): void {
    this.notify('refsAnswer', requestId)
  }

  protected notify(topic: Topic, id: string): void {
    this.#deliver(topic, id)
    this.#outgoing.add(`${topic}:${id}`)
    // After this turn, so that what is announced together travels together.
    if (!this.#gathering) queueMicrotask(() => void this.#send())
    this.#gathering = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#client?.end().catch(() => undefined)
    await this.#running
  }

  #deliver(topic: Topic, id: string): void {
    for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener(id)
  }

  async #send(): Promise<void> {
    try {
      while (this.#outgoing.size > 0) {
        const payload = this.#takePayload()
        const sentAt = performance.now()
        await this.#client?.query('SELECT pg_notify($1, $2)', [CHANNEL, payload]).catch(() => undefined)
        const gatherMs = GATHER_TIMES * (performance.now() - sentAt)
        const boundedMs = Math.min(Math.max(gatherMs, GATHER_MS.least), GATHER_MS.most)
        await sleep(boundedMs, undefined, { signal: this.#closing.signal, ref: false })
      }
    } catch {
      this.#outgoing.clear() // disposed
    } finally {
      this.#gathering = false
    }
  }

  #takePayload(): string {
    let payload = this.#origin
    for (const item of this.#outgoing) {
      if (payload.length + 1 + item.length > MAX_PAYLOAD_BYTES) break
      payload += `,${item}`
      this.#outgoing.delete(item)
    }
    return payload
  }

  #receive(payload: string): void {
    const [origin, ...items] = payload.split(',')
    if (origin === this.#origin) return
    for (const item of items) {
      const at = item.indexOf(':')
      this.#deliver(item.slice(0, at) as Topic, item.slice(at + 1))
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      application_name: 'longshore-wakeups',
    })
    client.on('error', () => undefined) // `end` follows, which is what is waited for
    client.on('notification', (message) => this.#receive(message.payload ?? ''))
    await client.connect()
    await client.query(`LISTEN ${CHANNEL}`)
    this.#client = client
    return client
  }

  async #stayConnected(first: pg.Client): Promise<void> {
    let client = first
    for (;;) {
      await this.#untilLost(client)
      if (this.#closing.signal.aborted) return
      this.logger.warn('lost the wake-up connection; polling until it is back')
      const next = await this.#reconnect()
      if (!next) return
      client = next
      this.logger.info('wake-up connection is back')
      for (const topic of this.#listeners.keys()) this.#deliver(topic, ANY)
    }
  }

  /** A half-open connection never ends by itself: a query that is not answered in 5 s ends it. */
  async #untilLost(client: pg.Client): Promise<void> {
    const heartbeat = setInterval(() => {
      client.query('SELECT 1').catch(() => void client.end().catch(() => undefined))
    }, HEARTBEAT_MS)
    heartbeat.unref()
    await new Promise<void>((resolve) => {
      client.once('end', resolve)
      if (this.#closing.signal.aborted) resolve()
    })
    clearInterval(heartbeat)
    this.#client = null
  }

  async #reconnect(): Promise<pg.Client | null> {
    for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, MAX_RECONNECT_MS)) {
      try {
        await sleep(waitMs, undefined, { signal: this.#closing.signal })
      } catch {
        return null
      }
      const client = await this.#connect().catch(() => null)
      if (client) return client
    }
  }
}
