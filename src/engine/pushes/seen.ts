import type { EntityManager } from 'typeorm'
import type { App } from '../../entities/app.js'
import { DeploymentTrigger } from '../../entities/deployment-status.js'
import { SeenRef } from '../../entities/seen-ref.js'
import type { Stage } from '../../entities/stage.js'
import { UNSETTLED } from '../sql/predicates.js'

/** Where a branch is. */
export interface BranchHead {
  /** `refs/heads/main` */
  readonly ref: string
  readonly sha: string
}

/** The branch of a stage was seen at a commit, whatever becomes of that: no lookup deploys it any more. */
export async function recordSeen(manager: EntityManager, stageId: string, head: BranchHead): Promise<void> {
  await manager.query(
    `INSERT INTO seen_ref (stage_id, ref, sha) VALUES ($1, $2, $3)
     ON CONFLICT (stage_id) DO UPDATE SET ref = excluded.ref, sha = excluded.sha, seen_at = excluded.seen_at`,
    [stageId, head.ref, head.sha],
  )
}

export type HeadNews =
  /** To be deployed. */
  | 'new'
  /** To be recorded: it is deployed already, or the branch is seen for the first time and was never deployed. */
  | 'known'
  /** Nothing is said of it yet: something newer than the lookup has come, or a deployment that fetches the head itself. */
  | 'unclear'

/**
 * Whether a lookup tells something new of the branch that a stage follows. Compared with what was *seen*, and not with what
 * serves: somebody may have rolled back on purpose, and a commit that failed fails again.
 *
 * @param since when the lookup began: what was seen later is newer than it
 */
export async function newsOf(
  manager: EntityManager,
  { app, stage, head, since }: { app: App; stage: Stage; head: BranchHead; since: Date },
): Promise<HeadNews> {
  const last = await manager.findOneBy(SeenRef, { stageId: stage.id })
  const seen = last?.ref === head.ref ? last : null
  if (last && last.seenAt >= since) return 'unclear'
  if (seen?.sha === head.sha) return 'known'
  const name = head.ref.slice('refs/heads/'.length)
  const branch = stage.branch ?? app.branch
  const [row] = await manager.query<[Standing]>(STANDING, [
    ...[stage.id, name, branch, head.sha, seen?.seenAt ?? null],
    [DeploymentTrigger.ROLLBACK, DeploymentTrigger.PROMOTE],
  ])
  if (row.fetchesHead) return 'unclear'
  if (row.serves || row.isDeployed) return 'known'
  // Seen for the first time: new is what follows the last deployment of this branch.
  return seen !== null || row.wasFollowed ? 'new' : 'known'
}

interface Standing {
  /** A deployment that has not fetched its commit yet takes the head of the branch. */
  readonly fetchesHead: boolean
  readonly serves: boolean
  /** The commit was deployed since the branch was seen last. */
  readonly isDeployed: boolean
  /** The branch was deployed before. */
  readonly wasFollowed: boolean
}

const OF_BRANCH = `(d.ref = $2 OR d.ref IS NULL AND d.configuration -> 'source' ->> 'branch' IS NOT DISTINCT FROM $3::text)`
const STANDING = `
  SELECT coalesce(bool_or(d.status IN ${UNSETTLED} AND d.commit_sha IS NULL AND (d.ref IS NULL OR d.ref = $2)), false)
           AS "fetchesHead",
         coalesce(bool_or(d.status = 'RUNNING' AND d.commit_sha = $4), false) AS serves,
         coalesce(bool_or(d.commit_sha = $4 AND ($5::timestamptz IS NULL OR d.created_at > $5)
                          AND d.trigger <> ALL($6)), false) AS "isDeployed",
         coalesce(bool_or(d.commit_sha IS NOT NULL AND d.configuration IS NOT NULL AND d.trigger <> ALL($6)
                          AND ${OF_BRANCH}), false) AS "wasFollowed"
    FROM deployment d WHERE d.stage_id = $1`
