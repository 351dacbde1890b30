import { setTimeout as sleep } from 'node:timers/promises'
import { DeploymentStatus, LogStream } from '../src/entities/deployment-status.js'
import { LostClaimError } from '../src/engine/errors.js'
import { appendChunks } from '../src/engine/logs/store.js'
import { claimNext } from '../src/engine/queue/claim.js'
import { type Claim, settle, transition } from '../src/engine/queue/states.js'
import { TestProcess } from '../test/support/engine.js'
import { until } from '../test/support/server.js'
import type { Longshore } from './longshore.js'

const LOOK_MS = 10

/** A worker that claims, does nothing until its lease is over and the claim another's, and then writes. */
export class Staller implements AsyncDisposable {
  stalled = 0
  tried = 0
  /** Writes that changed something. Must stay 0. */
  accepted = 0
  #loop: Promise<void> = Promise.resolve()
  readonly #stalling = new Set<Promise<void>>()
  #stopped = false

  private constructor(
    private readonly process: TestProcess,
    private readonly leaseMs: number,
    /** Of all claims, how many are to be this one's. */
    private readonly part: number,
  ) {}

  static async open({ installation }: Longshore, leaseMs: number, part: number): Promise<Staller> {
    return new Staller(await TestProcess.open(installation.database), leaseMs, part)
  }

  start(): void {
    this.#loop = this.#run()
  }

  /** Claims no more and waits for the last stale write. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#loop
    await Promise.all(this.#stalling)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.process[Symbol.asyncDispose]()
  }

  async #run(): Promise<void> {
    const { database, wakeups } = this.process
    const options = { workerId: 'staller', leaseMs: this.leaseMs, totalConcurrency: null }
    while (!this.#stopped) {
      await sleep(LOOK_MS)
      const [claims] = await database.query<{ count: number }[]>(
        `SELECT count(*)::int AS count FROM deployment_event WHERE to_status = 'CLONING'`,
      )
      if (this.stalled >= (claims?.count ?? 0) * this.part) continue
      const deployment = await claimNext(database, wakeups, options)
      if (!deployment) continue
      this.stalled++
      const stalling = this.#stall({ deploymentId: deployment.id, epoch: deployment.epoch })
      this.#stalling.add(stalling)
      void stalling.finally(() => this.#stalling.delete(stalling))
    }
  }

  async #stall(claim: Claim): Promise<void> {
    const { database } = this.process
    const sql = 'SELECT 1 FROM deployment WHERE id = $1 AND epoch > $2'
    await sleep(this.leaseMs)
    const values = [claim.deploymentId, claim.epoch]
    await until(async () => (await database.query<unknown[]>(sql, values)).length > 0)
    const settlement = { to: DeploymentStatus.FAILED, text: 'Running although it is another’s' }
    await this.#try(() => transition(database, claim, { to: DeploymentStatus.BUILDING }))
    await this.#try(() => database.transaction((manager) => settle(manager, claim, settlement)))
    await this.#try(async () => {
      const chunk = {
        at: new Date(),
        phase: DeploymentStatus.CLONING,
        stream: LogStream.SYSTEM,
        text: 'stale\n',
      }
      const seq = await appendChunks(database, [chunk], { ...claim, expectedSeq: null })
      if (seq === null) throw new LostClaimError(claim.deploymentId)
    })
  }

  async #try(write: () => Promise<void>): Promise<void> {
    this.tried++
    try {
      await write()
      this.accepted++
    } catch (error) {
      if (!(error instanceof LostClaimError)) throw error
    }
  }
}
