import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../logger.js'
import { NotificationChannel } from './notification-channel.js'

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

/**
 * After a NOTIFY, further ones gather: each takes a lock of the whole PostgreSQL instance. They gather for so many times what
 * that one took, so that a server with little to do is told soon and a busy one is left in peace …
 */
const GATHER_TIMES = 4
/** … but for so long at least, and at most. */
const GATHER_MS = { least: 2, most: 10 }
/** PostgreSQL refuses a payload of 8,000 bytes. */
const MAX_PAYLOAD_BYTES = 7_900

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
  readonly #channel: NotificationChannel
  #gathering = false

  constructor(url: string, logger: Logger) {
    this.#channel = new NotificationChannel(url, logger, {
      onPayload: (payload) => this.#receive(payload),
      onGap: () => {
        for (const topic of this.#listeners.keys()) this.#deliver(topic, ANY)
      },
    })
  }

  /** Connects; from then on reconnects by itself until disposed. */
  start(): Promise<void> {
    return this.#channel.start()
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
    await this.#channel[Symbol.asyncDispose]()
  }

  #deliver(topic: Topic, id: string): void {
    for (const listener of [...(this.#listeners.get(topic) ?? [])]) listener(id)
  }

  async #send(): Promise<void> {
    try {
      while (this.#outgoing.size > 0) {
        const payload = this.#takePayload()
        const sentAt = performance.now()
        await this.#channel.send(payload)
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
}
