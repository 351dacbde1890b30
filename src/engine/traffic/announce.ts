import { withTimeout } from '../docker/calls.js'
import type { Queryable } from '../sql/queryable.js'
import type { Switch } from '../routing/router.js'
import { WORKER_SECONDS } from '../presence/worker-absence.js'
import { announceHeld } from '../queue/states.js'
import { lockStageRow } from '../sql/locks.js'
import { step, type Services } from '../services.js'

const APPLY_MS = 1_000
/** A version that the routers do not follow to loses its traffic first, where there is one to go back to. */
const ROLLBACK_SECONDS = 5

/** Stages whose last switch is not announced, and that the router $1 has not followed yet. */
const UNCONFIRMED = `
  SELECT s.id AS "stageId", s.current_deployment_id AS "deploymentId", s.route_epoch::float8 AS "routeEpoch"
    FROM stage s
   WHERE s.confirm_until IS NOT NULL AND NOT EXISTS
     (SELECT 1 FROM route_confirmation c WHERE c.stage_id = s.id AND c.router = $1 AND c.route_epoch >= s.route_epoch)`

/** Of the stage $1: whether a router has not followed, the one of this process ($2) or one that was heard of lately. */
const WAITS = `
  SELECT EXISTS (
           SELECT 1 FROM (SELECT router FROM worker WHERE seen_at > now() - make_interval(secs => ${WORKER_SECONDS})
                           UNION SELECT $2) r
            WHERE r.router IS NOT NULL AND NOT EXISTS
              (SELECT 1 FROM route_confirmation c
                WHERE c.stage_id = s.id AND c.router = r.router AND c.route_epoch >= s.route_epoch)) AS missing,
         s.confirm_until + CASE WHEN d.replaced_id IS NOT NULL AND d.watch_until IS NOT NULL
           THEN interval '${ROLLBACK_SECONDS} seconds' ELSE interval '0' END <= now() AS late
    FROM stage s LEFT JOIN deployment d ON d.id = s.current_deployment_id
   WHERE s.id = $1 AND s.confirm_until IS NOT NULL`

/**
 * Announces a switch of the stage's traffic that has just been committed, as soon as all routers have followed. Where one
 * of them needs longer, or something is away, it is announced by whoever sees to it next (traffic/announcer.ts).
 */
export async function announceSwitch(stageId: string, services: Services): Promise<void> {
  services.wakeups.trafficMoved(stageId)
  await step(services, 'announce', async () => {
    await applyRoutes(services)
    await recordConfirmations(services).catch(() => undefined)
    await announceStage(stageId, services).catch(() => undefined)
  })
}

/** Makes the router of this process follow the database now; one that takes longer than a second goes on by itself. */
export async function applyRoutes({ router }: Services): Promise<void> {
  if (router.name !== null) await withTimeout(() => router.apply(), APPLY_MS).catch(() => undefined)
}

/** Writes down which of the switches that wait to be announced the router of this process has followed. */
export async function recordConfirmations({ database, router, wakeups }: Services): Promise<void> {
  if (router.name === null) return
  for (const last of await database.query<Switch[]>(UNCONFIRMED, [router.name])) {
    if (!(await router.hasSwitched(last))) continue
    const { stageId, routeEpoch } = last
    await database.query(
      `INSERT INTO route_confirmation (stage_id, router, route_epoch) SELECT id, $2, $3 FROM stage WHERE id = $1
       ON CONFLICT (stage_id, router) DO UPDATE SET route_epoch = greatest(route_confirmation.route_epoch, $3)`,
      [stageId, router.name, routeEpoch],
    )
    wakeups.switchConfirmed(stageId)
  }
}

/** Stages with something to announce. */
export async function unannouncedStages(database: Queryable): Promise<string[]> {
  const rows = await database.query<{ id: string }[]>(
    'SELECT id FROM stage WHERE confirm_until IS NOT NULL ORDER BY id',
  )
  return rows.map(({ id }) => id)
}

/**
 * Announces a switch that all routers have followed; after ROUTER_CONFIRM_SECONDS also one that they have not, and says
 * so. False: it has to wait, or there was nothing to announce.
 */
export async function announceStage(stageId: string, services: Services): Promise<boolean> {
  const { database, router, wakeups, settings } = services
  const announced = await database.transaction(async (manager) => {
    await lockStageRow(manager, stageId)
    const [found] = await manager.query<{ missing: boolean; late: boolean }[]>(WAITS, [stageId, router.name])
    if (!found || (found.missing && !found.late)) return null
    return announceHeld(manager, stageId, found.missing ? unconfirmedWarning(settings.confirmMs) : null)
  })
  for (const id of announced ?? []) wakeups.deploymentSettled(id)
  return announced !== null
}

function unconfirmedWarning(confirmMs: number): string {
  return `Requests may not reach it yet: a router did not apply the switch within ${confirmMs / 1000} s (see the server's log and the router's)`
}
