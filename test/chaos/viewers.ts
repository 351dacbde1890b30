import { setTimeout as sleep } from 'node:timers/promises'
import { followLog, type LogEvent } from '../support/client.js'
import type { Processes } from './processes.js'

const PAUSE_MS = 500
/** A viewer of a log that does not end has no end either. */
const LEAVE_MS = 10_000

/** Follow logs over whichever process is there, and come back with the last seq that they have seen. */
export class Viewers {
  readonly #logs = new Map<string, LogEvent[]>()
  readonly #following: Promise<void>[] = []
  #left = false
  reconnects = 0

  constructor(private readonly processes: Processes) {}

  follow(deploymentId: string): void {
    this.#logs.set(deploymentId, [])
    this.#following.push(this.#follow(deploymentId))
  }

  /** Logs in whole as they were seen; of deployments that are gone, what had come. */
  logs(): ReadonlyMap<string, readonly LogEvent[]> {
    return this.#logs
  }

  async leave(): Promise<void> {
    this.#left = true
    await Promise.race([Promise.all(this.#following), sleep(LEAVE_MS)])
  }

  async #follow(id: string): Promise<void> {
    while (!this.#left) {
      const before = this.#logs.get(id) ?? []
      const keep = (events: LogEvent[]) => {
        this.#logs.set(id, [...before, ...events])
        return this.#left
      }
      const [slot] = this.processes.up
      try {
        if (!slot) throw new Error('nobody is there')
        await followLog(slot.port, id, before.at(-1)?.seq ?? 0, keep)
        return
      } catch (error) {
        if (/no such deployment/i.test((error as Error).message)) return
        this.reconnects++
        await sleep(PAUSE_MS)
      }
    }
  }
}
