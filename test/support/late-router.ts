import type { DataSource } from 'typeorm'
import { readConfig } from '../../src/config.js'
import { openCore } from '../../src/core.js'
import { Disposal } from '../../src/disposal.js'
import { createLogger } from '../../src/logger.js'
import { type StartedWorker, startWorker } from '../../src/worker.js'
import type { Scene } from './scene.js'

/** Holds back what the database says of switches. */
export class RouteGate {
  #opened: Promise<void> = Promise.resolve()
  #open: () => void = () => undefined
  /** What the router was last told, in short. */
  #last = ''

  /** From the next switch on. */
  close(): void {
    this.#opened = new Promise((resolve) => (this.#open = resolve))
  }

  open(): void {
    this.#open()
  }

  /** A database whose answers to a router pass the gate where they show another switch than the one before. */
  guard(database: DataSource): DataSource {
    const query = async (sql: string, values?: unknown[]) => {
      const rows = await database.query<unknown>(sql, values)
      if (!/s\.route_epoch, s\.current_deployment_id/.test(sql)) return rows
      const now = JSON.stringify(switchesOf(rows as Row[]))
      if (now !== this.#last) await this.#opened
      this.#last = now
      return rows
    }
    return new Proxy(database, {
      get: (target, name) => {
        if (name === 'query') return query
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  }
}

interface Row {
  readonly current_deployment_id: string | null
  readonly targets: readonly { readonly deploymentId: string }[]
}

/** What the stages answer with. */
function switchesOf(rows: readonly Row[]): string[] {
  return rows.flatMap(({ current_deployment_id: current, targets }) =>
    targets.filter(({ deploymentId }) => deploymentId === current).map(({ deploymentId }) => deploymentId),
  )
}

/** A worker in the test's own process whose router hears of switches through a gate. */
export async function startLateWorker(
  scene: Scene,
  gate: RouteGate,
  env: Readonly<Record<string, string>> = {},
): Promise<StartedWorker> {
  const opened = new Disposal()
  const core = opened.use(await openCore(readConfig(scene.settingsHere(env)), createLogger('error')))
  const worker = await startWorker({ ...core, database: gate.guard(core.database) })
  opened.use(worker)
  return {
    routerPort: worker.routerPort,
    stopClaiming: () => worker.stopClaiming(),
    handOver: () => worker.handOver(),
    [Symbol.asyncDispose]: async () => {
      gate.open()
      await opened[Symbol.asyncDispose]()
    },
  }
}
