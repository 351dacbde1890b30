import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Disposal } from '../../src/disposal.js'
import { containerName, stageHost } from '../../src/engine/names.js'
import { BuiltinRouter } from '../../src/engine/routing/builtin-router.js'
import { containerLabels } from '../../src/engine/routing/labels.js'
import type { Router } from '../../src/engine/routing/router.js'
import { TraefikFileRouter } from '../../src/engine/routing/traefik-file-router.js'
import { TraefikLabelsRouter } from '../../src/engine/routing/traefik-labels-router.js'
import { createLogger } from '../../src/logger.js'
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
  const options = { host: '127.0.0.1', port: 0, baseDomain: BASE, tls: null }
  const router = new BuiltinRouter(process.database, process.wakeups, logger, options)
  await router.start()
  opened.use(router)
  return { router, port: router.port() }
}

/** Traefik, or what stands in for it, on a folder of its own. */
export function openTraefik(start: (folder: string) => Promise<Gateway>): Open {
  return async ({ process }, opened) => {
    const dir = mkdtempSync(join(tmpdir(), 'longshore-traefik-'))
    opened.defer(() => rmSync(dir, { recursive: true, force: true }))
    const { port, api } = opened.use(await start(dir))
    const router = new TraefikFileRouter(process.database, process.wakeups, logger, {
      ...{ dir, api, url: `http://127.0.0.1:${port}`, baseDomain: BASE, instanceId: 'inst' },
      ...{ entryPoint: 'web', tlsEntryPoint: 'websecure', certResolver: null },
    })
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
      return { Config: { Labels }, NetworkSettings: { Networks: { longshore: { IPAddress: '127.0.0.1' } } } }
    })
  }
  const { port } = opened.use(await startLabelStandIn(find))
  return { router: new TraefikLabelsRouter(`http://127.0.0.1:${port}`), port }
}
