import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../src/config.js'
import { openCore } from '../../src/core.js'
import { Disposal } from '../../src/disposal.js'
import { LostClaimError } from '../../src/engine/errors.js'
import { createLogger } from '../../src/logger.js'
import { startWorker } from '../../src/worker.js'
import { Activity, Wire } from './wire.js'

let count = 0

/**
 * A worker in the test's own process that dies at a point of its work as from SIGKILL: from that moment on nothing it
 * does reaches the database or Docker, and it hears of nothing. `faults/kill` shows with real processes that this is true.
 */
export class SimulatedWorker implements AsyncDisposable {
  readonly died: Promise<void>
  #point: string | null = null
  #isDead = false
  #sayDead: () => void = () => undefined

  private constructor(
    private readonly wires: readonly Wire[],
    private readonly opened: Disposal,
  ) {
    this.died = new Promise((resolve) => (this.#sayDead = resolve))
  }

  /** @param env its settings; it reaches the database and Docker by wires that are cut when it dies */
  static async start(env: Readonly<Record<string, string>>, dockerSocket: string): Promise<SimulatedWorker> {
    const server = new URL(env.DATABASE_URL ?? '')
    const socket = join(env.DATA_DIR ?? '', `docker-${++count}.sock`)
    const activity = new Activity()
    const target = { host: server.hostname, port: Number(server.port) }
    const postgres = await Wire.open(target, activity, { port: 0 })
    const docker = await Wire.open({ path: dockerSocket }, activity, { path: socket })
    server.hostname = '127.0.0.1'
    server.port = String(postgres.port)
    const opened = new Disposal()
    opened.defer(() => rmSync(socket, { force: true }))
    opened.use(postgres)
    opened.use(docker)
    const settings = {
      ...env,
      DATABASE_URL: server.href,
      DOCKER_HOST: `unix://${socket}`,
      STOP_GRACE_SECONDS: '0',
    }
    const core = opened.use(await openCore(readConfig(settings), SILENT))
    const worker = new SimulatedWorker([postgres, docker], opened)
    const failpoint = (reached: string) => {
      if (reached === worker.#point && !worker.#isDead) worker.#die()
      // A log waits for the database for as long as it takes, which for a dead process is for ever.
      if (worker.#isDead) core.database.query = () => Promise.reject(deadProcess())
      if (worker.#isDead) throw deadProcess()
    }
    opened.use(await startWorker(core, failpoint))
    return worker
  }

  /** It dies when it next comes to `point`. */
  dieAt(point: string): void {
    this.#point = point
  }

  /** What its code still tries fails; resolves when it has given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#die()
    await this.opened[Symbol.asyncDispose]().catch(() => undefined)
  }

  #die(): void {
    this.#isDead = true
    for (const wire of this.wires) wire.cut()
    this.#sayDead()
  }
}

const SILENT = createLogger('error')

function deadProcess(): LostClaimError {
  return new LostClaimError('of a dead process')
}
