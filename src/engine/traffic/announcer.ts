import { setTimeout as sleep } from 'node:timers/promises'
import { announceStage, recordConfirmations, applyRoutes, unannouncedStages } from './announce.js'
import type { Services } from '../services.js'
import { PeriodicTask } from '../wakeups/periodic-task.js'

const EVERY_MS = 1_000
/** While something waits to be announced. */
const POLL_MS = 100
/** So many looks after which a router that does not follow is told again. */
const APPLY_EVERY = 20

/**
 * Announces what a switch of traffic has changed, when all routers of this installation have followed it or
 * ROUTER_CONFIRM_SECONDS are over: of this process's deployments, of others', and of those whose worker has died. Every
 * worker does it; each says of its own router whether it has followed.
 */
export class Announcer implements AsyncDisposable {
  readonly #task: PeriodicTask
  readonly #stopping = new AbortController()

  constructor(
    private readonly services: Services,
    everyMs = EVERY_MS,
  ) {
    this.#task = new PeriodicTask({ title: 'announcement', everyMs, run: () => this.runOnce() }, services)
  }

  start(): void {
    this.#task.start('route', 'routed')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#task[Symbol.asyncDispose]()
  }

  /** Until nothing waits any more, or the process stops. */
  async runOnce(): Promise<void> {
    const { database } = this.services
    for (let looks = 0; !this.#stopping.signal.aborted; looks++) {
      const stages = await unannouncedStages(database)
      if (stages.length === 0) return
      if (looks % APPLY_EVERY === 0) await applyRoutes(this.services)
      await recordConfirmations(this.services)
      let waits = false
      for (const stageId of stages) waits = !(await announceStage(stageId, this.services)) || waits
      if (waits) await sleep(POLL_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
    }
  }
}
