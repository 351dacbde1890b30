import type { DataSource, EntityManager } from 'typeorm'
import { App } from '../../entities/app.js'
import { DeploymentTrigger } from '../../entities/deployment-status.js'
import { SeenRef } from '../../entities/seen-ref.js'
import { Stage } from '../../entities/stage.js'
import type { RemoteRefs } from '../git/git.js'
import type { Queryable } from '../sql/queryable.js'
import { type StoppedStage, stopStage } from '../traffic/stop-stage.js'
import { awaitComparison } from './comparisons.js'
import type { PushServices } from './push-comparer.js'
import { type BranchHead, newsOf, recordSeen } from './seen.js'

/** Who asks for what a lookup has found. */
const POLL_ACTOR = 'poll'

/** Has a worker look an app's repository up in so many seconds, or when somebody has asked for it already. */
export async function requestLookup(manager: Queryable, appId: string, seconds: number): Promise<void> {
  await manager.query(
    `INSERT INTO repository_lookup AS l (app_id, due_at) VALUES ($1, now() + make_interval(secs => $2))
     ON CONFLICT (app_id) DO UPDATE SET due_at = coalesce(l.due_at, excluded.due_at)`,
    [appId, seconds],
  )
}

/** An app whose repository is to be looked up. */
export interface DueLookup {
  readonly id: string
  readonly name: string
  readonly repoUrl: string
  /** Of the last lookup. */
  readonly error: string | null
}

/** When lookups are due. */
export interface Schedule {
  /** Between two of an app; 0: only what was asked for. */
  readonly everyMs: number
  /** All that were looked up before are due. */
  readonly startedAt: Date
  readonly atMost: number
}

// A tenth more or less, another for each app: those that a start has brought together spread out again.
const DUE = `
  SELECT a.id, a.name, a.repo_url AS "repoUrl", l.error
    FROM app a LEFT JOIN repository_lookup l ON l.app_id = a.id, LATERAL (
           SELECT coalesce(l.looked_up_at, a.created_at) AS at,
                  make_interval(secs => $1::float8 * (0.9 + 0.2 * (hashtext(a.id) & 1023) / 1023.0)) AS pause) last
   WHERE a.deleted_at IS NULL
     AND EXISTS (SELECT FROM stage s WHERE s.app_id = a.id AND s.tags IS NULL AND s.auto_deploy AND NOT s.stopped)
     AND (l.due_at <= now() OR ($1 > 0 AND (last.at < $2 OR last.at + last.pause < now())))
   ORDER BY l.due_at NULLS LAST, last.at LIMIT $3`

export function dueLookups(
  database: DataSource,
  { everyMs, startedAt, atMost }: Schedule,
): Promise<DueLookup[]> {
  return database.query<DueLookup[]>(DUE, [everyMs / 1000, startedAt, atMost])
}

/** How a lookup went. */
export interface LookupResult {
  /** When it began: what was asked for later is looked up again. */
  readonly since: Date
  /** Null: it worked. */
  readonly error: string | null
  /** In so many seconds, where the forge may be well again soon. */
  readonly againIn: number | null
}

/** Records that an app's repository was looked up. */
export async function recordLookup(
  manager: Queryable,
  appId: string,
  { since, error, againIn }: LookupResult,
): Promise<void> {
  await manager.query(
    `INSERT INTO repository_lookup AS l (app_id, looked_up_at, error, due_at)
     SELECT id, $2::timestamptz, $3::text, now() + make_interval(secs => $4::float8) FROM app WHERE id = $1
     ON CONFLICT (app_id) DO UPDATE SET looked_up_at = excluded.looked_up_at, error = excluded.error,
       due_at = CASE WHEN l.due_at > excluded.looked_up_at THEN l.due_at ELSE excluded.due_at END`,
    [appId, since, error, againIn],
  )
}

/** What a lookup has found, and when it began. */
export interface Found {
  readonly appId: string
  readonly refs: RemoteRefs
  readonly since: Date
  readonly repoUrl: string
}

/** What came of a lookup. */
export interface Applied {
  readonly hasNews: boolean
  readonly stopped: readonly StoppedStage[]
}

/**
 * Has new commits of the branches that an app's stages follow deployed, after a worker has compared them, and stops stages
 * whose branch is gone if they ask for it. In the caller's transaction.
 */
export async function applyLookup(
  manager: EntityManager,
  { appId, refs, since, repoUrl }: Found,
  settings: PushServices['settings'],
): Promise<Applied> {
  const stages = await manager.find(Stage, {
    where: { appId },
    order: { id: 'ASC' },
    lock: { mode: 'for_no_key_update' },
  })
  const app = await manager.findOneBy(App, { id: appId, repoUrl })
  const stopped: StoppedStage[] = []
  let hasNews = false
  if (!app || app.deletedAt) return { hasNews, stopped }
  for (const stage of stages.filter(
    ({ tags, autoDeploy, stopped: is }) => tags === null && autoDeploy && !is,
  )) {
    const wanted = stage.branch ?? app.branch ?? refs.defaultBranch
    const branch = wanted !== null && !refs.branches.has(wanted) ? wanted.replace(/^heads\//, '') : wanted
    if (branch === null) continue
    const ref = `refs/heads/${branch}`
    const sha = refs.branches.get(branch)
    if (sha !== undefined)
      hasNews = (await take(manager, { app, stage, head: { ref, sha }, since })) || hasNews
    else if (await isGone(manager, stage, { ref, refs, since })) {
      stopped.push(await stopStage(manager, stage, settings))
    }
  }
  return { hasNews, stopped }
}

/** Whether a new commit is to be deployed. */
async function take(
  manager: EntityManager,
  found: { readonly app: App; readonly stage: Stage; readonly head: BranchHead; readonly since: Date },
): Promise<boolean> {
  const { stage, head } = found
  const news = await newsOf(manager, found)
  if (news === 'unclear') return false
  await recordSeen(manager, stage.id, head)
  if (news === 'known') return false
  const pushed = { ...head, message: null, trigger: DeploymentTrigger.POLL, actor: POLL_ACTOR }
  await awaitComparison(manager, stage, { ...pushed, deliveryId: null })
  return true
}

/** Only a branch that was there, in a repository that has others: a forge's mistake is to stop nothing. */
async function isGone(
  manager: EntityManager,
  { id: stageId, stopOnBranchDeletion }: Stage,
  { ref, refs, since }: { readonly ref: string; readonly refs: RemoteRefs; readonly since: Date },
): Promise<boolean> {
  if (!stopOnBranchDeletion || refs.branches.size === 0) return false
  const seen = await manager.findOneBy(SeenRef, { stageId, ref })
  return seen !== null && seen.seenAt < since
}
