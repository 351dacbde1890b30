import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Disposal } from '../../src/disposal.js'
import { containerName, stageHost } from '../../src/engine/addresses.js'
import { createId } from '../../src/engine/names.js'
import { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { containerLabels } from '../../src/engine/routing/labels.js'
import type { Router } from '../../src/engine/routing/router.js'
import { TraefikFileRouter } from '../../src/engine/routing/traefik-file-router.js'
import { TraefikLabelsRouter } from '../../src/engine/routing/traefik-labels-router.js'
import { createLogger } from '../../src/logger.js'
import { openProcesses, type TestProcess } from './engine.js'
import type { Shop } from './routing.js'
import { startLabelStandIn } from './traefik-labels.js'
import type { Gateway } from './traefik.js'

export const BASE = 'test.example'

/** A router and the way in. */
export interface Routed {
  readonly router: Router
  /** Where requests go in. */
  readonly port: number
}

export type Open = (shop: Shop, opened: Disposal) => Promise<Routed>

const logger = createLogger('error')

/** The one in the process. */
export async function openBuiltin({ process }: Shop, opened: Disposal): Promise<Routed> {
  const router = await startBuiltin(process, opened)
  return { router, port: router.port() }
}

export async function startBuiltin(
  { database, wakeups }: TestProcess,
  opened: Disposal,
): Promise<BuiltinRouter> {
  const options = { host: '127.0.0.1', port: 0, baseDomain: BASE, tls: null }
  const router = new BuiltinRouter({ database, wakeups, logger }, options)
  await router.start()
  return opened.use(router)
}

/** A built-in router on a database of its own; apps are what the test listens with. */
export async function openRouter() {
  const opened = new Disposal()
  const [process] = opened.use(await openProcesses(1)).processes
  if (!process) throw new Error('no process')
  const { database, wakeups, commands } = process
  const router = await startBuiltin(process, opened)
  return {
    router,
    database,
    wakeups,
    /** A running deployment that says to answer at `port`; it gets the traffic of its stage. */
    async run(name: string, port: number): Promise<string> {
      const id = createId()
      const app = await commands.apps.create({ name, repoUrl: 'https://git.invalid/x.git', deploy: false })
      await database.query(
        `INSERT INTO deployment (id, app_id, stage_id, status, trigger, addresses, port)
         SELECT $1, s.app_id, s.id, 'RUNNING', 'MANUAL', ARRAY['127.0.0.1'], $3 FROM stage s WHERE s.app_id = $2`,
        [id, app.id, port],
      )
      await database.query('UPDATE stage SET current_deployment_id = $1 WHERE app_id = $2', [id, app.id])
      await router.apply()
      return id
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

/** Traefik, or what stands in for it, on a folder of its own. */
export function openTraefik(start: (folder: string) => Promise<Gateway>): Open {
  return async ({ process }, opened) => {
    const dir = mkdtempSync(join(tmpdir(), 'longshore-traefik-'))
    opened.defer(() => rmSync(dir, { recursive: true, force: true }))
    const { port, api } = opened.use(await start(dir))
    const router = new TraefikFileRouter(
      { database: process.database, wakeups: process.wakeups, logger },
      {
        ...{ dir, api, url: `http://127.0.0.1:${port}`, baseDomain: BASE, instanceId: 'inst' },
        ...{ entryPoint: 'web', tlsEntryPoint: 'websecure', certResolver: null },
      },
    )
    await router.start()
    opened.use(router)
    return { router, port }
  }
}

/** Every deployment with addresses stands for a container with the labels that it would have. */
export async function openLabels({ process }: Shop, opened: Disposal): Promise<Routed> {
  const sql = `SELECT d.id, d.app_id AS "appId", d.stage_id AS "stageId", d.port FROM deployment d
    JOIN stage s ON s.id = d.stage_id JOIN app a ON a.id = d.app_id
   WHERE d.addresses IS NOT NULL AND NOT s.stopped AND a.deleted_at IS NULL`
  const find = async () => {
    const rows =
      await process.database.query<{ id: string; appId: string; stageId: string; port: number }[]>(sql)
    return rows.map(({ id, appId, stageId, port }) => {
      const carries = { stageId, host: stageHost('shop', 'production', BASE) }
      const names = { container: containerName('shop', id), instanceId: 'inst', appId, deploymentId: id }
      const Labels = containerLabels({ ...names, port, baseDomain: BASE, epoch: 1, carries })
      return {
        Id: id,
        Labels,
        Status: 'Up 1 second',
        NetworkSettings: { Networks: { longshore: { IPAddress: '127.0.0.1' } } },
      }
    })
  }
  const { port } = opened.use(await startLabelStandIn(find))
  return { router: new TraefikLabelsRouter(`http://127.0.0.1:${port}`), port }
}
