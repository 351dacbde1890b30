import { PeriodicTask } from '../wakeups/periodic-task.js'
import { ANY } from '../wakeups/wakeups.js'
import { type FeedDependencies, ViewerFeed } from './feed.js'
import { claimViewers, deleteExpired, releaseClaims, renewClaims } from './store.js'

/** Claims are renewed this often, and lost after 8 s. */
const EVERY_MS = 2_000
/** Each holds a connection to the Docker engine for each container; beyond it viewers wait, or another worker takes them. */
const MAX_VIEWERS = 200

/** Reads for viewers of any API process what their stages' containers write. Runs in the worker, which has Docker. */
export class RuntimeLogFollower implements AsyncDisposable {
  readonly #feeds = new Map<string, ViewerFeed>()
  readonly #task: PeriodicTask
  #stopListening: (() => void)[] = []

  constructor(
    private readonly dependencies: FeedDependencies,
    private readonly workerId: string,
  ) {
    const work = { title: 'following runtime logs', everyMs: EVERY_MS, run: () => this.#runOnce() }
    this.#task = new PeriodicTask(work, dependencies)
  }

  start(): void {
    const { wakeups } = this.dependencies
    this.#stopListening = [
      wakeups.on('read', (id) => this.#feeds.get(id)?.hasRead()),
      wakeups.on('route', (stageId) => this.#notifyFeeds(stageId)),
    ]
    this.#task.start('viewer')
  }

  /** Others may take its viewers at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stopListening) stop()
    await this.#task[Symbol.asyncDispose]()
    await Promise.all([...this.#feeds.values()].map((feed) => feed[Symbol.asyncDispose]()))
    await releaseClaims(this.dependencies.database, this.workerId).catch(() => undefined)
    this.dependencies.wakeups.viewersChanged()
  }

  async #runOnce(): Promise<void> {
    const { database } = this.dependencies
    const ours = await renewClaims(database, this.workerId)
    for (const [id, feed] of this.#feeds) {
      if (ours.get(id) === feed.viewer.epoch) continue
      this.#feeds.delete(id)
      await feed[Symbol.asyncDispose]()
    }
    await deleteExpired(database)
    for (const viewer of await claimViewers(database, this.workerId, MAX_VIEWERS - this.#feeds.size)) {
      this.#feeds.set(viewer.id, new ViewerFeed(this.dependencies, viewer))
    }
  }

  #notifyFeeds(stageId: string): void {
    for (const feed of this.#feeds.values()) {
      if (stageId === ANY || feed.viewer.stageId === stageId) feed.trafficMoved()
    }
  }
}
